/**
 * The JSON Schema 2020-12 test suite, all required tests, against the validator that tools get.
 * Differences are listed by name with their reasons in `json-schema-exceptions.ts`; a listed one that agrees fails too.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { JsonSchema } from '../../src/catalogue/define.ts';
import { compileValidator, type Validator } from '../../src/catalogue/schema.ts';
import { SUITE_EXCEPTIONS } from './json-schema-exceptions.ts';
import { sharedJson, sharedPath } from './shared-data.ts';

const SUITE = ['reliability', 'corpora', 'json-schema-2020-12', 'tests', 'draft2020-12'];

interface SuiteGroup {
  readonly description: string;
  readonly schema: JsonSchema;
  readonly tests: readonly { readonly description: string; readonly data: unknown; readonly valid: boolean }[];
}

function validatorOf(schema: JsonSchema): Validator | null {
  try {
    return compileValidator(schema);
  } catch {
    return null;
  }
}

/** Descriptions of the tests of a group on which the verdict differs. */
function differences(group: SuiteGroup): string[] {
  const validate = validatorOf(group.schema);
  if (validate === null) return group.tests.map((one) => one.description);
  return group.tests
    .filter((one) => {
      const verdict = validate(one.data);
      assert.ok(!(verdict instanceof Promise), 'plain schemas are checked synchronously');
      return verdict.ok !== one.valid;
    })
    .map((one) => one.description);
}

describe('JSON Schema 2020-12', () => {
  const used = new Set<unknown>();
  const files = readdirSync(sharedPath(...SUITE)).filter((name) => name.endsWith('.json'));

  test('the suite is there', () => {
    assert.ok(files.length > 40, `only ${files.length} files`);
  });

  for (const file of files) {
    test(`the verdicts of ${file}`, () => {
      for (const group of sharedJson(...SUITE, file) as SuiteGroup[]) {
        const exceptions = SUITE_EXCEPTIONS.filter((one) => one.file === file && one.group === group.description);
        const different = differences(group);
        const unlisted = different.filter((name) => !exceptions.some((one) => one.test === '*' || one.test === name));
        assert.deepEqual(unlisted, [], `${file}: ${group.description}`);
        for (const one of exceptions) {
          used.add(one);
          const stale = one.test === '*' ? different.length === 0 : !different.includes(one.test);
          assert.ok(!stale, `${file}: ${group.description}: ${one.test} agrees now; remove the exception`);
        }
      }
    });
  }

  test('every listed exception names a group of the suite', () => {
    assert.deepEqual(
      SUITE_EXCEPTIONS.filter((one) => !used.has(one)),
      [],
    );
  });
});
