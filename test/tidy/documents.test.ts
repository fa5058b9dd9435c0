/** What documents name is there: files that are renamed or deleted would leave them behind. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from './source-tree.ts';

const ROOT = projectRoot();
const filesUnder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((path) => `/${folder}/${path}`);
const SOURCES = ['src', 'workers', 'bench', 'test'].flatMap(filesUnder);

/** Names in a text that no path ends with. `*` stands for a part of a name. */
const missing = (text: string, name: RegExp, pathOf: (named: string) => string): string[] =>
  [...text.matchAll(name)]
    .map(([named]) => named)
    .filter((named) => {
      const pattern = pathOf(named.replace(/^.*\*\//, ''))
        .replaceAll('.', '\\.')
        .replaceAll('*', '[^/]*');
      return !SOURCES.some((path) => new RegExp(`/${pattern}$`).test(path));
    });

const FILE = /[\w*./-]*[\w*-]\.c?ts\b/g;

test('what is not there is found', () => {
  const text = '`entry.cts`, dispatch/sender.ts, `streams/*/redis-*.ts`, `nowhere.ts`, `protocol/sender.ts`';
  assert.deepEqual(
    missing(text, FILE, (named) => named),
    ['nowhere.ts', 'protocol/sender.ts'],
  );
});

test('files that ARCHITECTURE.md names', () => {
  const text = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  assert.ok((text.match(FILE)?.length ?? 0) > 50);
  assert.deepEqual(
    missing(text, FILE, (named) => named),
    [],
  );
});

test('tests that src/streams/SPEC.md names', () => {
  const text = readFileSync(join(ROOT, 'src/streams/SPEC.md'), 'utf8');
  const named = /[\w./-]*[\w-]\.test\b/g;
  assert.ok((text.match(named)?.length ?? 0) > 50);
  assert.deepEqual(
    missing(text, named, (name) => (name.startsWith('../') ? `test/${name.slice(3)}.ts` : `test/streams/${name}.ts`)),
    [],
  );
});
