/**
 * A plan whose reducers cannot be loaded in a thread: tried again, and when it stays so, nothing accepted is left out.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { WorkerLoad } from '../../../src/dispatch/flights.ts';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import {
  type DecodeTask,
  PlanNotLoaded,
  type StreamAnswer,
  type StreamMessage,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { PoolThreads } from '../../../src/streams/engine/threads/pool-threads.ts';
import { answerStream } from '../../../workers/stream-tasks.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const COUNTED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
};

const REDUCER = `export const one = { init: () => 0, add: (n) => n + 1, merge: (a, b) => a + b, result: (n) => n };`;

function planWith(module: string) {
  const aggregates = { n: { fn: 'custom' as const, module, export: 'one' } };
  const windows = [{ name: 'w', type: 'tumbling' as const, sizeMs: 10, aggregates }];
  return compilePlan([{ ...COUNTED, windows }], { epoch: 1, shards: 1 });
}

test('a worker says which module it cannot load, and loads it the next time', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reducers-'));
  try {
    for (const [name, broken] of [
      ['missing.mjs', null],
      ['broken.mjs', 'throw new Error("not today");'],
      ['other.mjs', 'export const two = 2;'],
    ] as const) {
      const module = join(folder, name);
      if (broken !== null) writeFileSync(module, broken);
      const message: StreamMessage = { engine: 900, life: 1, plan: planWith(module), task: null };
      const refused = await answerStream(message);
      assert.ok(!refused.ok && refused.message.includes(module), JSON.stringify(refused));
      writeFileSync(module, REDUCER);
      assert.deepEqual(await answerStream(message), { ok: true, result: null }, name);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

const TASK = { kind: 'decode', epoch: 1 } as DecodeTask;

function poolOf(answer: (message: StreamMessage) => StreamAnswer): { threads: PoolThreads; told: StreamMessage[] } {
  const told: StreamMessage[] = [];
  const worker = new WorkerLoad({ index: 0, threadId: 1 }, 0);
  const threads = new PoolThreads({
    size: 1,
    workers: () => [worker],
    run(_worker, message) {
      told.push(message);
      return Promise.resolve(answer(message));
    },
    isInCall: () => false,
    kill: () => undefined,
  });
  threads.usePlan(planWith('m'));
  return { threads, told };
}

test('a thread that could not take a plan is given it again, and no task before it', async () => {
  let loads = 0;
  const { threads, told } = poolOf(({ task }) => {
    if (task !== null) return { ok: true, result: null };
    loads += 1;
    return loads < 3
      ? { ok: false, message: 'reducer module m cannot be loaded', stack: '', spill: null, isNotKept: false }
      : { ok: true, result: null };
  });
  await Promise.all([threads.decode(TASK), threads.decode(TASK)]);
  assert.equal(loads, 3);
  assert.deepEqual(
    told.map(({ plan, task }) => [plan !== null, task !== null]),
    [...Array.from({ length: 3 }, () => [true, false]), [false, true], [false, true]],
  );
});

test('a plan that no thread can take is told by the name of its module', async () => {
  const { threads, told } = poolOf(() => ({
    ok: false,
    message: 'reducer module m cannot be loaded',
    stack: '',
    spill: null,
    isNotKept: false,
  }));
  await assert.rejects(threads.decode(TASK), {
    name: 'PlanNotLoaded',
    message: 'reducer module m cannot be loaded',
  });
  assert.ok(told.every(({ task }) => task === null));
});

for (const kind of ['decode', 'apply'] as const) {
  test(`when no thread can ${kind}, the streams stop, and what was accepted counts after the next start`, async () => {
    const stores = lastingStores();
    const broken = await openRig([COUNTED], {
      stores,
      threads(parts) {
        const threads = new LocalThreads(parts);
        const fails = () => Promise.reject(new PlanNotLoaded('reducer module m cannot be loaded'));
        return {
          size: 1,
          usePlan: (plan) => threads.usePlan(plan),
          decode: (task) => (kind === 'decode' ? fails() : threads.decode(task)),
          apply: (task) =>
            kind === 'apply' && task.steps.some((step) => step.kind === 'events') ? fails() : threads.apply(task),
        };
      },
    });
    const unanswered = broken.send('s', [{ at: 1 }, { at: 2 }]);
    await assert.rejects(unanswered);
    assert.deepEqual(broken.service.degraded, ['streams']);
    assert.match(
      JSON.stringify(broken.troubles.map(({ fields }) => String((fields as { err?: unknown }).err))),
      /module m/,
    );
    await broken.abandon();

    const rig = await openRig([COUNTED], { stores });
    await rig.send('s', [{ at: 50 }]);
    assert.deepEqual(
      (await rig.rows('s', 'w')).map(({ values }) => values),
      [{ n: 2 }],
    );
    await rig.close();
  });
}
