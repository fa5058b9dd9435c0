/**
 * Checks that a definition says something that can be served: each member by name, its value, and what was expected.
 *
 * Role: called by `defineTool` and its siblings, where the author sees the stack, and again when the catalogue is
 * built, because definitions may be made by hand. Schemas are only looked at here as far as they are schemas at all;
 * `entries.ts` compiles them.
 * Invariants: unknown members are refused, since a misspelt one (`inputSchema`) would silently check nothing.
 */

import type { Definition, PromptDefinition, ResourceDefinition } from './define.ts';
import { DefinitionError, excerpt } from './definition-error.ts';
import { isStandardSchema } from './standard-schema.ts';

export const TOOL_NAME_CHARS_MAX = 128;
export const NAME_CHARS_MAX = 256;
export const URI_NAME_CHARS_MAX = 2048;
export const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** What was expected, or null when the value is good. */
type Check = (value: unknown) => string | null;

const text: Check = (value) => (typeof value === 'string' ? null : 'a string');
const flag: Check = (value) => (typeof value === 'boolean' ? null : 'true or false');
const object: Check = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'an object';
const callable: Check = (value) => (typeof value === 'function' ? null : 'a function');
const handler: Check = (value) => (typeof value === 'function' ? null : 'a function, the second argument');
const schema: Check = (value) => {
  if (isStandardSchema(value)) return null;
  if (object(value) !== null) return 'a Standard Schema or a JSON Schema object';
  const holdsSchemas = Object.values(value as object).some(isStandardSchema);
  return holdsSchemas ? 'one schema of all members (zod: z.object({ … })), not an object of schemas' : null;
};
const oneOf =
  (...allowed: string[]): Check =>
  (value) =>
    typeof value === 'string' && allowed.includes(value) ? null : `one of ${allowed.join(', ')}`;
const whole =
  (min: number, max: number): Check =>
  (value) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? null
      : `a whole number from ${min} to ${max}`;
const fraction: Check = (value) =>
  typeof value === 'number' && value >= 0 && value <= 1 ? null : 'a number from 0 to 1';
const listOf =
  (each: Check, what: string): Check =>
  (value) =>
    Array.isArray(value) && value.every((member) => each(member) === null) ? null : `an array of ${what}`;
/** An object with these members and no others. `!` after a name: it must be there. */
const members =
  (shape: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (object(value) !== null) return 'an object';
    const given = value as Record<string, unknown>;
    for (const name of Object.keys(given)) {
      if (given[name] !== undefined && shape[name] === undefined && shape[`${name}!`] === undefined) {
        return `an object without ${excerpt(name)}`;
      }
    }
    for (const [key, check] of Object.entries(shape)) {
      const required = key.endsWith('!');
      const name = required ? key.slice(0, -1) : key;
      const expected = given[name] === undefined ? (required ? 'given' : null) : check(given[name]);
      if (expected !== null) return `an object whose "${name}" is ${expected}`;
    }
    return null;
  };
const mapOf =
  (each: Check, what: string): Check =>
  (value) =>
    object(value) === null && Object.values(value as object).every((member) => each(member) === null)
      ? null
      : `an object of ${what}`;

const icons = listOf(
  members({ 'src!': text, mimeType: text, sizes: listOf(text, 'strings'), theme: oneOf('light', 'dark') }),
  'icons: { src, mimeType?, sizes?, theme? }',
);
const timeoutMs = whole(1, TIMEOUT_MS_MAX);
const shared = { title: text, description: text, icons, timeoutMs, _meta: object, 'handler!': handler };

const TOOL_NAME = /^[A-Za-z0-9_./-]{1,128}$/;
const toolName: Check = (value) =>
  typeof value === 'string' && TOOL_NAME.test(value) ? null : `1 to ${TOOL_NAME_CHARS_MAX} of A-Z a-z 0-9 _ . / -`;
/** Cursors carry names as UTF-8: half a surrogate pair would not come back. */
const survivesUtf8 = (value: string): boolean => Buffer.from(value, 'utf8').toString('utf8') === value;
const name: Check = (value) =>
  typeof value === 'string' && value.length >= 1 && value.length <= NAME_CHARS_MAX && survivesUtf8(value)
    ? null
    : `a string of 1 to ${NAME_CHARS_MAX} characters`;
const label: Check = (value) =>
  typeof value === 'string' && value.length > 0 && value.length <= NAME_CHARS_MAX ? null : 'a label';
const uri: Check = (value) =>
  typeof value === 'string' && value.length <= URI_NAME_CHARS_MAX && URL.canParse(value) && survivesUtf8(value)
    ? null
    : `an absolute URI of at most ${URI_NAME_CHARS_MAX} characters`;
const template: Check = (value) => (typeof value === 'string' && survivesUtf8(value) ? null : 'an RFC 6570 template');

type Shape = Readonly<Record<string, Check>>;
const SHAPES: Readonly<Record<Definition['kind'], Shape>> = {
  tool: {
    ...shared,
    'name!': toolName,
    input: schema,
    output: schema,
    annotations: members({
      title: text,
      readOnlyHint: flag,
      destructiveHint: flag,
      idempotentHint: flag,
      openWorldHint: flag,
    }),
    run: oneOf('pool', 'inline', 'isolated'),
    concurrency: whole(1, 1_000_000),
    requires: listOf(label, 'labels: strings of 1 to 256 characters'),
    cache: members({ 'ttlMs!': whole(0, TIMEOUT_MS_MAX), 'scope!': oneOf('public', 'private') }),
    callerRuns: flag,
    task: oneOf('never', 'optional', 'required'),
    taskOptions: members({
      ttlMs: (value) => (value === null ? null : whole(1, Number.MAX_SAFE_INTEGER)(value)),
      pollIntervalMs: whole(1, TIMEOUT_MS_MAX),
    }),
  },
  resource: {
    ...shared,
    'name!': name,
    uri,
    template,
    mimeType: text,
    size: whole(0, Number.MAX_SAFE_INTEGER),
    annotations: members({
      audience: listOf(oneOf('user', 'assistant'), 'user, assistant'),
      priority: fraction,
      lastModified: text,
    }),
    run: oneOf('pool', 'inline'),
    ttlMs: whole(0, Number.MAX_SAFE_INTEGER),
    cacheScope: oneOf('public', 'private'),
    complete: mapOf(callable, 'functions'),
  },
  prompt: {
    ...shared,
    'name!': name,
    arguments: listOf(
      members({ 'name!': name, title: text, description: text, required: flag, complete: callable }),
      'arguments: { name, title?, description?, required?, complete? }',
    ),
    run: oneOf('pool', 'inline'),
  },
};

/** What to call a definition in an error: `tool "echo"`. */
export function nameOf(definition: Definition): string {
  const own =
    definition.kind === 'resource' ? (definition.uri ?? definition.template ?? definition.name) : definition.name;
  return `${definition.kind} ${excerpt(own)}`;
}

/** Whether an exported value says that it is a definition. It may still be a faulty one. */
export function isDefinition(value: unknown): value is Definition {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, handler } = value as { kind?: unknown; handler?: unknown };
  return (kind === 'tool' || kind === 'resource' || kind === 'prompt') && handler !== undefined;
}

/** Throws `DefinitionError`: what `maker` was given first is no object of options. */
export function checkOptions(maker: string, options: unknown): void {
  if (object(options) === null) return;
  throw new DefinitionError(`${maker}: the first argument must be an object of options, got ${excerpt(options)}`);
}

/** Throws `DefinitionError`. */
export function checkDefinition(definition: Definition): void {
  const shape = SHAPES[definition.kind];
  const owner = nameOf(definition);
  const given = definition as unknown as Readonly<Record<string, unknown>>;
  for (const member of Object.keys(given)) {
    if (member === 'kind' || given[member] === undefined) continue;
    if (shape[member] === undefined && shape[`${member}!`] === undefined) {
      const known = Object.keys(shape).map((key) => (key.endsWith('!') ? key.slice(0, -1) : key));
      throw new DefinitionError(`${owner}: unknown option "${member}"; known are ${known.join(', ')}`);
    }
  }
  for (const [key, check] of Object.entries(shape)) {
    const required = key.endsWith('!');
    const member = required ? key.slice(0, -1) : key;
    if (given[member] === undefined && !required) continue;
    const expected = check(given[member]);
    if (expected === null) continue;
    throw new DefinitionError(`${owner}: ${member} must be ${expected}, got ${excerpt(given[member])}`);
  }
  if (definition.kind === 'resource') checkResource(definition, owner);
  if (definition.kind === 'prompt') checkArguments(definition, owner);
}

function checkResource(definition: ResourceDefinition, owner: string): void {
  if ((definition.uri === undefined) === (definition.template === undefined)) {
    throw new DefinitionError(`${owner}: give either uri or template, not both and not neither`);
  }
  if (definition.complete !== undefined && definition.template === undefined) {
    throw new DefinitionError(`${owner}: complete needs a template; a fixed uri has no variables`);
  }
}

function checkArguments(definition: PromptDefinition, owner: string): void {
  const seen = new Set<string>();
  for (const argument of definition.arguments ?? []) {
    if (seen.has(argument.name)) {
      throw new DefinitionError(`${owner}: the argument ${excerpt(argument.name)} is declared twice`);
    }
    seen.add(argument.name);
  }
}
