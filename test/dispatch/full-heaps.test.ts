/**
 * Tools that fill their worker's heap: the process lives, the call is told why, everybody else is served.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Called, type Rig, startRig, textOf, until } from './harness.ts';

const LIMIT_MIB = 64;

describe('a tool that fills the heap of its worker', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ workerHeapMib: LIMIT_MIB, quarantineAfter: 1000 });
  });
  after(() => rig.close());
  // One that was begun may be repeated: its module may be loading when the loop beside it begins.
  const another = (): Called => rig.call('busy-repeatable', { ms: 0 });

  const kinds = [
    ['grows-array', 'one array in one piece of code'],
    ['eats-heap', 'many arrays of a thousand numbers'],
    ['grows-objects', 'many small objects'],
    ['grows-strings', 'strings of half a MiB'],
    ['grows-map', 'a map'],
    ['grows-after-await', 'an array after an await'],
    ['grows-by-turns', 'some objects with each turn of the loop'],
  ] as const;
  for (const [tool, what] of kinds) {
    test(`${what}: that call fails for its memory, others are answered, a new worker comes up`, async () => {
      const from = rig.log.length;
      const greedy = await rig.running(tool);
      const threads = rig.engine.flights.loads.map((load) => load?.worker.threadId);
      while (greedy.sink.endings === 0) assert.equal(textOf(await another().ended), 'spun');
      const { fault } = await greedy.ended;
      assert.equal(fault?.name, 'workerLost');
      assert.match(fault.message, new RegExp(`${tool}: it ran out of memory`));
      await rig.loggedSince(from, '"reason":"memory"');
      await until(() => rig.engine.liveWorkers() === 2);
      const fresh = rig.engine.flights.loads.filter((load) => !threads.includes(load?.worker.threadId));
      assert.equal(fresh.length, 1);
    });
  }

  test('all workers at once: each call is told, and what waits meanwhile is answered by new workers', async () => {
    const greedy = [await rig.running('grows-array'), await rig.running('grows-array')];
    const waiting = Array.from({ length: 10 }, () => another().ended);
    for (const { ended } of greedy) assert.match((await ended).fault?.message ?? '', /it ran out of memory/);
    for (const ended of waiting) assert.equal(textOf(await ended), 'spun');
  });

  test('an array that a call leaves behind ends its worker, and no call', async () => {
    const from = rig.log.length;
    assert.equal(textOf(await rig.call('grows-later').ended), 'fine');
    // A busy machine may find out first that it stands.
    await until(() => rig.log.slice(from).some((line) => /"reason":"(memory|left-running)"/.test(line)));
    await until(() => rig.engine.liveWorkers() === 2);
    assert.equal(textOf(await another().ended), 'spun');
  });

  for (const tool of ['churns', 'churns-by-turns']) {
    test(`${tool}: garbage of many times the limit is no reason to end a worker`, async () => {
      const from = rig.log.length;
      assert.equal(textOf(await rig.call(tool).ended), '10000000');
      assert.ok(!rig.log.slice(from).some((line) => line.includes('worker lost')));
    });
  }
});
