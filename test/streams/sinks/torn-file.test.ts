/**
 * A file whose last batch was torn, however large that was: what is behind its newest mark goes, and nothing else.
 */
import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FileSink } from '../../../src/streams/sinks/file-sink.ts';

/** A window of a million keys closes with as much. Zeros take no room on the disk. */
const TORN_BYTES = 300 * 1024 * 1024;
const PATIENCE_MS = 240_000;

async function withFile(use: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'torn-'));
  try {
    await use(join(folder, 'results.ndjson'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** One batch, and where the file ends with it. */
async function written(path: string): Promise<number> {
  const sink = new FileSink(path);
  await sink.open();
  await sink.write({ seq: 7.5, lines: ['{"n":1}'] });
  await sink.close();
  return sink.size;
}

test('what was torn is cut off though it is very large', { timeout: PATIENCE_MS }, async () => {
  await withFile(async (path) => {
    const size = await written(path);
    await truncate(path, size + TORN_BYTES);
    const sink = new FileSink(path);
    assert.deepEqual([await sink.open(), sink.size], [7.5, size]);
    await sink.close();
    assert.equal((await readFile(path)).length, size);
  });
});

test('the mark is found wherever it stands in what is read at a time', async () => {
  const partBytes = 1024 * 1024;
  for (let behind = partBytes - 40; behind <= partBytes + 1; behind++) {
    await withFile(async (path) => {
      const size = await written(path);
      await appendFile(path, 'x'.repeat(behind));
      const sink = new FileSink(path);
      assert.deepEqual([await sink.open(), sink.size], [7.5, size], `${behind} bytes behind it`);
      await sink.close();
    });
  }
});
