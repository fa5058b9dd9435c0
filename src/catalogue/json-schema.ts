/**
 * Plain JSON Schema: which dialects are taken, how large a schema may be, and its compilation with ajv.
 *
 * Role: the only file that imports ajv. A schema is checked against its dialect when its entry is registered (bad ones are
 * refused early, by name) and compiled again, lazily, in each worker that runs the entry: not checked again there, as
 * compiling the dialect's own schema takes longer than all the rest of a thread's first call.
 * Invariants: nothing is ever fetched, so a `$ref` that leaves the schema is an error at registration; only own
 * properties of a value count (`__proto__` and `constructor` in arguments are ordinary keys); a value is never changed
 * (no defaults filled in, no coercion); checking stops at the first violation.
 * Left to others: the time a check takes is the author's doing (a `pattern` with catastrophic backtracking, and
 * `uniqueItems` over many objects, are not bounded here); the deadline of the call, in the worker, bounds it.
 */
import { Ajv, type ErrorObject, MissingRefError, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { SchemaError } from './definition-error.ts';
import { addFormats } from './schema-formats.ts';
import { describeViolation } from './schema-messages.ts';

/** Encoded as JSON. */
export const SCHEMA_BYTES_MAX = 256 * 1024;
/** Levels of objects and arrays. A subschema under `properties` takes two. */
export const SCHEMA_DEPTH_MAX = 128;
/** Objects, arrays and scalars together. */
export const SCHEMA_NODES_MAX = 20_000;

const DIALECT_2020 = 'https://json-schema.org/draft/2020-12/schema';
const DIALECT_07 = 'http://json-schema.org/draft-07/schema';

const OPTIONS: Options = {
  strict: false,
  // JSON has no others: NaN would be sent as null.
  strictNumbers: true,
  allErrors: false,
  ownProperties: true,
  verbose: true,
  validateFormats: true,
  // Asked for by name, where it is wanted.
  validateSchema: false,
  logger: false,
};

/** Null: the value conforms. Else what is wrong with it, starting with the subject. */
export type ViolationCheck = (value: unknown) => string | null;

/**
 * Compiles a schema. `subject` names the value in messages (`arguments/n must be …`), `owner` the schema in errors;
 * `conforms`: it is known to be what its dialect says. Throws `SchemaError`.
 */
export function compileJsonSchema(schema: unknown, subject: string, owner: string, conforms: boolean): ViolationCheck {
  const hasId = checkShape(schema, owner);
  const dialect = dialectOf(schema, owner);
  // A schema with an `$id` gets an instance of its own: ajv keeps ids in one table per instance, and one tool's schema
  // must not be reachable from another's.
  const ajv = hasId ? makeAjv(dialect) : sharedAjv(dialect);
  const validate = compileWith(ajv, schema as object | boolean, owner, conforms);
  return (value) => {
    try {
      if (validate(value)) return null;
    } catch (cause) {
      // A recursive schema over very deep data ends the stack, not the process.
      if (cause instanceof RangeError) return `${subject} is nested too deeply to be checked`;
      throw cause;
    }
    const violation = validate.errors?.[0];
    return violation === undefined ? `${subject} is not valid` : describeViolation(violation, subject);
  };
}

function compileWith(ajv: Ajv, schema: object | boolean, owner: string, conforms: boolean): ValidateFunction {
  try {
    if (conforms || ajv.validateSchema(schema) === true) return ajv.compile(schema);
  } catch (cause) {
    if (cause instanceof MissingRefError) {
      throw new SchemaError(
        `${owner}: the $ref "${cause.missingRef}" leads outside the schema; nothing is loaded from elsewhere, so put what it names under $defs`,
      );
    }
    const why = cause instanceof RangeError ? 'its references lead in a circle' : (cause as Error).message;
    throw new SchemaError(`${owner}: not a usable JSON Schema: ${why}`);
  } finally {
    // The instance is shared and long-lived; compiled functions are kept by their callers alone.
    if (typeof schema === 'object') ajv.removeSchema(schema);
  }
  throw new SchemaError(`${owner}: not a valid JSON Schema: ${describeViolation(firstOf(ajv.errors), 'schema')}`);
}

function firstOf(errors: ErrorObject[] | null | undefined): ErrorObject {
  const first = errors?.[0];
  return first ?? { keyword: '', instancePath: '', schemaPath: '', params: {}, message: 'is refused by its dialect' };
}

type Dialect = '2020-12' | 'draft-07';
const shared = new Map<Dialect, Ajv>();

function sharedAjv(dialect: Dialect): Ajv {
  let ajv = shared.get(dialect);
  if (ajv === undefined) {
    ajv = makeAjv(dialect);
    shared.set(dialect, ajv);
  }
  return ajv;
}

function makeAjv(dialect: Dialect): Ajv {
  const ajv = dialect === '2020-12' ? (new Ajv2020(OPTIONS) as unknown as Ajv) : new Ajv(OPTIONS);
  addFormats(ajv);
  return ajv;
}

function dialectOf(schema: unknown, owner: string): Dialect {
  const declared =
    typeof schema === 'object' && schema !== null ? (schema as { $schema?: unknown }).$schema : undefined;
  if (declared === undefined) return '2020-12';
  const name = typeof declared === 'string' && declared.endsWith('#') ? declared.slice(0, -1) : declared;
  if (name === DIALECT_2020) return '2020-12';
  if (name === DIALECT_07) return 'draft-07';
  throw new SchemaError(
    `${owner}: unsupported JSON Schema dialect ${JSON.stringify(declared)}; expected "${DIALECT_2020}" (the default) or "${DIALECT_07}#"`,
  );
}

/** Bounds a schema and refuses what is not JSON. Returns whether an `$id` occurs in it. Cycles end at the depth limit. */
function checkShape(schema: unknown, owner: string): boolean {
  if (typeof schema === 'boolean') return false;
  if (typeof schema !== 'object' || schema === null || Array.isArray(schema)) {
    throw new SchemaError(`${owner}: a JSON Schema is an object, got ${schema === null ? 'null' : typeof schema}`);
  }
  let nodes = 0;
  let hasId = false;
  const visit = (node: unknown, depth: number): void => {
    nodes += 1;
    if (nodes > SCHEMA_NODES_MAX) throw new SchemaError(`${owner}: more than ${SCHEMA_NODES_MAX} values in the schema`);
    if (depth > SCHEMA_DEPTH_MAX) throw new SchemaError(`${owner}: deeper than ${SCHEMA_DEPTH_MAX} levels, or cyclic`);
    if (typeof node === 'function' || typeof node === 'symbol' || typeof node === 'bigint') {
      throw new SchemaError(`${owner}: holds a ${typeof node}, which is not JSON`);
    }
    if (typeof node !== 'object' || node === null) return;
    for (const [key, member] of Object.entries(node)) {
      if (key === '$id' || key === 'id') hasId = true;
      if (key === '$async' && member === true) throw new SchemaError(`${owner}: $async is not part of JSON Schema`);
      visit(member, depth + 1);
    }
  };
  visit(schema, 1);
  const bytes = Buffer.byteLength(JSON.stringify(schema));
  if (bytes > SCHEMA_BYTES_MAX)
    throw new SchemaError(`${owner}: ${bytes} bytes of schema, at most ${SCHEMA_BYTES_MAX}`);
  return hasId;
}
