/**
 * The streams of a whole runtime, over HTTP and on real worker threads: the same results as on one thread, whatever
 * becomes of the workers (faults 29 and 30).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { callFiveTools, textOf } from '../../clients/five-tools.ts';
import { type Served, serve } from '../../clients/serve.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import { batchesIn, namedCases, streamIn } from '../crash/named-cases.ts';
import { play, tapped } from '../engine/replay-case.ts';
import { openRig } from '../engine/rig.ts';
import { encodeBatch, type OracleCase } from '../oracle/case.ts';
import { compareResults } from '../oracle/compare.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { POISON } from './pool-tools.ts';

const PATIENCE_MS = 240_000;
const SEED = Number(process.env['STREAM_SEED'] ?? 7);
const ENDED = 5;
const ROUNDS = 8;
/** Of a step that does not end; long enough for a thread that has just begun, beside one that takes a processor for itself. */
const TASK_MS_MAX = 1500;
const POOL_TOOLS = new URL(`./pool-tools${extname(import.meta.url)}`, import.meta.url);
const MEDIA = { ndjson: 'application/x-ndjson', 'cloudevents-batch': 'application/cloudevents-batch+json' };

async function post(
  served: Served,
  stream: string,
  headers: Record<string, string>,
  body: Uint8Array | string,
  status = 200,
) {
  const response = await fetch(`http://127.0.0.1:${served.port}/streams/${stream}/events`, {
    method: 'POST',
    headers: { 'content-type': MEDIA.ndjson, ...headers },
    body,
  });
  const answer = (await response.json()) as Record<string, unknown>;
  assert.equal(response.status, status, `${JSON.stringify(answer)}\n${served.log.slice(-5).join('')}`);
  return answer;
}

async function postCase(served: Served, given: OracleCase): Promise<void> {
  for (const batch of batchesIn(given)) {
    const { body, format } = encodeBatch(batch);
    await post(served, batch.stream, { 'content-type': MEDIA[format], 'x-partition': batch.partition }, body);
  }
}

/** Results by what they say; which events they came of goes by the order of all streams' batches. */
function saidBy(lines: readonly string[]): string[] {
  return lines.map((line) => {
    const { context, ...said } = JSON.parse(line) as { readonly context?: unknown };
    return JSON.stringify(said);
  });
}

/** Cases with files as sinks; nothing is refused for being ahead of the real clock. */
function someCases(folder: string, streams: number): OracleCase[] {
  return namedCases({ seed: SEED, streams, batchesMin: 20 }, (stream) => ({
    ...stream,
    time: { ...stream.time, maxFutureMs: 0 },
    sinks: [{ type: 'file', path: join(folder, `${stream.name}.ndjson`) }],
  }));
}

async function checkFiles(cases: readonly OracleCase[]): Promise<void> {
  for (const given of cases) {
    const { name, sinks = [], windows = [] } = streamIn(given);
    const text = readFileSync(String(sinks[0]?.['path']), 'utf8');
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('{"millrace"'));
    const window = windows[0] as WindowDefinition;
    assert.equal(compareResults(await expectedWindows(given), lines, window), '', `${name}: ${JSON.stringify(window)}`);
    const rig = await openRig(tapped(given));
    await play(rig, given);
    assert.deepEqual(saidBy(lines), saidBy(rig.tap.lines()), name);
    await rig.close();
  }
}

test('workers of a pool give what one thread gives', { timeout: PATIENCE_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pool-'));
  const cases = someCases(folder, 8);
  const served = await serve('auto', { workers: 2, streaming: { shards: 4 }, liveStreams: cases.map(streamIn) });
  try {
    await Promise.all(cases.map((given) => postCase(served, given)));
  } finally {
    await served.close();
  }
  await checkFiles(cases);
  rmSync(folder, { recursive: true, force: true });
});

test(`${ENDED} workers that a tool ends take nothing of the streams with them`, { timeout: PATIENCE_MS }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-pool-'));
  const cases = someCases(folder, 6);
  const served = await serve('auto', {
    workers: 2,
    modules: [POOL_TOOLS],
    quarantineAfter: 1000,
    streaming: { shards: 4 },
    liveStreams: cases.map(streamIn),
  });
  let sending = true;
  let ended = 0;
  try {
    const client = new Stateless(served.url);
    const ending = (async () => {
      for (; sending || ended < ENDED; ended++) await client.call('leaves');
    })();
    await Promise.all(cases.map((given) => postCase(served, given)));
    sending = false;
    await ending;
    await postBig(served, cases[0] as OracleCase);
    assert.ok(ended >= ENDED);
  } finally {
    await served.close();
  }
  await checkFiles(cases);
  rmSync(folder, { recursive: true, force: true });
});

test('events that come while a call has the only worker are taken once it has ended', { timeout: 60_000 }, async () => {
  const stream: StreamDefinition = {
    name: 'prices',
    schema: { fields: { symbol: 'string', at: 'integer' }, timestamp: { field: 'at', unit: 'ms' }, key: ['symbol'] },
    windows: [{ name: 'each', type: 'tumbling', sizeMs: 1000, aggregates: { events: 'count' } }],
  };
  const served = await serve('auto', { workers: 1, liveStreams: [stream] });
  try {
    for (let round = 0; round < ROUNDS; round++) {
      let isSpinning = true;
      const spun = new Stateless(served.url).call('spin', { ms: 300 }).then(() => {
        isSpinning = false;
      });
      // One of them is asked for while the worker stands in the call.
      while (isSpinning) await post(served, 'prices', {}, '{"symbol":"a","at":1}\n');
      await spun;
    }
  } finally {
    await served.close();
  }
});

/** The pool goes on: an answer comes. */
async function postBig(served: Served, given: OracleCase): Promise<void> {
  const { name } = streamIn(given);
  const answer = await post(served, name, {}, '{"poison":1}\n');
  assert.deepEqual(answer, { accepted: 0, rejected: 1, late: 0 });
}

test('a reducer that does not end costs its worker and its events, and nothing else', {
  timeout: PATIENCE_MS,
}, async () => {
  const schema = { fields: { at: 'integer', key: 'string', n: 'integer' }, timestamp: { field: 'at' }, key: ['key'] };
  const module = fileURLToPath(POOL_TOOLS);
  const trapped: StreamDefinition = {
    name: 'trapped',
    schema: schema as StreamDefinition['schema'],
    windows: [
      {
        name: 'w',
        type: 'tumbling',
        sizeMs: 10,
        aggregates: { sum: { fn: 'custom', of: 'n', module, export: 'trap' }, n: 'count' },
      },
    ],
  };
  const free: StreamDefinition = {
    name: 'free',
    schema: schema as StreamDefinition['schema'],
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  };
  const served = await serve('auto', {
    workers: 2,
    modules: [POOL_TOOLS],
    builtinTools: true,
    streaming: { shards: 2, maxTaskMs: TASK_MS_MAX },
    liveStreams: [trapped, free],
  });
  try {
    const client = new Stateless(served.url);
    const pid = textOf((await client.call('here')).result);
    const events = (...numbers: number[]): string =>
      numbers.map((n, i) => JSON.stringify({ at: i, key: 'k', n })).join('\n');
    await post(served, 'trapped', {}, events(1, 2, 3));
    const poisoned = post(served, 'trapped', {}, events(4, POISON, 5), 422);
    const others = [
      ...Array.from({ length: 5 }, () => post(served, 'trapped', {}, events(10))),
      ...Array.from({ length: 5 }, () => post(served, 'free', {}, events(1, 2))),
    ];
    // One that shares the worker is lost with it, and answered; those that do not are not delayed.
    assert.notEqual((await client.call('stream_list')).result['isError'], true);
    await Promise.all(others);
    assert.match(String((await poisoned)['error']), /does not count, is kept as dead letter \d+:0 of trapped/);
    await callFiveTools(async (name, args) => (await client.call(name, args)).result);
    for (const stream of ['trapped', 'free']) await post(served, stream, {}, '{"at":100,"key":"k","n":0}');
    const rows = async (stream: string): Promise<unknown> => {
      const query = { stream, window: 'w', include: 'closed' };
      const { structuredContent } = (await client.call('window_query', query)).result;
      return (structuredContent as { rows: { values: unknown }[] }).rows.map(({ values }) => values);
    };
    assert.deepEqual(await rows('trapped'), [{ sum: 56, n: 8 }]);
    assert.deepEqual(await rows('free'), [{ n: 10 }]);
    const left = served.log.filter((line) => line.includes('a step could not be applied and is left out'));
    assert.equal(left.length, 1, served.log.join(''));
    const lost = served.log.filter((line) => line.includes('worker lost'));
    assert.equal(lost.length, 1, 'the step is known by then, and not tried again');
    assert.equal(textOf((await client.call('here')).result), pid);
    assert.equal(pid, String(process.pid));
  } finally {
    await served.close();
  }
});

test('who sent what a reducer throws for hears what it said, and nothing of where its code lies', async () => {
  const module = fileURLToPath(new URL(`../engine/counting-reducer${extname(import.meta.url)}`, import.meta.url));
  const aggregates = { list: { fn: 'custom', of: 'n', module, export: 'fragile' } } as const;
  const stream: StreamDefinition = {
    name: 's',
    schema: { fields: { at: 'integer', n: 'integer' }, timestamp: { field: 'at' } },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates }],
  };
  const served = await serve('auto', { workers: 1, streaming: { shards: 1 }, liveStreams: [stream] });
  try {
    const { error } = await post(served, 's', {}, '{"at":1,"n":-1}', 422);
    assert.match(String(error), /^it cannot be applied: no negative values; it does not count/);
    const told = served.log.find((line) => line.includes('a step could not be applied and is left out')) ?? '';
    assert.match(told, /counting-reducer/, 'the log says where');
  } finally {
    await served.close();
  }
});
