/**
 * The small schemas that definitions are made of, each of which says what it expects in one phrase.
 *
 * Role: for the other `schema-*.ts`. The message of every check is what was expected; an object's message for members
 * it does not know is the list of those it knows, from which `shape-problems.ts` makes a suggestion.
 */
import { z } from 'zod';
import { EXPRESSION_CHARACTERS_MAX } from '../expressions/language.ts';
import { DURATION_MS_MAX, KEY_FIELDS_MAX, SELECTED_MAX } from './limits.ts';

const NAME = /^(?!__proto__$)[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const NAME_EXPECTED = 'a name: a letter or _, then up to 63 letters, digits, _ or -';

/** Divides known members in a message from each other. */
export const KNOWN_SEPARATOR = ' | ';

export function name(what = ''): z.ZodString {
  return described(z.string(NAME_EXPECTED).regex(NAME, NAME_EXPECTED), what);
}

function described<S extends z.ZodType>(schema: S, what: string): S {
  return what === '' ? schema : (schema.describe(what) as S);
}

export function text(charactersMax: number, what = ''): z.ZodString {
  const expected = `a text of at most ${charactersMax} characters`;
  return described(z.string(expected).max(charactersMax, expected), what);
}

export function whole(min: number, max: number, what = ''): z.ZodNumber {
  const expected = `a whole number from ${min} to ${max}`;
  return described(z.number(expected).int(expected).min(min, expected).max(max, expected), what);
}

export function ms(min: number, what = ''): z.ZodNumber {
  const expected = `whole milliseconds from ${min} to ${DURATION_MS_MAX}`;
  return described(z.number(expected).int(expected).min(min, expected).max(DURATION_MS_MAX, expected), what);
}

/** Milliseconds either way. */
export function signedMs(what = ''): z.ZodNumber {
  return whole(-DURATION_MS_MAX, DURATION_MS_MAX, what);
}

export function real(min: number, max: number, what = ''): z.ZodNumber {
  const expected = `a number from ${min} to ${max}`;
  return described(z.number(expected).min(min, expected).max(max, expected), what);
}

export function flag(what = ''): z.ZodBoolean {
  return described(z.boolean('true or false'), what);
}

export function oneOf<const V extends readonly [string, ...string[]]>(values: V, what = '') {
  return described(z.enum(values, `one of ${values.join(', ')}`), what);
}

export function expression(what: string): z.ZodString {
  const expected = `an expression of 1 to ${EXPRESSION_CHARACTERS_MAX} characters`;
  const schema = z.string(expected).min(1, expected).max(EXPRESSION_CHARACTERS_MAX, expected);
  return described(schema, what);
}

export function object<S extends z.core.$ZodLooseShape>(shape: S, what = '') {
  const known = Object.keys(shape).join(KNOWN_SEPARATOR);
  const error: z.core.$ZodErrorMap = (issue) => (issue.code === 'unrecognized_keys' ? known : 'an object');
  return described(z.strictObject(shape, { error }), what);
}

export function list<S extends z.ZodType>(item: S, min: number, max: number, what = '') {
  const expected = min === 0 ? `a list of at most ${max}` : `a list of ${min} to ${max}`;
  return described(z.array(item, expected).min(min, expected).max(max, expected), what);
}

/** Members by name, one at least. */
export function record<S extends z.ZodType>(value: S, max: number, what = '') {
  const expected = `an object of 1 to ${max} members`;
  const schema = z.record(name(), value, expected).refine((members) => {
    const count = Object.keys(members).length;
    return count >= 1 && count <= max;
  }, expected);
  return described(schema, what);
}

export const key = list(
  name(),
  0,
  KEY_FIELDS_MAX,
  'Fields that form the key. Default: the key of the stream. Empty: all events together.',
);

export function select(what: string) {
  return record(expression('Value: an expression.'), SELECTED_MAX, what);
}
