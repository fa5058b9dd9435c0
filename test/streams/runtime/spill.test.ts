/**
 * State on disk, read and written by the workers of a pool: the same results as in memory on one thread, while workers
 * end and files are damaged.
 */
import assert from 'node:assert/strict';
import { readFileSync, truncateSync } from 'node:fs';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type Served, serve } from '../../clients/serve.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import {
  ALL_AWAY,
  batchesOf,
  newestFiles,
  Rigs,
  type SpillBatch,
  spillFiles,
  streamsWith,
} from '../engine/spill-case.ts';
import { Scratch } from '../log/scratch.ts';

const PATIENCE_MS = 240_000;
const ENDED = 3;
const BATCHES = 60;
const POOL_TOOLS = new URL(`./pool-tools${extname(import.meta.url)}`, import.meta.url);

async function post(served: Served, { events, stream }: SpillBatch): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${served.port}/streams/${stream}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: events.map((event) => JSON.stringify(event)).join('\n'),
  });
  assert.equal(response.status, 200, `${await response.text()}\n${served.log.slice(-5).join('')}`);
}

/** The clock is the real one: nothing is refused for being ahead of it, or far behind. */
const filedTo = (folder: string, limits: StreamDefinition['limits'] & object): StreamDefinition[] =>
  streamsWith(limits).map((stream) => ({
    ...stream,
    durability: 'fsync',
    time: { ...stream.time, maxFutureMs: 0 },
    sinks: [{ type: 'file', path: join(folder, `${stream.name}.ndjson`) }],
  }));

function linesIn(folder: string): string[] {
  return ['orders', 'payments', 'few'].flatMap((name) => {
    const text = readFileSync(join(folder, `${name}.ndjson`), 'utf8');
    return text.split('\n').filter((line) => line !== '' && !line.startsWith('{"millrace"'));
  });
}

async function inMemory(batches: readonly SpillBatch[]): Promise<string[]> {
  await using rigs = new Rigs();
  const rig = await rigs.open(streamsWith({}));
  for (const { events, stream } of batches) await rig.send(stream, events);
  return rig.tap.lines();
}

test('workers that end, and files that are damaged, take nothing of what is on disk with them', {
  timeout: PATIENCE_MS,
}, async () => {
  await using scratch = new Scratch();
  const dataDir = join(scratch.directory, 'data');
  const batches = batchesOf(6, BATCHES);
  const served = await serve('auto', {
    workers: 2,
    modules: [POOL_TOOLS],
    quarantineAfter: 1000,
    streaming: { shards: 4, dataDir },
    liveStreams: filedTo(scratch.directory, ALL_AWAY),
  });
  try {
    const client = new Stateless(served.url);
    for (const batch of batches.slice(0, 20)) await post(served, batch);
    // Nothing is under way: the newest files are those the next round reads.
    const newest = newestFiles(dataDir);
    assert.equal(newest.length, 4);
    for (const file of newest) truncateSync(file, 9);
    let ended = 0;
    let sending = true;
    const ending = (async () => {
      for (; sending || ended < ENDED; ended++) await client.call('leaves');
    })();
    for (const batch of batches.slice(20)) await post(served, batch);
    sending = false;
    await ending;
    const log = served.log.join('');
    assert.ok(log.includes('state on disk is damaged'), 'told');
  } finally {
    await served.close();
  }
  assert.deepEqual(spillFiles(dataDir), []);
  assert.deepEqual(linesIn(scratch.directory).sort(), (await inMemory(batches)).sort());
});
