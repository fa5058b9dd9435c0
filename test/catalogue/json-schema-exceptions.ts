/**
 * Where millrace knowingly differs from the JSON Schema 2020-12 test suite: file, group, test, and why.
 *
 * Role: read by `json-schema-suite.test.ts`, which also fails when one of these starts to agree.
 * `*` for the test stands for every test of the group that differs; at least one must.
 */
export interface SuiteException {
  readonly file: string;
  readonly group: string;
  readonly test: string;
  readonly reason: string;
}

/** The schema is refused when the tool is registered, so no value is ever judged wrongly. */
const REMOTE = 'refused at registration: nothing is loaded from elsewhere';
const DYNAMIC_REFUSED = 'refused at registration: ajv takes only fragments in $dynamicRef';
const CIRCLE = 'refused at registration: ajv cannot resolve an $id that is relative to another $id';
const METASCHEMA = 'refused at registration: a dialect of its own';
const EMPTY_ENUM = 'refused at registration: an enum that allows nothing is taken for a mistake';
/** The verdict on some values differs. */
const ASSERTED = 'formats are asserted: an author who writes one expects it to be checked';
const DYNAMIC = 'ajv resolves $dynamicRef only to anchors of the dynamic scope it has entered by $ref';
const CONTAINS = 'ajv does not count items that contains found as evaluated';
const NESTED_ITEMS = 'ajv does not see items evaluated by an adjacent subschema before unevaluatedItems';
const IF_ALONE = 'ajv skips an if that lacks then or else, with what it evaluated';
const PROTO = 'ajv never looks at a property called __proto__';

const group = (file: string, name: string, reason: string, test = '*'): SuiteException => ({
  file,
  group: name,
  test,
  reason,
});

const DYNAMIC_WRONG = [
  'A $dynamicRef to a $dynamicAnchor in the same schema resource behaves like a normal $ref to an $anchor',
  'A $dynamicRef to an $anchor in the same schema resource behaves like a normal $ref to an $anchor',
  'A $dynamicRef resolves to the first $dynamicAnchor still in scope that is encountered when the schema is evaluated',
  'A $dynamicRef without anchor in fragment behaves identical to $ref',
  "A $dynamicRef with intermediate scopes that don't include a matching $dynamicAnchor does not affect dynamic scope resolution",
  'An $anchor with the same name as a $dynamicAnchor is not used for dynamic scope resolution',
  'A $dynamicRef without a matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor',
  'A $dynamicRef with a non-matching $dynamicAnchor in the same schema resource behaves like a normal $ref to $anchor',
  'multiple dynamic paths to the $dynamicRef keyword',
  '$dynamicRef points to a boolean schema',
  '$dynamicRef skips over intermediate resources - direct reference',
  '$dynamicRef avoids the root of each schema, but scopes are still registered',
];
const DYNAMIC_FRAGMENT_ONLY = [
  'A $dynamicRef that initially resolves to a schema with a matching $dynamicAnchor resolves to the first $dynamicAnchor in the dynamic scope',
  'A $dynamicRef that initially resolves to a schema without a matching $dynamicAnchor behaves like a normal $ref to $anchor',
  'after leaving a dynamic scope, it is not used by a $dynamicRef',
];
const DYNAMIC_REMOTE = [
  'strict-tree schema, guards against misspelled properties',
  'tests for implementation dynamic anchor and reference link',
  '$ref and $dynamicAnchor are independent of order - $defs first',
  '$ref and $dynamicAnchor are independent of order - $ref first',
  '$ref to $dynamicRef finds detached $dynamicAnchor',
];
const REMOTE_GROUPS = [
  'remote ref',
  'fragment within remote ref',
  'anchor within remote ref',
  'ref within remote ref',
  'base URI change',
  'base URI change - change folder',
  'base URI change - change folder in subschema',
  'root ref in remote ref',
  'remote ref with ref to defs',
  'Location-independent identifier in remote ref',
  'retrieved nested refs resolve relative to their URI not $id',
  'remote HTTP ref with different $id',
  'remote HTTP ref with different URN $id',
  'remote HTTP ref with nested absolute ref',
  '$ref to $ref finds detached $anchor',
];
const FORMATS = [
  'email',
  'regex',
  'ipv4',
  'ipv6',
  'hostname',
  'date',
  'date-time',
  'time',
  'json-pointer',
  'relative-json-pointer',
  'uri',
  'uri-reference',
  'uri-template',
  'uuid',
  'duration',
];

export const SUITE_EXCEPTIONS: readonly SuiteException[] = [
  ...DYNAMIC_WRONG.map((name) => group('dynamicRef.json', name, DYNAMIC)),
  ...DYNAMIC_FRAGMENT_ONLY.map((name) => group('dynamicRef.json', name, DYNAMIC_REFUSED)),
  ...DYNAMIC_REMOTE.map((name) => group('dynamicRef.json', name, REMOTE)),
  ...REMOTE_GROUPS.map((name) => group('refRemote.json', name, REMOTE)),
  ...FORMATS.map((name) =>
    group('format.json', `${name} format`, ASSERTED, `invalid ${name} string is only an annotation by default`),
  ),
  group('enum.json', 'empty enum', EMPTY_ENUM),
  group('properties.json', 'properties whose names are Javascript object property names', PROTO, '__proto__ not valid'),
  group('ref.json', 'refs with relative uris and defs', CIRCLE),
  group('ref.json', 'relative refs with absolute uris and defs', CIRCLE),
  group('ref.json', 'URN ref with nested pointer ref', CIRCLE),
  group('unevaluatedItems.json', 'unevaluatedItems with nested items', NESTED_ITEMS),
  group('unevaluatedItems.json', 'unevaluatedItems with $dynamicRef', DYNAMIC),
  group('unevaluatedItems.json', 'unevaluatedItems depends on adjacent contains', CONTAINS),
  group('unevaluatedItems.json', 'unevaluatedItems depends on multiple nested contains', CONTAINS),
  group(
    'unevaluatedItems.json',
    'unevaluatedItems and contains interact to control item dependency relationship',
    CONTAINS,
  ),
  group('unevaluatedItems.json', 'unevaluatedItems with minContains = 0', CONTAINS),
  group('unevaluatedItems.json', 'unevaluatedItems can see annotations from if without then and else', IF_ALONE),
  group('unevaluatedProperties.json', 'unevaluatedProperties with if/then/else, then not defined', IF_ALONE),
  group('unevaluatedProperties.json', 'unevaluatedProperties with $dynamicRef', DYNAMIC),
  group(
    'unevaluatedProperties.json',
    'unevaluatedProperties can see annotations from if without then and else',
    IF_ALONE,
  ),
  group('vocabulary.json', 'schema that uses custom metaschema with with no validation vocabulary', METASCHEMA),
  group('vocabulary.json', 'ignore unrecognized optional vocabulary', METASCHEMA),
];
