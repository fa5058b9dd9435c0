/**
 * The error of registration: a definition, or a schema in it, that cannot be served.
 *
 * Role: thrown while a catalogue is built, never while a request is answered. The message names the thing, the value
 * and what was expected; it is meant for the author's terminal.
 */
export class DefinitionError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DefinitionError';
  }
}

/** A definition whose schema is at fault. */
export class SchemaError extends DefinitionError {
  constructor(message: string) {
    super(message);
    this.name = 'SchemaError';
  }
}

/** A value for a message: short, on one line, and never the inside of an object. */
export function excerpt(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  switch (typeof value) {
    case 'string': {
      const cut = value.length > EXCERPT_CHARS ? `${value.slice(0, EXCERPT_CHARS)}…` : value;
      return JSON.stringify(cut);
    }
    case 'object':
      return TELLING[Object.prototype.toString.call(value)] ?? 'an object';
    case 'undefined':
      return 'nothing';
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      return `a ${typeof value}`;
  }
}

const EXCERPT_CHARS = 60;
/** Objects whose kind is what went wrong with them. */
const TELLING: Readonly<Record<string, string>> = {
  '[object Promise]': 'a Promise (is an await missing?)',
  '[object Date]': 'a Date',
  '[object Map]': 'a Map',
  '[object Set]': 'a Set',
  '[object Uint8Array]': 'bytes',
};
