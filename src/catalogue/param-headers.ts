/**
 * The `x-mcp-header` annotations of an input schema: arguments that clients of 2026-07-28 mirror into headers.
 *
 * Role: found and checked once, at registration. A client drops a tool whose annotations break the rules, so a breach
 * is an error here: the name is an HTTP token, unique in the schema whatever its case; the parameter is a string, an
 * integer or a boolean; and only `properties` lead to it. Annotations inside data (`default`, `enum`, `examples`) and
 * properties that happen to be called `x-mcp-header` are not annotations.
 * Source: Model Context Protocol 2026-07-28, Streamable HTTP, custom headers.
 */
import type { JsonSchema } from './define.ts';
import { excerpt, SchemaError } from './definition-error.ts';
import type { ParamHeader } from './entry.ts';

const ANNOTATION = 'x-mcp-header';
const HEADER_PREFIX = 'mcp-param-';
export const PARAM_HEADERS_MAX = 64;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Keywords whose value is a schema, a row of schemas, or schemas by name. `properties` is the one that is allowed. */
const SCHEMA_KEYWORDS = [
  'items',
  'additionalItems',
  'contains',
  'not',
  'if',
  'then',
  'else',
  'additionalProperties',
  'unevaluatedItems',
  'unevaluatedProperties',
  'propertyNames',
  'contentSchema',
  'allOf',
  'anyOf',
  'oneOf',
  'prefixItems',
];
const MAP_KEYWORDS = ['patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'];

/** Throws `SchemaError`, beginning with `owner`. The schema has been bounded already. */
export function compileParamHeaders(schema: JsonSchema, owner: string): readonly ParamHeader[] {
  const found: ParamHeader[] = [];
  visit(schema, [], true, owner, found);
  return found;
}

function visit(
  schema: unknown,
  path: readonly string[],
  reachable: boolean,
  owner: string,
  found: ParamHeader[],
): void {
  if (Array.isArray(schema)) {
    for (const member of schema) visit(member, path, false, owner, found);
    return;
  }
  if (typeof schema !== 'object' || schema === null) return;
  const node = schema as JsonSchema;
  if (Object.hasOwn(node, ANNOTATION)) found.push(annotated(node, path, reachable, owner, found));
  eachOfMap(node, 'properties', (name, member) => visit(member, [...path, name], reachable, owner, found));
  for (const keyword of SCHEMA_KEYWORDS) visit(node[keyword], [...path, keyword], false, owner, found);
  for (const keyword of MAP_KEYWORDS) {
    eachOfMap(node, keyword, (name, member) => visit(member, [...path, keyword, name], false, owner, found));
  }
}

function eachOfMap(node: JsonSchema, keyword: string, each: (name: string, member: unknown) => void): void {
  const map = node[keyword];
  if (typeof map !== 'object' || map === null || Array.isArray(map)) return;
  for (const [name, member] of Object.entries(map)) each(name, member);
}

function annotated(
  node: JsonSchema,
  path: readonly string[],
  reachable: boolean,
  owner: string,
  others: readonly ParamHeader[],
): ParamHeader {
  const name = node[ANNOTATION];
  const where = `${owner}: ${ANNOTATION} ${excerpt(name)} at ${path.length === 0 ? 'the root' : path.join('/')}`;
  if (typeof name !== 'string' || !TOKEN.test(name)) {
    throw new SchemaError(`${where}: expected the name of an HTTP header (letters, digits and !#$%&'*+-.^_\`|~)`);
  }
  if (!reachable || path.length === 0) {
    throw new SchemaError(`${where}: only "properties" may lead to an annotated parameter`);
  }
  const type = node['type'];
  if (type !== 'string' && type !== 'integer' && type !== 'boolean') {
    throw new SchemaError(`${where}: expected type "string", "integer" or "boolean", got ${excerpt(type)}`);
  }
  const header = HEADER_PREFIX + name.toLowerCase();
  const twin = others.find((other) => other.header === header);
  if (twin !== undefined) {
    throw new SchemaError(`${where}: ${twin.path.join('/')} uses the same header name (case does not count)`);
  }
  if (others.length >= PARAM_HEADERS_MAX) throw new SchemaError(`${where}: more than ${PARAM_HEADERS_MAX} annotations`);
  return { header, path };
}
