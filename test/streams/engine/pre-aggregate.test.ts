/**
 * Batches with hot keys are aggregated ahead of their shards: same results as event by event, replays included.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { BufferPool } from '../../../src/streams/engine/intake/buffer-pool.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import type { ApplyTask } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { openRig } from './rig.ts';

const aggregates: WindowDefinition['aggregates'] = {
  n: 'count',
  sum: { fn: 'sum', of: 'v' },
  low: { fn: 'min', of: 'v' },
  high: { fn: 'max', of: 'v' },
  big: { fn: 'count', where: 'v > 50' },
};

function streamOf(windows: readonly WindowDefinition[]): StreamDefinition {
  return {
    name: 's',
    schema: { fields: { ts: 'integer', key: 'string', v: 'integer' }, timestamp: { field: 'ts' }, key: ['key'] },
    time: { outOfOrderMs: 200, maxFutureMs: 0, idleAfterMs: 0 },
    windows: [...windows],
    sinks: [{ type: 'tap' }],
  };
}

const tumbling: WindowDefinition = { name: 't', type: 'tumbling', sizeMs: 1000, allowedLatenessMs: 500, aggregates };
const hopping: WindowDefinition = { name: 'h', type: 'hopping', sizeMs: 3000, slideMs: 1000, aggregates };
const collecting: WindowDefinition = {
  name: 'c',
  type: 'tumbling',
  sizeMs: 1000,
  aggregates: { values: { fn: 'collect', of: 'v', limit: 4 } },
};

/** Numbers that follow from a seed: xorshift. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const keyOf = (at: number): string => (at < 90 ? 'hot' : `key ${'long '.repeat(at - 90)}`);

/** Few keys, one of them hot; out of order, some too late. */
function batchesOf(seed: number): object[][] {
  const random = randomOf(seed);
  return Array.from({ length: 6 }, (_, batch) =>
    Array.from({ length: 300 + random(700) }, () => ({
      ts: 100_000 + batch * 900 + random(1500) - (random(40) === 0 ? 3000 : 0),
      key: keyOf(random(100)),
      v: random(100),
    })),
  );
}

interface Outcome {
  readonly lines: readonly string[];
  readonly accepted: readonly unknown[];
  /** Steps that came aggregated. */
  readonly ahead: number;
}

async function run(windows: readonly WindowDefinition[], seed: number, combine: boolean): Promise<Outcome> {
  let ahead = 0;
  const rig = await openRig([streamOf(windows)], {
    threads(parts: ShardParts) {
      const threads = new LocalThreads(
        combine
          ? parts
          : {
              kindOf: (operator) => parts.kindOf(operator),
              attachKeys: (memory, plan, group) => parts.attachKeys(memory, plan, group),
              createKeys: (plan, group) => parts.createKeys(plan, group),
            },
      );
      const apply = threads.apply.bind(threads);
      threads.apply = (task: ApplyTask) => {
        for (const step of task.steps)
          if (step.kind === 'events' && step.partials.some((each) => each !== null)) ahead++;
        return apply(task);
      };
      return threads;
    },
  });
  const accepted: unknown[] = [];
  for (const events of batchesOf(seed)) {
    accepted.push(await rig.send('s', events));
    // What is redone is let go, so that later batches lie in memory that was used before.
    await rig.checkpoint();
  }
  accepted.push(await rig.send('s', [{ ts: 200_000, key: 'end', v: 0 }]));
  await rig.settled();
  const lines = rig.tap.lines().map(withoutOrder);
  assert.deepEqual(rig.troubles, []);
  await rig.close();
  return { lines: lines.toSorted(), accepted, ahead };
}

/** Which of a row's events are named as evidence is the newest by their order, which is the same both ways. */
function withoutOrder(line: string): string {
  const { context, ...result } = JSON.parse(line) as ResultLine;
  return JSON.stringify({ ...result, events: context?.events.toSorted() });
}

describe('hot keys', () => {
  test('aggregated ahead, results are those of the events one by one', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const merged = await run([tumbling, hopping], seed, true);
      const single = await run([tumbling, hopping], seed, false);
      assert.deepEqual(merged.lines, single.lines, `seed ${seed}`);
      assert.deepEqual(merged.accepted, single.accepted, `late events are counted alike, seed ${seed}`);
      assert.ok(merged.lines.length > 50);
      assert.ok(merged.ahead >= 6, `${merged.ahead} steps came aggregated`);
      assert.equal(single.ahead, 0);
    }
  });

  test('a window beside it that needs the events keeps them single', async () => {
    const { ahead, lines } = await run([tumbling, collecting], 1, true);
    assert.equal(ahead, 0);
    assert.deepEqual(lines, (await run([tumbling, collecting], 1, false)).lines);
  });
});

describe('buffers used again', () => {
  test('are large enough and not far too large, and no more are held than may be', () => {
    const pool = new BufferPool(4096);
    assert.equal(pool.take(100), null);
    const [small, large] = [new SharedArrayBuffer(100), new SharedArrayBuffer(1000)];
    pool.give(small);
    pool.give(large);
    assert.equal(pool.bytes, 1100);
    assert.equal(pool.take(101), null);
    assert.equal(pool.take(60), small);
    assert.equal(pool.take(1000), large);
    assert.equal(pool.bytes, 0);
    for (let i = 0; i < 20; i++) pool.give(new SharedArrayBuffer(1000));
    assert.ok(pool.bytes <= 4096);
  });

  test('hold a copy at a place of theirs', () => {
    const pool = new BufferPool(4096);
    pool.give(new SharedArrayBuffer(8));
    const copy = pool.copyOf(Uint8Array.of(1, 2, 3, 4, 5), 0, 5);
    assert.equal(copy.byteLength, 8);
    assert.deepEqual([...new Uint8Array(copy, 0, 5)], [1, 2, 3, 4, 5]);
    const roomy = pool.copyOf(Uint8Array.of(6, 7), 32, 100);
    assert.ok(roomy.byteLength >= 100);
    assert.deepEqual([...new Uint8Array(roomy, 32, 2)], [6, 7]);
  });
});

test('an average that goes by arrival is the same however events are cut into batches', async () => {
  const averages: unknown[] = [];
  for (const size of [100, 300]) {
    const window: WindowDefinition = { ...tumbling, aggregates: { e: { fn: 'ewma', of: 'v', alpha: 0.3 } } };
    const rig = await openRig([streamOf([window])]);
    await rig.send('s', [{ ts: 5, key: 'hot', v: 1000 }]);
    const events = Array.from({ length: 300 }, (_, i) => ({ ts: 1 + i, key: 'hot', v: 1 }));
    for (let i = 0; i < events.length; i += size) await rig.send('s', events.slice(i, i + size));
    await rig.send('s', [{ ts: 5000, key: 'hot', v: 0 }]);
    await rig.settled();
    averages.push(...rig.tap.lines().map((line) => (JSON.parse(line) as ResultLine).values['e']));
    await rig.close();
  }
  assert.equal(averages.length, 2);
  assert.equal(averages[0], averages[1]);
});
