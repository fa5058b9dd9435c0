/**
 * One record that leads to very many results for another stream: they become its events in several batches, each event
 * once and in time, whatever ends meanwhile, and what is more than may come of one record is left out and told.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine, StreamCounters } from '../../../src/streams/engine/port.ts';
import { Derivations, type DerivedBounds, type DerivedPorts } from '../../../src/streams/engine/results/derivations.ts';
import { cutEvent } from '../../../src/streams/engine/results/result-event.ts';
import { bytesOfLines } from '../../../src/streams/lines/lines-of.ts';
import { BETWEEN_RECORDS } from '../../../src/streams/operator.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type RigOptions } from './rig.ts';

const time = { outOfOrderMs: 0, maxFutureMs: 0, idleAfterMs: 0 };
const KEYS = 5;
const SIZE_MS = 3000;
/** So long that a few thousand results are more than a batch. */
const keyOf = (i: number): string => `${i}`.padStart(1500, 'k');

const STREAMS: StreamDefinition[] = [
  {
    name: 's',
    schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
    time,
    windows: [{ name: 'w', type: 'hopping', sizeMs: SIZE_MS, slideMs: 1, aggregates: { n: 'count' } }],
    sinks: [{ type: 'stream', stream: 'd' }],
  },
  {
    name: 'd',
    schema: { fields: { end: 'integer', k: 'string', n: 'integer' }, timestamp: { field: 'end' }, key: ['k'] },
    time,
    windows: [
      { name: 'v', type: 'tumbling', sizeMs: 100, aggregates: { results: 'count', n: { fn: 'sum', of: 'n' } } },
    ],
    sinks: [{ type: 'tap' }],
  },
];

interface Played {
  readonly counters: StreamCounters;
  readonly troubles: readonly string[];
}

async function play(options: RigOptions): Promise<Played> {
  const rig = await openRig(STREAMS, { resultsAtOnce: 500, ...options });
  const first = Array.from({ length: KEYS }, (_, i) => ({ at: 10_000, k: keyOf(i) }));
  await rig.send('s', first);
  await rig.send('s', [{ at: 20_000, k: keyOf(0) }]);
  await rig.settled();
  const facts = (await rig.service.list()).find(({ name }) => name === 'd');
  await rig.abandon();
  return { counters: facts?.counters as StreamCounters, troubles: rig.troubles.map(({ message }) => message) };
}

describe('many results of one record as events', () => {
  test('are several batches, and none of them is late', async () => {
    const tap = createTap();
    const { counters, troubles } = await play({ tap });
    assert.deepEqual(troubles, []);
    assert.equal(counters.accepted, KEYS * SIZE_MS);
    assert.equal(counters.late, 0);
    assert.ok(counters.batches > 1, `${counters.batches} batches`);
    const results = tap.lines().map((line) => JSON.parse(line) as ResultLine);
    const sums = results.map(({ values }) => values['n']);
    // Of windows of 100 ms: the last one is open, the first one lacks what would end with its start.
    assert.equal(sums.length, (KEYS * SIZE_MS) / 100);
    assert.deepEqual(new Set(sums), new Set([99, 100]));
    assert.equal(new Set(results.map(({ id }) => id)).size, results.length);
  });

  test('reach a sink once and in order, wherever a process ends', async () => {
    const whole = createTap();
    await play({ tap: whole });
    const batches = whole.batches.length;
    assert.ok(batches > 2, `${batches} batches`);
    for (let taken = 0; taken <= batches; taken++) {
      const stores = lastingStores();
      const tap = createTap();
      tap.refuse = () => {
        if (tap.batches.length >= taken) throw new Error('the process is gone');
      };
      await play({ tap, stores });
      tap.refuse = () => undefined;
      const rig = await openRig(STREAMS, { resultsAtOnce: 500, tap, stores });
      await rig.settled();
      await rig.abandon();
      assert.deepEqual(tap.lines(), whole.lines(), `after ${taken} batches`);
    }
  });
});

describe('what is gathered of one record', () => {
  const plan = compilePlan(STREAMS, { epoch: 1, shards: 1 });
  const lineOf = (n: number): string =>
    `{"stream":"s","name":"w","id":"${n}","key":{"k":"a"},"start":1,"end":2,"pane":0,"timing":"on-time","final":true,"values":{"n":${n}},"context":{"events":["1:0"],"traces":[],"correlationIds":[]}}`;
  const eventBytes = Buffer.byteLength(`${cutEvent(lineOf(10))}\n`);

  /** Batches, as numbers in their events, and results left out. */
  function given(bounds: DerivedBounds, parts: readonly (readonly number[])[]): unknown {
    const derivations = new Derivations(plan, [{ operator: 0, target: 1 }], bounds);
    for (const [part, numbers] of parts.entries()) {
      const seq = part === parts.length - 1 ? 7 : 7 - (1 - (part + 1) / 1024) / BETWEEN_RECORDS;
      const lines = bytesOfLines(numbers.map(lineOf));
      derivations.collect({ seq, operator: 0, shard: 0, output: '', count: numbers.length, start: 0, end: 0, lines });
    }
    const batches: unknown[] = [];
    const left: unknown[] = [];
    const ports: DerivedPorts = {
      derive(stream, seq, events) {
        const texts = events.body(null).toString().trimEnd().split('\n');
        batches.push([stream, (seq - 7) * BETWEEN_RECORDS, texts.map((text) => (JSON.parse(text) as { n: number }).n)]);
      },
      leftOut: (stream, record, results) => left.push([stream, record, results]),
    };
    derivations.done(7, ports);
    const waiting = batches.length;
    for (let n = 1; n <= waiting; n++) {
      assert.deepEqual(left, [], 'told when all is applied');
      derivations.done(7 + n / BETWEEN_RECORDS, ports);
    }
    return { batches, left };
  }

  const bounds = { batchBytes: 2 * eventBytes, recordBytesMax: 7 * eventBytes };

  test('is cut between parts, and given numbers in its order', () => {
    assert.deepEqual(given(bounds, [[10], [11, 12], [13], [14]]), {
      batches: [
        [1, 1, [10, 11, 12]],
        [1, 2, [13, 14]],
      ],
      left: [],
    });
  });

  test('has a bound: the last ones are left out, however they come', () => {
    const batches = [
      [1, 1, [10, 11, 12]],
      [1, 2, [13, 14, 15, 16]],
    ];
    assert.deepEqual(given(bounds, [[10, 11, 12], [13, 14, 15, 16, 17, 18], [], [1, 2]]), {
      batches,
      left: [[1, 7, 4]],
    });
    assert.deepEqual(given(bounds, [[10, 11, 12], [13, 14, 15, 16], [17]]), { batches, left: [[1, 7, 1]] });
    const none = given({ ...bounds, recordBytesMax: eventBytes - 1 }, [[10], [1]]);
    assert.deepEqual(none, { batches: [], left: [[1, 7, 2]] });
  });
});
