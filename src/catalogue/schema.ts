// HOT PATH
/**
 * The schemas a definition may carry, whatever they are written in: what the list shows, and the check of a value.
 *
 * Role: joins plain JSON Schema (`json-schema.ts`) and Standard Schema libraries behind two functions. Plain schemas
 * are listed verbatim. A library's schema is listed as the JSON Schema it gives (`~standard.jsonSchema`, the Standard
 * JSON Schema extension: zod from 4.2 on; valibot through `toStandardJsonSchema` of `@valibot/to-json-schema`, or
 * through `withJsonSchema`) and checked by the library itself, whose output is what the handler gets.
 * Invariants: a validator answers synchronously unless the library returns a promise; per value it makes one result.
 */

import type { AnySchema, JsonSchema, StandardResult, StandardSchema } from './define.ts';
import { excerpt, SchemaError } from './definition-error.ts';
import { compileJsonSchema } from './json-schema.ts';
import { describeIssues } from './schema-messages.ts';
import { isStandardSchema } from './standard-schema.ts';

export type Validation =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly message: string };
/** A promise only where the library is asynchronous. */
export type Validator = (value: unknown) => Validation | Promise<Validation>;

const TARGET = 'draft-2020-12';

/**
 * The check of a value. `subject` names the value in messages, `owner` the schema in errors; `conforms`: a plain schema
 * was compiled before, and is not checked against its dialect again. Throws `SchemaError` for a schema that cannot be
 * used; a library throws what it likes.
 */
export function compileValidator(
  schema: AnySchema,
  subject = 'arguments',
  owner = 'schema',
  conforms = false,
): Validator {
  if (isStandardSchema(schema)) return standardValidator(schema, subject);
  const violationOf = compileJsonSchema(schema, subject, owner, conforms);
  return (value) => {
    const message = violationOf(value);
    return message === null ? { ok: true, value } : { ok: false, message };
  };
}

function standardValidator(schema: StandardSchema, subject: string): Validator {
  const standard = schema['~standard'];
  const settle = (result: StandardResult<unknown>): Validation =>
    result.issues === undefined
      ? { ok: true, value: result.value }
      : { ok: false, message: describeIssues(result.issues, subject) };
  return (value) => {
    const result = standard.validate(value);
    return result instanceof Promise ? result.then(settle) : settle(result);
  };
}

/**
 * The JSON Schema that lists show: a plain schema itself, untouched; a library's, converted. `direction` matters where
 * a schema transforms. Throws `SchemaError`.
 */
export function listedSchema(schema: AnySchema, direction: 'input' | 'output', owner: string): JsonSchema {
  if (!isStandardSchema(schema)) return schema;
  const standard = schema['~standard'];
  if (standard.jsonSchema === undefined) {
    throw new SchemaError(
      `${owner}: schemas of "${standard.vendor}" do not say what they are in JSON Schema; wrap it: withJsonSchema(schema, { … }), or use the library's own adapter (valibot: toStandardJsonSchema of @valibot/to-json-schema; zod: 4.2 or later)`,
    );
  }
  let json: unknown;
  try {
    json = standard.jsonSchema[direction]({ target: TARGET });
  } catch (cause) {
    throw new SchemaError(
      `${owner}: "${standard.vendor}" cannot express it in JSON Schema: ${cause instanceof Error ? cause.message : cause}`,
    );
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new SchemaError(`${owner}: "${standard.vendor}" gave ${excerpt(json)} instead of a JSON Schema`);
  }
  return json as JsonSchema;
}
