/**
 * Checks of what handlers give to their context, and the requests that are made of it.
 *
 * Role: a wrong argument is told where it was given. Sent on, it would come back as a complaint of the client's, or be
 * lost without a word. Only what types would say is checked, since not everybody has them.
 */

import type { LogLevel } from '../src/catalogue/define.ts';
import { excerpt } from '../src/catalogue/definition-error.ts';
import { isStandardSchema } from '../src/catalogue/standard-schema.ts';
import { LOG_LEVELS } from '../src/protocol/envelope-check.ts';
import { isJsonObject } from '../src/protocol/message-shape.ts';

const CHANGES: readonly unknown[] = ['tools', 'resources', 'prompts'];
const FORM_TYPES: readonly unknown[] = ['string', 'number', 'integer', 'boolean', 'array'];

function refuse(what: string, expected: string, value: unknown): never {
  throw new TypeError(`context.${what} must be ${expected}, got ${excerpt(value)}`);
}

export function checkText(what: string, value: unknown): void {
  if (typeof value !== 'string') refuse(what, 'a string', value);
}

export function checkProgress(progress: unknown, message: unknown): void {
  if (typeof progress !== 'number') refuse('progress: progress', 'a number', progress);
  if (message !== undefined) checkText('progress: message', message);
}

export function checkChange(what: unknown): void {
  if (!CHANGES.includes(what)) refuse('changed: the list', 'tools, resources or prompts', what);
}

/** The data as JSON; a record without data would be no record on the wire. */
export function loggedJson(level: LogLevel, data: unknown): string {
  if (!LOG_LEVELS.includes(level)) refuse('log: level', `one of ${LOG_LEVELS.join(', ')}`, level);
  try {
    return JSON.stringify(data) ?? 'null';
  } catch (cause) {
    throw new TypeError(`context.log: data must be JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}

function checkKey(what: string, key: unknown): void {
  if (key !== undefined && typeof key !== 'string') refuse(`${what}: key`, 'a string', key);
}

export function checkElicit(request: unknown): void {
  if (!isJsonObject(request)) refuse('elicit: its argument', 'an object { message, schema?, url?, key? }', request);
  const { key, message, schema, url } = request;
  checkText('elicit: message', message);
  checkKey('elicit', key);
  if (url !== undefined && !(typeof url === 'string' && URL.canParse(url))) refuse('elicit: url', 'a URL', url);
  if (schema !== undefined) checkForm(schema);
}

/** Forms are flat: clients draw a field for each member. */
function checkForm(schema: unknown): void {
  if (isStandardSchema(schema)) {
    throw new TypeError('context.elicit: schema must be a JSON Schema object, got a schema of a library');
  }
  const expected = 'a JSON Schema { type: "object", properties }';
  if (!isJsonObject(schema)) refuse('elicit: schema', expected, schema);
  const { properties, type } = schema;
  if (type !== 'object') refuse('elicit: schema.type', '"object"', type);
  if (!isJsonObject(properties)) refuse('elicit: schema.properties', 'an object', properties);
  for (const [name, member] of Object.entries(properties)) {
    const own = isJsonObject(member) ? member['type'] : member;
    if (!FORM_TYPES.includes(own)) {
      refuse(`elicit: the type of schema.properties.${name}`, `one of ${FORM_TYPES.join(', ')} (forms are flat)`, own);
    }
  }
}

export function checkSample(params: unknown): void {
  if (!isJsonObject(params)) refuse('sample: its argument', 'an object { messages, maxTokens, … }', params);
  const { key, maxTokens, messages } = params;
  if (!Array.isArray(messages)) refuse('sample: messages', 'an array', messages);
  if (typeof maxTokens !== 'number') refuse('sample: maxTokens', 'a number', maxTokens);
  checkKey('sample', key);
}

/** A question as JSON: what is none is said to whoever asks. */
export function questionJson(method: string, params: object): string {
  try {
    return JSON.stringify(params);
  } catch (cause) {
    throw new TypeError(`${method}: what is asked must be JSON: ${cause instanceof Error ? cause.message : cause}`);
  }
}
