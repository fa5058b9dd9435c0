/**
 * The options as a flat table, read off the schema of `raw.ts` once: path, flag, environment name, default, facts.
 *
 * Role: what flags, environment, files, `check` and `--help` walk over. Nothing here knows a single option by name.
 */
import { z } from 'zod';
import { type OptionFacts, optionFacts } from './option.ts';
import { rawConfigSchema } from './raw.ts';

export interface Option {
  /** Members from the root: `['sessions', 'ttlMs']`. */
  readonly path: readonly string[];
  /** `sessions.ttlMs` */
  readonly name: string;
  /** `sessions-ttl-ms`, or null when it must not stand on a command line. */
  readonly flag: string | null;
  /** `MILLRACE_SESSIONS_TTL_MS` */
  readonly env: string;
  readonly initial: unknown;
  readonly facts: OptionFacts;
  /** The value when it is allowed, else null. */
  check(value: unknown): { readonly value: unknown } | null;
}

export const ENV_PREFIX = 'MILLRACE_';

const words = (path: readonly string[], joint: string): string =>
  path.map((member) => member.replace(/[A-Z]/g, (letter) => joint + letter.toLowerCase())).join(joint);

function makeOption(path: readonly string[], schema: z.ZodType, facts: OptionFacts): Option {
  const initial = schema.parse(undefined);
  return Object.freeze({
    path,
    name: path.join('.'),
    flag: facts.flag === undefined ? words(path, '-') : facts.flag,
    env: ENV_PREFIX + words(path, '_').toUpperCase(),
    initial,
    facts,
    check(value: unknown) {
      const result = schema.safeParse(value);
      return result.success && value !== undefined ? { value: result.data } : null;
    },
  });
}

function collect(schema: z.ZodType, path: readonly string[], into: Option[]): void {
  const facts = optionFacts.get(schema);
  if (facts !== undefined) {
    into.push(makeOption(path, schema, facts));
    return;
  }
  const inner = schema instanceof z.ZodPrefault ? (schema.unwrap() as z.ZodType) : schema;
  if (!(inner instanceof z.ZodObject)) throw new TypeError(`option ${path.join('.')} has no facts`);
  for (const [member, child] of Object.entries(inner.shape)) collect(child as z.ZodType, [...path, member], into);
}

function all(): readonly Option[] {
  const options: Option[] = [];
  collect(rawConfigSchema, [], options);
  return Object.freeze(options);
}

/** In the order of `raw.ts`. */
export const OPTIONS: readonly Option[] = all();

const byName = new Map(OPTIONS.map((option) => [option.name, option]));
const byFlag = new Map(OPTIONS.flatMap((option) => (option.flag === null ? [] : [[option.flag, option] as const])));
const byEnv = new Map(OPTIONS.map((option) => [option.env, option]));

export const optionNamed = (name: string): Option | undefined => byName.get(name);
export const optionOfFlag = (flag: string): Option | undefined => byFlag.get(flag);
export const optionOfEnv = (env: string): Option | undefined => byEnv.get(env);

/** Paths that hold further options: `sessions`, `auth.jwt`. */
export const GROUPS: ReadonlySet<string> = new Set(
  OPTIONS.flatMap((option) => option.path.slice(0, -1).map((_, index) => option.path.slice(0, index + 1).join('.'))),
);
