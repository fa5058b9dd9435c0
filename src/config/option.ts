/**
 * How one option is written down: a zod schema with its default, and beside it the facts a schema cannot hold.
 *
 * Role: the vocabulary of `raw.ts`. Zod is imported in this folder only. The text of the allowed range is made here,
 * from the same arguments as the check, so the two cannot differ.
 */
import { z } from 'zod';

/** How a flag's or a variable's text becomes a value. */
export type OptionForm = 'text' | 'number' | 'number-or-auto' | 'boolean' | 'list' | 'json';

export interface OptionFacts {
  readonly form: OptionForm;
  readonly description: string;
  /** Completes "must be …". */
  readonly allowed: string;
  /** Flag without dashes where it is not the kebab-case path; null keeps the option off the command line. */
  readonly flag?: string | null;
  /** Never printed. */
  readonly secret?: boolean;
  /** A file or folder: relative names in a configuration file start at that file. */
  readonly isPath?: boolean;
}

export type Tweaks = Pick<OptionFacts, 'flag' | 'secret' | 'isPath'>;

export const optionFacts = z.registry<OptionFacts>();

/** `auto` on the command line and in files; `compile.ts` puts a number in its place. */
export const AUTO = 'auto';

export function integer(initial: number, min: number, max: number, unit: string, description: string) {
  const allowed = `an integer from ${min} to ${max}${unit === '' ? '' : ` (${unit})`}`;
  return z.number().int().min(min).max(max).default(initial).register(optionFacts, {
    form: 'number',
    description,
    allowed,
  });
}

export function integerOrAuto(min: number, max: number, unit: string, description: string) {
  const allowed = `"auto" or an integer from ${min} to ${max}${unit === '' ? '' : ` (${unit})`}`;
  return z
    .union([z.literal(AUTO), z.number().int().min(min).max(max)])
    .default(AUTO)
    .register(optionFacts, {
      form: 'number-or-auto',
      description,
      allowed,
    });
}

export function fraction(initial: number, description: string) {
  return z.number().min(0).max(1).default(initial).register(optionFacts, {
    form: 'number',
    description,
    allowed: 'a number from 0 to 1',
  });
}

export function choice<const T extends readonly [string, ...string[]]>(
  values: T,
  initial: T[number],
  description: string,
) {
  const schema = z.enum(values);
  return schema.default(initial as Exclude<T[number], undefined>).register(optionFacts, {
    form: 'text',
    description,
    allowed: `one of ${values.join(', ')}`,
  });
}

export function text(initial: string, lengthMax: number, description: string, tweaks: Tweaks = {}) {
  return z
    .string()
    .max(lengthMax)
    .default(initial)
    .register(optionFacts, {
      form: 'text',
      description,
      allowed: `text of at most ${lengthMax} characters`,
      ...tweaks,
    });
}

/** Text checked by a pattern; an empty default means "not set". */
export function pattern(initial: string, regex: RegExp, allowed: string, description: string, tweaks: Tweaks = {}) {
  const schema = z.string().max(2048).regex(regex);
  return schema.default(initial).register(optionFacts, { form: 'text', description, allowed, ...tweaks });
}

export function toggle(initial: boolean, description: string) {
  return z.boolean().default(initial).register(optionFacts, {
    form: 'boolean',
    description,
    allowed: 'true or false',
  });
}

export function list(itemsMax: number, description: string, tweaks: Tweaks = {}, initial: readonly string[] = []) {
  const schema = z.array(z.string().min(1).max(2048)).max(itemsMax);
  return schema.default([...initial]).register(optionFacts, {
    form: 'list',
    description,
    allowed: `a list of at most ${itemsMax} non-empty texts`,
    ...tweaks,
  });
}

/** A value with a shape of its own: JSON in the environment, never a flag. */
export function structured<T extends z.ZodType>(
  schema: T,
  allowed: string,
  description: string,
  tweaks: Tweaks = {},
): T {
  optionFacts.add(schema, { form: 'json', description, allowed, flag: null, ...tweaks });
  return schema;
}
