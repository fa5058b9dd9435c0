/**
 * The official schemas of the protocol, one per revision, as checks of one named shape.
 */
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Revision } from '../../src/protocol/revisions.ts';
import { sharedJson } from './shared-data.ts';

const OPTIONS = { strict: false, validateFormats: false, allErrors: true, logger: false } as const;

/** What is wrong with a value of the named definition (`ListToolsResult`), or `''`. */
export function officialProblems(revision: Revision, name: string, value: unknown): string {
  const schema = sharedJson('mcp', 'schema', `${revision.name}.json`) as { $schema: string };
  const modern = schema.$schema.includes('2020-12');
  const ajv = modern ? new Ajv2020(OPTIONS) : new Ajv(OPTIONS);
  ajv.addSchema(schema, 'official');
  const validate = ajv.compile({ $ref: `official#/${modern ? '$defs' : 'definitions'}/${name}` });
  return validate(value) ? '' : ajv.errorsText(validate.errors);
}
