/**
 * What a call that has ended leaves running on its thread: found without another call, told by name, ended; and what
 * only looks like it is left alone.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import type { WorkerLoad } from '../../src/dispatch/flights.ts';
import { type Moment, Pulse } from '../../src/dispatch/pulse.ts';
import { compilePlan } from '../../src/streams/define/compile.ts';
import { type Rig, startRig, textOf, until, withPath } from './harness.ts';
import { PlayedRig } from './played-rig.ts';

/** Longer than the looks that make an end of a thread that stands. */
const LONG_MS = 4500;

const lost = (rig: Rig): string[] => rig.log.filter((line) => line.includes('worker lost'));
const loadOf = (rig: Rig): WorkerLoad | null => rig.engine.flights.loads[0] ?? null;

/** Resolves when the process takes less than half a core. */
async function calm(): Promise<void> {
  for (let busy = true; busy; ) {
    const before = process.cpuUsage();
    const beganMs = performance.now();
    await until(() => performance.now() - beganMs > 300);
    const { system, user } = process.cpuUsage(before);
    busy = system + user > 500 * (performance.now() - beganMs);
  }
}

for (const tool of ['loops-later', 'loops-in-microtask']) {
  test(`${tool}: the thread is replaced though no other call comes, and the tool is blamed`, {
    timeout: 180_000,
  }, async () => {
    const rig = await startRig({ workers: 1, quarantineAfter: 1, quarantineMs: 60_000 });
    const thread = loadOf(rig)?.worker.threadId;
    assert.equal(textOf(await rig.call(tool).ended), 'fine');
    await rig.logged('worker lost: it stood without a call');
    assert.match(lost(rig).join(), new RegExp(`"reason":"left-running","entry":"${tool}"`));
    await until(() => rig.engine.liveWorkers() === 1);
    assert.notEqual(loadOf(rig)?.worker.threadId, thread);
    await calm();
    assert.match(await rig.meters.render(), new RegExp(`reason="left-running",entry="${tool}"\\} 1`));
    assert.equal((await rig.call(tool).ended).fault?.name, 'quarantined');
    assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
    await rig.close();
  });
}

test('where others ran before, the last one is named, and none is quarantined', { timeout: 180_000 }, async () => {
  const rig = await startRig({ workers: 1, quarantineAfter: 1, quarantineMs: 60_000 });
  assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  assert.equal(textOf(await rig.call('loops-later').ended), 'fine');
  await rig.logged('"reason":"left-running","entry":"loops-later"');
  assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  assert.equal(textOf(await rig.call('loops-later').ended), 'fine');
  await rig.close();
});

test('a call that computes for long keeps its thread', async () => {
  const rig = await startRig({ workers: 1, killGraceMs: 50 });
  const thread = loadOf(rig)?.worker.threadId;
  assert.equal(textOf(await rig.call('busy', { ms: LONG_MS }).ended), 'spun');
  assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  assert.equal(loadOf(rig)?.worker.threadId, thread);
  assert.deepEqual(lost(rig), []);
  await rig.close();
});

for (const beside of ['no call', 'a call behind it']) {
  test(`a stream's work that takes long keeps its thread: ${beside}`, async () => {
    const rig = await startRig({ workers: 1, killGraceMs: 50 });
    // The thread is known from its first call on.
    assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
    const load = loadOf(rig);
    assert.ok(load);
    await withPath(async (path) => {
      const module = `${path}.mjs`;
      writeFileSync(module, `const end = performance.now() + ${LONG_MS}; while (performance.now() < end);${REDUCER}`);
      const message = { engine: 1, life: 1, plan: planWith(module), task: null };
      const answer = rig.engine.streamPorts().run(load, message);
      if (beside !== 'no call') {
        await until(() => rig.engine.flights.board.streamTasks(0) > 0);
        assert.equal(textOf(await rig.call('polite', { text: 'q' }).ended), 'q');
      }
      assert.deepEqual(await answer, { ok: true, result: null });
    });
    assert.equal(rig.engine.flights.board.streamTasks(0), 0);
    assert.equal(loadOf(rig), load);
    assert.deepEqual(lost(rig), []);
    await rig.close();
  });
}

const REDUCER = 'export const one = { init: () => 0, add: (n) => n + 1, merge: (a, b) => a + b, result: (n) => n };';

function planWith(module: string): ReturnType<typeof compilePlan> {
  const aggregates = { n: { fn: 'custom' as const, module, export: 'one' } };
  const windows = [{ name: 'w', type: 'tumbling' as const, sizeMs: 10, aggregates }];
  const schema = { fields: { at: 'integer' as const }, timestamp: { field: 'at' } };
  return compilePlan([{ name: 's', schema, windows }], { epoch: 1, shards: 1 });
}

test('looks of a second: one that shows nothing in three of them is ended, once', () => {
  const rig = new PlayedRig(true);
  const look = (): number => {
    rig.nowMs += 1000;
    rig.board.beat(1, 0);
    rig.supervisor.idleTick();
    return rig.pool.killed.length;
  };
  assert.deepEqual([look(), look(), look(), look(), look()], [0, 0, 0, 1, 1]);
  assert.deepEqual(
    rig.pool.killed.map(({ index }) => index),
    [0],
  );
});

test('not one that works on a stream, nor one that has never had a call', () => {
  const rig = new PlayedRig(true);
  rig.board.setStreamTasks(0, 1);
  const fresh = rig.flights.loads[1];
  assert.ok(fresh);
  fresh.epoch = -1;
  const look = (times: number): number => {
    for (let i = 0; i < times; i++) {
      rig.nowMs += 1000;
      rig.supervisor.idleTick();
    }
    return rig.pool.killed.length;
  };
  assert.equal(look(10), 0);
  rig.board.setStreamTasks(0, 0);
  assert.equal(look(4), 1);
});

test('a process that is kept from its cores takes longer to say so', () => {
  const rig = new PlayedRig(true);
  rig.cores = 0.01;
  const seconds = (count: number): number => {
    for (let i = 0; i < count; i++) {
      rig.nowMs += 1000;
      rig.board.beat(1, 0);
      rig.supervisor.idleTick();
    }
    return rig.pool.killed.length;
  };
  assert.equal(seconds(20), 0);
  assert.equal(seconds(20), 1);
});

test('a thread stands by time and by looks: a process that got no time for long says nothing', () => {
  const pulse = new Pulse(0);
  const at = (nowMs: number, cpuMs = nowMs): Moment => ({ nowMs, cpuMs });
  pulse.look(1, false, at(0));
  pulse.look(1, false, at(60_000));
  assert.equal(pulse.stands(60_000), false);
  for (let i = 1; i <= 30; i++) pulse.look(1, false, at(60_000 + 10 * i));
  assert.equal(pulse.stands(60_300), true);
  assert.ok(pulse.loopsMs(at(60_300), 1) > 0);
  // Three others may have taken all of it.
  assert.equal(pulse.loopsMs(at(60_300), 4), 0);
  pulse.look(2, false, at(60_310));
  for (let i = 1; i <= 30; i++) pulse.look(2, false, at(60_310 + 10 * i, 60_310 + i));
  assert.equal(pulse.stands(60_610), true);
  assert.equal(pulse.loopsMs(at(60_610, 60_340), 1), 0);
});

test('what a thread does in a call of its own does not count as standing outside of it', () => {
  const pulse = new Pulse(0);
  for (let ms = 0; ms <= 3000; ms += 10) pulse.look(1, true, { nowMs: ms, cpuMs: ms });
  assert.equal(pulse.stands(3000), true);
  assert.equal(pulse.loopsMs({ nowMs: 3000, cpuMs: 3000 }, 1), 0);
  for (let ms = 3010; ms <= 3400; ms += 10) pulse.look(1, false, { nowMs: ms, cpuMs: ms });
  assert.equal(pulse.loopsMs({ nowMs: 3400, cpuMs: 3400 }, 1), 400);
});
