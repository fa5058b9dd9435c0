/**
 * Tools and workers that fail, one test per fault: the call that caused it gets an error that says so, everybody else
 * is served, and nothing leaks.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { undisturbed } from '../clients/undisturbed.ts';
import { type Ended, type Rig, startRig, textOf, withPath } from './harness.ts';

const faultText = (ended: Ended): string => ended.fault?.message ?? ended.message.error?.message ?? textOf(ended);

async function politeCalls(rig: Rig, count: number): Promise<void> {
  const endings = await Promise.all(
    Array.from({ length: count }, (_, i) => rig.call('polite', { text: `p${i}` }).ended),
  );
  assert.deepEqual(
    endings.map(textOf),
    endings.map((_, i) => `p${i}`),
  );
}

async function quiet(rig: Rig): Promise<void> {
  await rig.engine.dispatcher.idle();
  assert.equal(rig.engine.admission.inFlight, 0);
  assert.equal(rig.engine.admission.waiting, 0);
}

describe('tools that do not stop', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ quarantineAfter: 1000 });
  });
  after(() => rig.close());

  test('endless loops, one more than there are workers, are each answered at their deadline', async () => {
    const loops = await Promise.all(Array.from({ length: 3 }, () => rig.call('loop-forever').ended));
    for (const ended of loops) assert.match(faultText(ended), /deadline passed/);
    await politeCalls(rig, 100);
  });

  test('an endless loop after an await is ended too', async () => {
    const ended = await rig.overrun('loop-after-await');
    assert.equal(ended.fault?.name, 'timeout');
    await politeCalls(rig, 100);
  });

  test('a loop that polls cancelled() stops by itself and its worker lives on', async () => {
    // Time enough for it to come to look.
    const own = await startRig({ quarantineAfter: 1000, killGraceMs: 10_000 });
    assert.equal((await own.overrun('polite-loop')).fault?.name, 'timeout');
    await politeCalls(own, 20);
    await own.engine.dispatcher.idle();
    assert.equal(own.log.filter((line) => line.includes('worker lost')).length, 0);
    await own.close();
  });

  test('promises that never settle are answered, and their permits come back', async () => {
    // No loop of another test ends their worker.
    const own = await startRig();
    const endings = await Promise.all(Array.from({ length: 20 }, () => own.call('never-settles').ended));
    // Those whose time was over when their module had loaded are told so by the worker.
    for (const ended of endings) assert.match(faultText(ended), /deadline passed/);
    await politeCalls(own, 100);
    await own.close();
  });

  test('a neighbour that may be repeated is, when its worker is ended; another is told why not', async () => {
    await withPath(async (path) => {
      const may = await rig.begun('rests-once', path);
      const mayNot = await rig.running('rests-deaf', { ms: 600_000 }, { timeoutMs: 600_000 });
      while (may.job.attempts === 0 || mayNot.sink.endings === 0) {
        assert.equal((await rig.loseWorker('loop-forever')).fault?.name, 'timeout');
        // It is repeated once: the next loop must not find it at it.
        if (may.job.attempts > 0) await may.ended;
      }
      assert.equal(textOf(await may.ended), 'rested');
      assert.match(faultText(await mayNot.ended), /the worker that ran this call was lost: loop-forever ended it/);
    });
  });
});

describe('queue and deadline', () => {
  test('a call queued past its deadline never starts', async () => {
    const rig = await startRig({ workers: 1, maxConcurrent: 1 });
    const blocker = rig.call('busy', { ms: 400 });
    const queued = rig.call('polite', { text: 'never' }, { timeoutMs: 60 });
    const ended = await queued.ended;
    assert.equal(ended.fault?.name, 'timeout');
    assert.match(faultText(ended), /before it could start/);
    assert.equal(textOf(await blocker.ended), 'spun');
    await quiet(rig);
    await rig.close();
  });

  test('a large result that stays behind a neighbour in its worker: its client is told at the deadline', async () => {
    for (;;) {
      const rig = await startRig({ workers: 1 });
      // Cheap ones share the thread, and what is too large for its slot leaves when all of them have run. What was slow
      // at first, as all is on a busy machine, is forgotten slowly.
      for (let i = 0; i < 300; i++)
        await Promise.all([rig.call('big-result', { bytes: 1 }).ended, rig.call('busy').ended]);
      const beganMs = performance.now();
      const large = rig.call('big-result', { bytes: 100_000 }, { timeoutMs: 200 });
      const neighbour = rig.call('busy', { ms: 1000 });
      const { fault } = await large.ended;
      const wasAlone = fault === null && performance.now() - beganMs < 200;
      const { endings } = neighbour.sink;
      assert.equal(textOf(await neighbour.ended), 'spun');
      await quiet(rig);
      assert.equal(large.sink.endings, 1);
      assert.equal(rig.engine.flights.count, 0);
      await rig.close();
      // They did not share it. Now the neighbour counts as slow: another server has to learn anew.
      if (wasAlone) continue;
      assert.equal(fault?.name, 'timeout');
      assert.equal(endings, 0);
      break;
    }
  });

  test('what waits when the server stops is refused, and does not run after that', async () => {
    await withPath(async (path) => {
      const rig = await startRig({ workers: 1, maxConcurrent: 1 });
      for (let i = 0; i < 5; i++) await rig.call('marks').ended;
      const running = await rig.running('busy', { ms: 300 });
      const waiting = rig.call('marks', { path });
      rig.engine.stop();
      assert.equal((await waiting.ended).fault?.name, 'draining');
      assert.equal((await running.ended).fault?.name, 'draining');
      await quiet(rig);
      assert.equal(existsSync(path), false);
      await rig.close();
    });
  });

  test('what has its permit and no worker yet when the server stops holds up nobody', async () => {
    const rig = await startRig({ workers: 1, maxConcurrent: 2 });
    const running = await rig.running('busy', { ms: 100 });
    const ready = rig.call('marks');
    rig.engine.stop();
    assert.equal((await ready.ended).fault?.name, 'draining');
    assert.equal(ready.job.slot, -1);
    assert.equal((await running.ended).fault?.name, 'draining');
    await quiet(rig);
    await rig.close();
  });

  test('a cancelled call hears nothing, whether it waits, runs or has just been sent', async () => {
    const rig = await startRig({ workers: 1 });
    const running = rig.call('pause', { ms: 10_000 });
    const blocker = rig.call('busy', { ms: 50 });
    const waiting = rig.call('polite', { text: 'x' });
    rig.engine.dispatcher.cancel(waiting.job, 'gone');
    rig.engine.dispatcher.cancel(running.job, 'gone');
    await blocker.ended;
    await quiet(rig);
    assert.equal(running.sink.endings + waiting.sink.endings, 0);
    await rig.close();
  });
});

describe('tools that end or soil their worker', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ workerHeapMib: 64, quarantineAfter: 1000 });
  });
  after(() => rig.close());

  for (const tool of ['exits', 'throws']) {
    test(`${tool}: the call gets an error result, the server goes on`, async () => {
      const ended = await rig.call(tool).ended;
      assert.equal(ended.message.result?.['isError'], true, faultText(ended));
      await politeCalls(rig, 100);
    });
  }

  for (const tool of ['throws-later', 'rejects-later', 'exits-later']) {
    test(`${tool}: the call succeeds, the culprit is named, the next hundred calls are fine`, async () => {
      const ended = await rig.call(tool).ended;
      assert.notEqual(ended.message.result?.['isError'], true);
      await politeCalls(rig, 100);
      await rig.logged(`"entry":"${tool}"`);
      const rendered = await rig.meters.render();
      assert.match(rendered, new RegExp(`millrace_stray_errors_total\\{entry="${tool}"\\} [1-9]`));
    });
  }

  test('heap exhaustion fails only the call that caused it', async () => {
    const waiting = rig.call('pause', { ms: 500 });
    const ended = await rig.call('eats-heap', {}, { timeoutMs: 60_000 }).ended;
    assert.equal(ended.fault?.name, 'workerLost');
    assert.match(faultText(ended), /eats-heap.*memory/);
    assert.equal(textOf(await waiting.ended), 'rested');
    await politeCalls(rig, 100);
  });

  test('a changed Object.prototype does not reach the next call', async () => {
    await rig.call('pollutes').ended;
    await rig.call('replaces-method').ended;
    for (let i = 0; i < 100; i++) {
      const ended = await rig.call('sees-pollution').ended;
      assert.equal(textOf(ended), '{"polluted":null,"includes":false}');
    }
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
  });

  test('an isolated call has a worker to itself, which is replaced', async () => {
    const texts = [];
    for (let i = 0; i < 4; i++) texts.push(textOf(await rig.call('isolated').ended));
    assert.deepEqual(texts, ['1', '1', '1', '1']);
  });

  for (const tool of ['cyclic', 'big-int', 'deep-result', 'not-clonable']) {
    test(`${tool}: a result that cannot be encoded is a clear error or plain JSON`, async () => {
      const ended = await rig.call(tool).ended;
      assert.equal(ended.how, 'completed', faultText(ended));
      await politeCalls(rig, 10);
    });
  }
});

test('a result past the limit is refused with the limit in the message', async () => {
  const rig = await startRig();
  const ended = await rig.call('big-result', { bytes: 50_000_000 }).ended;
  assert.match(faultText(ended), /16777216/);
  await politeCalls(rig, 10);
  await rig.close();
});

test('two gigabytes of buffers: only that call fails, resident memory stays near the cap', async () => {
  // Looked at by this thread, which has to have its time for that.
  await undisturbed(50, async () => {
    const capMiB = Math.ceil(process.memoryUsage.rss() / 1048576) + 600;
    const rig = await startRig({ maxResidentMib: capMiB });
    try {
      let peak = 0;
      const watch = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage.rss() / 1048576);
      }, 5);
      const ended = await rig.call('eats-buffers', {}, { timeoutMs: 60_000 }).ended;
      clearInterval(watch);
      assert.equal(ended.fault?.name, 'workerLost', faultText(ended));
      assert.match(faultText(ended), /memory/);
      assert.ok(peak < capMiB * 1.2, `resident memory reached ${peak} MiB under a cap of ${capMiB} MiB`);
      await politeCalls(rig, 50);
    } finally {
      await rig.close();
    }
  });
});

test('a tool that keeps ending its worker is quarantined and says so; others are served', async () => {
  const rig = await startRig({ workerHeapMib: 64, quarantineAfter: 2, quarantineMs: 60_000 });
  for (let i = 0; i < 2; i++) await rig.call('eats-heap', {}, { timeoutMs: 60_000 }).ended;
  const ended = await rig.call('eats-heap').ended;
  assert.equal(ended.fault?.name, 'quarantined');
  assert.match(faultText(ended), /eats-heap is quarantined/);
  await politeCalls(rig, 100);
  assert.match(await rig.meters.render(), /millrace_quarantines_total\{entry="eats-heap"\} 1/);
  assert.ok(rig.log.some((line) => line.includes('quarantined')));
  await rig.close();
});
