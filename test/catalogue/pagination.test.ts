import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { MutableCatalogue } from '../../src/catalogue/compile.ts';
import { type Definition, defineTool } from '../../src/catalogue/define.ts';
import { REVISION_2025_11_25, REVISION_2026_07_28, type Revision } from '../../src/protocol/revisions.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';
import { catalogueOf, passed } from './sample-catalogue.ts';

const tool = (name: string): Definition => defineTool({ name }, () => name);

interface Page {
  readonly tools: readonly { readonly name: string }[];
  readonly nextCursor?: string;
}

function page(catalogue: MutableCatalogue, cursor: string | undefined, revision: Revision = REVISION_2026_07_28): Page {
  const bytes = catalogue.current.list('tools', revision, cursor);
  assert.ok(bytes !== null, `cursor refused: ${cursor}`);
  return JSON.parse(Buffer.from(bytes).toString('utf8')) as Page;
}

function allNames(catalogue: MutableCatalogue, revision: Revision): string[] {
  const names: string[] = [];
  let cursor: string | undefined;
  do {
    const { tools, nextCursor } = page(catalogue, cursor, revision);
    names.push(...tools.map((one) => one.name));
    cursor = nextCursor;
  } while (cursor !== undefined);
  return names;
}

const names = fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9_.-]{1,12}$/), { maxLength: 30 });

describe('pages', () => {
  test('put together are the whole list, each entry once, in one order', () => {
    fc.assert(
      fc.property(names, fc.integer({ min: 1, max: 12 }), (given, pageSize) => {
        const catalogue = catalogueOf(given.map(tool), { pageSize });
        for (const revision of [REVISION_2025_11_25, REVISION_2026_07_28]) {
          assert.deepEqual(allNames(catalogue, revision), [...given].sort());
        }
      }),
      { numRuns: 60 },
    );
  });

  test('hold no more than the page size, and the last one has no cursor', () => {
    const catalogue = catalogueOf(['a', 'b', 'c', 'd'].map(tool), { pageSize: 2 });
    const first = page(catalogue, undefined);
    assert.equal(first.tools.length, 2);
    const second = page(catalogue, first.nextCursor);
    assert.deepEqual(
      second.tools.map((one) => one.name),
      ['c', 'd'],
    );
    assert.equal(second.nextCursor, undefined);
  });

  test('neither skip nor repeat what stays while entries come and go', () => {
    fc.assert(
      fc.property(names, names, fc.integer({ min: 1, max: 5 }), (before, after, pageSize) => {
        const catalogue = catalogueOf(before.map(tool), { pageSize });
        const first = page(catalogue, undefined);
        catalogue.replace(after.map(tool).map(passed));
        const last = first.tools.at(-1)?.name;
        if (first.nextCursor === undefined || last === undefined) return;
        const rest: string[] = [];
        let cursor: string | undefined = first.nextCursor;
        while (cursor !== undefined) {
          const next = page(catalogue, cursor);
          rest.push(...next.tools.map((one) => one.name));
          cursor = next.nextCursor;
        }
        assert.deepEqual(rest, after.filter((name) => name > last).sort());
      }),
      { numRuns: 60 },
    );
  });

  test('a cursor means the same on another node with the same secret', () => {
    const one = catalogueOf(['c', 'a', 'b'].map(tool), { pageSize: 1 });
    const two = catalogueOf(['a', 'c', 'b'].map(tool), { pageSize: 1 });
    const { nextCursor } = page(one, undefined);
    assert.deepEqual(page(two, nextCursor).tools, page(one, nextCursor).tools);
  });

  test('cursors of another list, of another secret and invented ones are refused', () => {
    const catalogue = catalogueOf(['a', 'b'].map(tool), { pageSize: 1 });
    const { nextCursor } = page(catalogue, undefined);
    assert.equal(catalogue.current.list('prompts', REVISION_2026_07_28, nextCursor), null);
    const stranger = catalogueOf(['a', 'b'].map(tool), { pageSize: 1, secret: SharedSecret.of('other') });
    assert.equal(stranger.current.list('tools', REVISION_2026_07_28, nextCursor), null);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (cursor) => {
        assert.equal(catalogue.current.list('tools', REVISION_2026_07_28, cursor), null);
      }),
    );
  });
});
