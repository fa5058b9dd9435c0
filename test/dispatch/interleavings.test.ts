/**
 * The dispatcher under random interleavings, with workers that are played by the test: whatever is submitted, run,
 * cancelled, expired, taken back or lost, and however late a worker comes to an old batch, each job has exactly one
 * ending (none if it was cancelled first), gets its own answer, and nothing stays behind.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PERMITS, PlayedRig, REQUEST_TIMEOUT_MS, WORKERS } from './played-rig.ts';

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      entry: fc.nat(3),
      share: fc.constantFrom('a', 'b', 'c'),
      timeoutMs: fc.constantFrom(20, 1000),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('start' as const), pick: fc.nat(9), finish: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('end' as const), pick: fc.nat(9), leave: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('settle' as const), pick: fc.nat(9), announce: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hear' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), index: fc.nat(WORKERS - 1) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ask' as const), pick: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), pick: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('tick' as const), ms: fc.constantFrom(1, 15, 60) }) },
);

test('each job has one ending, or none when it was cancelled, and everything is given back', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, known) => {
      const rig = new PlayedRig(known);
      for (const s of steps) {
        if (s.do === 'submit') rig.submit(s.entry, s.share, s.timeoutMs);
        else if (s.do === 'start') rig.start(s.pick, s.finish);
        else if (s.do === 'end') rig.endBatch(s.pick, s.leave);
        else if (s.do === 'settle') rig.settlePending(s.pick, s.announce);
        else if (s.do === 'hear') for (const tell of rig.late.splice(0)) tell();
        else if (s.do === 'lose') rig.lose(s.index);
        else if (s.do === 'ask') rig.ask(s.pick);
        else if (s.do === 'cancel') rig.cancel(s.pick);
        else rig.tick(s.ms);
        await Promise.resolve();
        await Promise.resolve();
      }
      await rig.settle();
      for (const [id, { sink, cancelled }] of rig.jobs.entries()) {
        assert.equal(sink.endings, cancelled ? 0 : 1);
        if (cancelled) continue;
        const ended = await sink.ended;
        if (ended.how === 'completed') assert.equal(ended.message.id, id);
      }
      assert.equal(rig.dispatcher.active, 0);
      assert.equal(rig.admission.inFlight, 0);
      assert.equal(rig.admission.waiting, 0);
      for (const load of rig.flights.loads) if (load !== null) assert.equal(load.jobs, 0);
    }),
    { numRuns: 600 },
  );
});

test('what an old call said last does not reach the one that has its slot now, nor end it', async () => {
  const rig = new PlayedRig();
  rig.submit(2, 'a', 1000);
  const old = rig.jobs[0]?.job;
  const { slot = -1, sequence = -1 } = old ?? {};
  const load = rig.flights.loads[old?.worker ?? -1];
  assert.ok(load);
  rig.start(0, true);
  rig.supervisor.tick();
  rig.endBatch(0, false);
  await Promise.resolve();
  assert.equal(old?.slot, -1);
  // No worker takes anything: the next one waits, in the slot that has just come free.
  for (const one of rig.flights.loads) if (one !== null) one.stuck = true;
  rig.submit(2, 'a', 1000);
  const waiting = rig.jobs.find(({ job }) => job.slot === slot);
  assert.ok(waiting);
  assert.equal(waiting.job.worker, -1);
  for (const late of [
    { type: 'emit', slot, sequence, message: '{}', progress: 1 },
    { type: 'ask', slot, sequence, askId: 1, method: 'roots/list', paramsJson: '{}', key: 'roots' },
    { type: 'task', slot, sequence, ttlMs: 1, pollIntervalMs: 1 },
    { type: 'release', slot, sequence, retryMs: 1 },
    { type: 'done', slots: [slot], sequences: [sequence], overflow: [{ slot, sequence, bytes: Buffer.from('{}') }] },
  ] as const)
    rig.dispatcher.control(load, late);
  assert.deepEqual(waiting.sink.emitted_, []);
  assert.equal(waiting.sink.endings, 0);
  await rig.settle();
});

test('those who wait for quiet hear of it too when the last call ends in the queue', async () => {
  const rig = new PlayedRig();
  for (const load of rig.flights.loads) if (load !== null) load.stuck = true;
  rig.submit(2, 'a', 20);
  const quiet = Promise.all([rig.dispatcher.idle(), rig.dispatcher.idle()]);
  rig.nowMs = 25;
  rig.supervisor.tick();
  rig.supervisor.stop();
  await quiet;
  assert.equal(rig.jobs[0]?.sink.endings, 1);
});

describe('a call that waits for its client', () => {
  /** So many calls of an entry run, and have asked. */
  const asked = async (entry: number, count: number): Promise<PlayedRig> => {
    const rig = new PlayedRig();
    for (let i = 0; i < count; i++) {
      rig.submit(entry, 'a', 60_000);
      while (rig.pool.handed.length > 0) rig.endBatch(0, true);
      // The dispatcher hears of the batch's end.
      await new Promise((resolve) => setImmediate(resolve));
      rig.ask(i);
    }
    return rig;
  };

  test('leaves its permit to others, as long as there are not too many such calls', async () => {
    const rig = await asked(2, PERMITS + 1);
    assert.deepEqual(
      rig.jobs.map(({ job }) => job.waits),
      ['resting', 'resting', 'resting', 'holding', 'no'],
    );
    assert.equal(rig.admission.inFlight, 2);
    assert.deepEqual(
      rig.jobs.map(({ job }) => job.hasAsked),
      [true, true, true, true, false],
      'the last one is told that too many wait',
    );
    await rig.settle();
    assert.equal(rig.admission.inFlight, 0);
    assert.deepEqual(
      rig.jobs.map(({ sink }) => sink.endings),
      [1, 1, 1, 1, 1],
    );
  });

  test('keeps it where few of its entry may run at once', async () => {
    const rig = await asked(1, 1);
    assert.equal(rig.jobs[0]?.job.hasAsked, true);
    assert.equal(rig.jobs[0]?.job.waits, 'holding');
    assert.equal(rig.admission.inFlight, 1);
    await rig.settle();
  });
});

describe('a task that was cancelled has no more time to stop than a call has to run', () => {
  for (const [which, timeoutMs] of [
    ['became one while it ran', REQUEST_TIMEOUT_MS],
    ['was one from its start', 3_600_000],
  ] as const) {
    test(`when it ${which}`, () => {
      const rig = new PlayedRig();
      rig.submit(2, 'a', timeoutMs);
      const { job } = rig.jobs[0] ?? {};
      assert.ok(job);
      rig.start(0, false);
      rig.dispatcher.taskStarted(job, 'task-1', 3_600_000);
      rig.tick(500);
      assert.equal(rig.jobs[0]?.sink.endings, 0);
      rig.cancel(0);
      // A late word of the store about a task nobody wants.
      rig.dispatcher.taskStarted(job, 'task-1', 3_600_000);
      rig.tick(2 * REQUEST_TIMEOUT_MS);
      assert.equal(rig.admission.inFlight, 1, 'it was told to stop only now');
      rig.tick(60);
      assert.equal(rig.admission.inFlight, 0);
      assert.equal(rig.jobs[0]?.sink.endings, 0);
    });
  }
});

describe('memory above its cap costs one worker', () => {
  /** Resident bytes at moments, in milliseconds from one to the next → workers ended by then. */
  const ended = (moments: readonly (readonly [ms: number, bytes: number])[]): number[] => {
    const rig = new PlayedRig();
    for (let i = 0; i < WORKERS; i++) rig.submit(2, 'a', 60_000);
    return moments.map(([ms, bytes]) => {
      rig.residentBytes = bytes;
      rig.nowMs += ms;
      // Their loops turn: it is memory alone that may end them.
      for (let worker = 0; worker < WORKERS; worker++) rig.board.beat(worker, 0);
      for (let tick = 0; tick < 5; tick++) rig.supervisor.tick();
      rig.supervisor.stop();
      return rig.pool.killed.length;
    });
  };

  test('and the next when it grows on', () => {
    const moments = [
      [10, 999],
      [10, 1500],
      [100, 1500],
      [100, 1400],
      [100, 1501],
    ] as const;
    assert.deepEqual(ended(moments), [0, 1, 1, 1, 2]);
  });

  test('or when it has not sunk below the cap for a while', () => {
    const moments = [
      [10, 1500],
      [500, 1400],
      [600, 1400],
    ] as const;
    assert.deepEqual(ended(moments), [1, 1, 2]);
  });
});
