/**
 * Standard Schema at the authoring side: recognising one, and giving one the JSON Schema it cannot give itself.
 *
 * Role: kept apart from `schema.ts` so that a tool module that only defines something does not load a validator.
 */
import type { JsonSchema, StandardSchema } from './define.ts';

/** Whether it is a Standard Schema. Some libraries' schemas are functions. */
export function isStandardSchema(schema: unknown): schema is StandardSchema {
  if ((typeof schema !== 'object' && typeof schema !== 'function') || schema === null) return false;
  const standard = (schema as Partial<StandardSchema>)['~standard'];
  return typeof standard === 'object' && standard !== null && typeof standard.validate === 'function';
}

/**
 * A library's schema paired with the JSON Schema that lists show for it, for libraries that offer none (valibot
 * without `@valibot/to-json-schema`). The library still checks values; keeping the two in step is the author's.
 */
export function withJsonSchema<Input, Output>(
  schema: StandardSchema<Input, Output>,
  json: JsonSchema,
): StandardSchema<Input, Output> {
  const { version, vendor, validate } = schema['~standard'];
  const give = (): Record<string, unknown> => json;
  return { '~standard': { version, vendor, validate, jsonSchema: { input: give, output: give } } };
}
