/**
 * The official schemas as checks: one compiled validator per revision and definition, made on first use.
 *
 * Role: says what is wrong with a value that should be a `ListToolsResult` of 2025-06-18. Revisions from 2025-11-25 on
 * are JSON Schema 2020-12 (`$defs`), older ones draft-07 (`definitions`). Formats are checked: `uri`, `byte`,
 * `date-time` mean something on this wire.
 * A missing schema folder fails with the path it was looked for at (`shared-data.ts`).
 */
import { Ajv, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formatsModule from 'ajv-formats';
import type { Revision } from '../../src/protocol/revisions.ts';
import { sharedJson } from '../catalogue/shared-data.ts';

// The CommonJS export is the function and carries itself as `default`.
const addFormats = formatsModule.default;

const OPTIONS = { strict: false, allErrors: true, logger: false } as const;

interface Schema {
  readonly $schema: string;
  readonly $defs?: Readonly<Record<string, object>>;
  readonly definitions?: Readonly<Record<string, object>>;
}

class OfficialSchema {
  readonly names: ReadonlySet<string>;
  readonly #ajv: Ajv | Ajv2020;
  readonly #prefix: string;
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(revision: Revision) {
    const schema = sharedJson('mcp', 'schema', `${revision.name}.json`) as Schema;
    const modern = schema.$schema.includes('2020-12');
    this.#ajv = modern ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS);
    addFormats(this.#ajv);
    this.#ajv.addSchema(schema, 'official');
    this.#prefix = `official#/${modern ? '$defs' : 'definitions'}/`;
    this.names = new Set(Object.keys((modern ? schema.$defs : schema.definitions) ?? {}));
  }

  problems(name: string, value: unknown): string {
    if (!this.names.has(name)) return `the official schema has no ${name}`;
    let validate = this.#validators.get(name);
    if (validate === undefined) {
      validate = this.#ajv.compile({ $ref: this.#prefix + name });
      this.#validators.set(name, validate);
    }
    return validate(value) ? '' : this.#ajv.errorsText(validate.errors, { dataVar: name });
  }
}

const schemas = new Map<Revision, OfficialSchema>();

function schemaOf(revision: Revision): OfficialSchema {
  let schema = schemas.get(revision);
  if (schema === undefined) {
    schema = new OfficialSchema(revision);
    schemas.set(revision, schema);
  }
  return schema;
}

/** What is wrong with a value of the named definition, or `''`. */
export function shapeProblems(revision: Revision, name: string, value: unknown): string {
  return schemaOf(revision).problems(name, value);
}

export function hasShape(revision: Revision, name: string): boolean {
  return schemaOf(revision).names.has(name);
}
