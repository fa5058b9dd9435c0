/** Real files, real events: each test waits for the report of the change it made. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { createCatalogue } from '../../src/catalogue/compile.ts';
import type { ListName } from '../../src/catalogue/entry.ts';
import { type FolderContents, ToolFolder } from '../../src/catalogue/load.ts';
import { watchFolder } from '../../src/catalogue/watch.ts';
import { SETTINGS } from './sample-catalogue.ts';
import { makeToolDir, toolSource } from './tool-dir.ts';

interface Reports {
  /** Resolves with the first report, from now on or unread, that fulfils the condition. */
  until(condition: (contents: FolderContents) => boolean): Promise<FolderContents>;
  readonly error: Promise<Error>;
}

function reportsOf(context: TestContext, folder: ToolFolder): Reports {
  const unread: FolderContents[] = [];
  let wake = (): void => undefined;
  let fail: (error: Error) => void = () => undefined;
  const error = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const watching = watchFolder(
    folder,
    (contents) => {
      unread.push(contents);
      wake();
    },
    fail,
  );
  context.after(() => watching.close());
  return {
    error,
    async until(condition) {
      for (;;) {
        const contents = unread.shift();
        if (contents !== undefined && condition(contents)) return contents;
        if (contents !== undefined) continue;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

const names = (contents: FolderContents): string => contents.definitions.map((one) => one.definition.name).join();
const TIMEOUT = { timeout: 120_000 };

test('adding, changing and removing a file is reported, and swaps the catalogue', TIMEOUT, async (context) => {
  const files = await makeToolDir(context);
  await files.write('a.mjs', toolSource('a', '1'));
  const folder = new ToolFolder(files.dir);
  const catalogue = createCatalogue(SETTINGS);
  catalogue.replace((await folder.load()).definitions);
  const changes: (readonly ListName[])[] = [];
  catalogue.onChange((changed) => changes.push(changed));
  const reports = reportsOf(context, folder);
  const first = catalogue.current;

  await files.write('b.mjs', toolSource('b', '1'));
  catalogue.replace((await reports.until((contents) => names(contents) === 'a,b')).definitions);
  assert.equal(catalogue.current.tool('b')?.name, 'b');
  assert.equal(catalogue.current.tool('a'), first.tool('a'), 'what did not change keeps its entry');

  await files.write('b.mjs', toolSource('b', '1', 'Changed.'));
  catalogue.replace((await reports.until((contents) => contents.changed)).definitions);
  assert.match(catalogue.current.tool('b')?.module?.url ?? '', /\?v=1$/);

  await files.remove('a.mjs');
  catalogue.replace((await reports.until((contents) => names(contents) === 'b')).definitions);
  assert.equal(catalogue.current.tool('a'), undefined);
  assert.equal(first.tool('a')?.name, 'a', 'a request that began before still has it');
  assert.deepEqual(changes, [['tools'], ['tools'], ['tools']]);
});

test('a file that breaks is reported as a problem while its old version stays', TIMEOUT, async (context) => {
  const files = await makeToolDir(context);
  await files.write('a.mjs', toolSource('a', '1'));
  const folder = new ToolFolder(files.dir);
  await folder.load();
  const reports = reportsOf(context, folder);
  await files.write('a.mjs', 'export const = 1;');
  const broken = await reports.until((contents) => contents.problems.length > 0);
  assert.equal(names(broken), 'a');
  assert.match(broken.problems[0]?.message ?? '', /a\.mjs: SyntaxError/);
  await files.write('a.mjs', toolSource('a', '2'));
  await reports.until((contents) => contents.problems.length === 0);
});

test('a change made before the watch began is found', TIMEOUT, async (context) => {
  const files = await makeToolDir(context);
  const folder = new ToolFolder(files.dir);
  await folder.load();
  await files.write('late.mjs', toolSource('late', '1'));
  await reportsOf(context, folder).until((contents) => names(contents) === 'late');
});

test('a folder that disappears is an error, not an exception', TIMEOUT, async (context) => {
  const files = await makeToolDir(context);
  const folder = new ToolFolder(files.dir);
  await folder.load();
  const reports = reportsOf(context, folder);
  await rm(files.dir, { recursive: true });
  assert.match((await reports.error).message, /ENOENT/);
});
