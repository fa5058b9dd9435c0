/**
 * Whether what a client filled in is what the form asked for: choices, lengths, formats and bounds of each member.
 *
 * Role: clients are told to check forms before they send them; not all do, and a handler must not go on with an answer
 * that its own schema does not allow. Source: the specification's PrimitiveSchemaDefinition, all of its forms, the older
 * ones with `enumNames` included. Other keywords are not looked at: no client knows them.
 */
import { excerpt } from '../src/catalogue/definition-error.ts';
import { formatCheck } from '../src/catalogue/schema-formats.ts';
import type { JsonObject } from '../src/protocol/channel.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';

const CHOICES_SHOWN_MAX = 20;

/** Members are there and of the declared types, or what is wrong. Elicitation schemas are flat objects of primitives. */
export function formTypeProblem(schema: JsonObject, content: unknown): string | null {
  if (!isJsonObject(content)) return `content must be an object, got ${excerpt(content)}`;
  const required: unknown[] = Array.isArray(schema['required']) ? schema['required'] : [];
  const missing = required.find((name) => typeof name === 'string' && !Object.hasOwn(content, name));
  if (missing !== undefined) return `content must have the property ${excerpt(missing)}`;
  return eachMember(schema, content, typeProblem);
}

/** The values are among those that the members allow, or what is wrong. `content` has no type problem. */
export function formValueProblem(schema: JsonObject, content: JsonObject): string | null {
  return eachMember(schema, content, (member, value) => {
    if (typeof value === 'string') return stringProblem(member, value);
    if (typeof value === 'number') return boundsProblem(member, value, 'minimum', 'maximum', '');
    return Array.isArray(value) ? choicesProblem(member, value) : null;
  });
}

function eachMember(
  schema: JsonObject,
  content: JsonObject,
  problemOf: (member: JsonObject, value: unknown) => string | null,
): string | null {
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {};
  for (const [name, value] of Object.entries(content)) {
    const member = Object.hasOwn(properties, name) ? properties[name] : undefined;
    const problem = isJsonObject(member) ? problemOf(member, value) : null;
    if (problem !== null) return `content/${name} must ${problem}, got ${excerpt(value)}`;
  }
  return null;
}

function typeProblem({ type }: JsonObject, value: unknown): string | null {
  if (type === 'string') return typeof value === 'string' ? null : 'be a string';
  if (type === 'boolean') return typeof value === 'boolean' ? null : 'be true or false';
  if (type === 'integer') return Number.isInteger(value) ? null : 'be a whole number';
  if (type === 'number') return typeof value === 'number' ? null : 'be a number';
  return type !== 'array' || Array.isArray(value) ? null : 'be an array';
}

function stringProblem(member: JsonObject, value: string): string | null {
  const { format } = member;
  const choices = choicesOf(member['enum'], member['oneOf']);
  if (choices !== null && !choices.includes(value)) return `be one of ${shown(choices)}`;
  // Code points, as JSON Schema counts.
  const length = boundsProblem(member, [...value].length, 'minLength', 'maxLength', ' characters long');
  if (length !== null) return length;
  const check = typeof format === 'string' ? formatCheck(format) : undefined;
  return check === undefined || check(value) ? null : `have the format ${excerpt(format)}`;
}

function choicesProblem(member: JsonObject, values: readonly unknown[]): string | null {
  const length = boundsProblem(member, values.length, 'minItems', 'maxItems', ' items long');
  if (length !== null) return length;
  const items = isJsonObject(member['items']) ? member['items'] : {};
  const choices = choicesOf(items['enum'], items['anyOf']);
  return choices === null || values.every((value) => choices.includes(value)) ? null : `only hold ${shown(choices)}`;
}

function boundsProblem(member: JsonObject, value: number, min: string, max: string, unit: string): string | null {
  const { [min]: least, [max]: most } = member;
  if (typeof least === 'number' && value < least) return `be at least ${least}${unit}`;
  return typeof most === 'number' && value > most ? `be at most ${most}${unit}` : null;
}

/** Values that may be chosen, plain or each with a title; null: any. */
function choicesOf(plain: unknown, titled: unknown): unknown[] | null {
  if (Array.isArray(plain)) return plain;
  return Array.isArray(titled) ? titled.map((choice) => (isJsonObject(choice) ? choice['const'] : undefined)) : null;
}

function shown(choices: readonly unknown[]): string {
  const some = choices.slice(0, CHOICES_SHOWN_MAX).map(excerpt).join(', ');
  return choices.length > CHOICES_SHOWN_MAX ? `${some}, …` : some;
}
