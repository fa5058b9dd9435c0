/**
 * A file that somebody rotates while the sink writes it, as logrotate does: whatever becomes of it, results that come later
 * are found at its path, those before are not written again, and nothing of either is destroyed.
 */
import assert from 'node:assert/strict';
import { access, copyFile, mkdtemp, readFile, rename, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { FileSink } from '../../../src/streams/sinks/file-sink.ts';
import { failingHandles } from './failing-handles.ts';

interface Rotated {
  readonly path: string;
  readonly sink: FileSink;
}

/** With one batch in its file. */
async function withRotated(use: (rotated: Rotated) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'rotated-'));
  const path = join(folder, 'results.ndjson');
  const sink = new FileSink(path);
  try {
    await sink.open();
    await sink.write({ seq: 7, lines: ['{"n":1}'] });
    await use({ path, sink });
  } finally {
    await sink.close();
    await rm(folder, { recursive: true });
  }
}

const FIRST = '{"millrace":{"seq":0}}\n{"n":1}\n{"millrace":{"seq":7}}\n';
const SECOND = '{"millrace":{"seq":7}}\n{"n":2}\n{"millrace":{"seq":9}}\n';
const second = { seq: 9, lines: ['{"n":2}'] };

const WAYS: readonly [string, (path: string) => Promise<void>][] = [
  ['moved away', (path) => rename(path, `${path}.1`)],
  [
    'moved away, with an empty one in its place',
    async (path) => {
      await rename(path, `${path}.1`);
      await writeFile(path, '');
    },
  ],
  ['deleted', unlink],
  [
    'copied and emptied',
    async (path) => {
      await copyFile(path, `${path}.1`);
      await truncate(path);
    },
  ],
];

describe('a file that is rotated', () => {
  for (const [how, rotate] of WAYS) {
    test(`${how} is begun anew with its place`, async () => {
      await withRotated(async ({ path, sink }) => {
        await rotate(path);
        await sink.write(second);
        assert.equal(await readFile(path, 'utf8'), SECOND);
        if (how !== 'deleted') assert.equal(await readFile(`${path}.1`, 'utf8'), FIRST);
        await sink.close();
        const next = new FileSink(path);
        assert.equal(await next.open(), 9);
        await next.close();
      });
    });
  }

  test('whose first mark was torn is begun anew by the next start', async () => {
    await withRotated(async ({ path, sink }) => {
      await sink.close();
      for (const torn of ['{"mill', '{"millrace":{"seq":', '{"millrace":{"seq":4711.25', '{"millrace":{"seq":4711}}']) {
        await writeFile(path, torn);
        const next = new FileSink(path);
        assert.equal(await next.open(), 0, torn);
        await next.close();
        assert.equal(await readFile(path, 'utf8'), '{"millrace":{"seq":0}}\n');
      }
    });
  });

  test('and cannot be begun anew stays as it was, wherever it is by then', async () => {
    await withRotated(async ({ path, sink }) => {
      await rename(path, `${path}.1`);
      await failingHandles('appendFile');
      await assert.rejects(sink.write(second), /ENOSPC/);
      await rename(`${path}.1`, path);
      await sink.write(second);
      assert.equal(await readFile(path, 'utf8'), `${FIRST}{"n":2}\n{"millrace":{"seq":9}}\n`);
    });
  });

  test('into somebody else’s is refused and left alone until that goes', async () => {
    await withRotated(async ({ path, sink }) => {
      await rename(path, `${path}.1`);
      await writeFile(path, 'notes\n');
      await assert.rejects(sink.write(second), /has content, but not of this sink/);
      assert.equal(await readFile(path, 'utf8'), 'notes\n');
      await unlink(path);
      await sink.write(second);
      assert.equal(await readFile(path, 'utf8'), SECOND);
      await access(`${path}.1`);
    });
  });
});
