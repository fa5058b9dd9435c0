/**
 * One layer of configuration: the values a file, the environment or the command line gives, each checked by its own
 * option's schema.
 *
 * Role: between raw sources and `load.ts`, which puts layers on top of each other. A value that a later layer hides is
 * still checked: a broken setting should not wait for the day it is uncovered. Names are only ever looked up in the
 * option table, so no name in a file can reach an object's prototype.
 */
import { nearest } from './nearest.ts';
import { ENV_PREFIX, GROUPS, OPTIONS, type Option, optionNamed, optionOfEnv, optionOfFlag } from './options.ts';
import { notAllowed, type Origin, unknown } from './problem.ts';
import { valueOfText } from './text-value.ts';

export interface Layer {
  readonly origin: Origin;
  /** By option name. */
  readonly values: ReadonlyMap<string, unknown>;
}

/** What stood on the command line, by flag without dashes: each time it was given. */
export type GivenFlags = ReadonlyMap<string, readonly (string | boolean)[]>;

/** Variables that are no options: `MILLRACE_CONFIG` names the file. */
export const ENV_CONFIG = `${ENV_PREFIX}CONFIG`;

/** Kubernetes writes such variables into every pod beside a service called "millrace". */
const SERVICE_LINK_NAME = /^MILLRACE_(SERVICE_(HOST|PORT)|PORT_\d+_)/;
const SERVICE_LINK_VALUE = /^(tcp|udp|sctp):\/\//;

export function flagLayer(given: GivenFlags, problems: string[]): Layer {
  const origin: Origin = { kind: 'flag' };
  const values = new Map<string, unknown>();
  for (const [flag, texts] of given) {
    const option = optionOfFlag(flag);
    if (option === undefined) {
      problems.push(unknown(`--${flag}`, nearestFlag(flag)));
      continue;
    }
    const written = option.facts.form === 'list' ? texts.map(String) : texts.at(-1);
    const parsed =
      typeof written === 'string' && option.facts.form !== 'list'
        ? valueOfText(option.facts.form, written)
        : { value: written };
    keep(option, origin, written, parsed, values, problems);
  }
  return { origin, values };
}

function nearestFlag(flag: string): string | null {
  const suggestion = nearest(
    flag,
    OPTIONS.flatMap((option) => (option.flag === null ? [] : [option.flag])),
  );
  return suggestion === null ? null : `--${suggestion}`;
}

export function environmentLayer(env: Readonly<Record<string, string | undefined>>, problems: string[]): Layer {
  const origin: Origin = { kind: 'env' };
  const values = new Map<string, unknown>();
  for (const [name, written] of Object.entries(env)) {
    // Compose files and shells leave variables empty to mean "not set".
    if (!name.startsWith(ENV_PREFIX) || name === ENV_CONFIG || written === undefined || written === '') continue;
    if (SERVICE_LINK_NAME.test(name) || (name === 'MILLRACE_PORT' && SERVICE_LINK_VALUE.test(written))) continue;
    const option = optionOfEnv(name);
    if (option === undefined) {
      const known = OPTIONS.map((candidate) => candidate.env);
      problems.push(unknown(name, nearest(name, known)));
      continue;
    }
    keep(option, origin, written, valueOfText(option.facts.form, written), values, problems);
  }
  return { origin, values };
}

/** A tree as files and callers write it. */
export function treeLayer(tree: unknown, origin: Origin, problems: string[]): Layer {
  const values = new Map<string, unknown>();
  walk(tree, [], origin, values, problems);
  return { origin, values };
}

function walk(
  tree: unknown,
  path: readonly string[],
  origin: Origin,
  values: Map<string, unknown>,
  problems: string[],
): void {
  const place = origin.kind === 'file' ? `${origin.file}: ` : '';
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    problems.push(`${place}${path.length === 0 ? 'the configuration' : path.join('.')}: must be an object of options`);
    return;
  }
  for (const [member, value] of Object.entries(tree)) {
    const name = [...path, member].join('.');
    const option = optionNamed(name);
    if (option !== undefined) {
      if (value !== undefined) keep(option, origin, value, { value }, values, problems);
    } else if (GROUPS.has(name)) {
      if (value !== undefined) walk(value, [...path, member], origin, values, problems);
    } else {
      const known = [...OPTIONS.map((candidate) => candidate.name), ...GROUPS];
      problems.push(place + unknown(name, nearest(name, known)));
    }
  }
}

function keep(
  option: Option,
  origin: Origin,
  written: unknown,
  parsed: { readonly value: unknown } | null,
  values: Map<string, unknown>,
  problems: string[],
): void {
  const checked = parsed === null ? null : option.check(parsed.value);
  if (checked === null) problems.push(notAllowed(option, origin, written));
  else values.set(option.name, checked.value);
}
