/**
 * Calls that share a worker: who is ended, who is blamed and who is left alone when one of them does not stop.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Rig, startRig, textOf, withPath } from './harness.ts';

const quarantined = async (rig: Rig, tool: string): Promise<boolean> =>
  (await rig.call(tool, { ms: 0 }).ended).fault?.name === 'quarantined';

const lost = (rig: Rig): string[] => rig.log.filter((line) => line.includes('worker lost'));

describe('one worker', () => {
  test('a call that cannot see its deadline since a neighbour computes is not blamed, nor is the neighbour ended', async () => {
    const rig = await startRig({ workers: 1, killGraceMs: 50, quarantineAfter: 1 });
    // Loaded, so that its time does not pass before it begins.
    await rig.call('rests-deaf', { ms: 0 }).ended;
    const deaf = await rig.running('rests-deaf', { ms: 100_000 }, { timeoutMs: 700 });
    const busy = rig.call('busy', { ms: 1300 });
    assert.equal((await deaf.ended).fault?.name, 'timeout');
    assert.equal(textOf(await busy.ended), 'spun');
    assert.deepEqual(lost(rig), []);
    assert.equal(await quarantined(rig, 'rests-deaf'), false);
    await rig.close();
  });

  test('of several that may have ended the worker none is blamed; those that may be are repeated', async () => {
    const rig = await startRig({ workers: 1, quarantineAfter: 1 });
    await withPath(async (path) => {
      const innocent = await rig.begun('rests-once', path);
      const deaf = await rig.running('rests-deaf', { ms: 100_000 });
      const culprit = rig.call('really-exits', { ms: 50 });
      assert.equal((await culprit.ended).fault?.name, 'workerLost');
      assert.equal((await deaf.ended).fault?.name, 'workerLost');
      assert.equal(textOf(await innocent.ended), 'rested');
      assert.equal(innocent.job.attempts, 1);
      assert.equal(await quarantined(rig, 'rests-deaf'), false);
      assert.equal((await rig.call('rests-once', { path }).ended).fault, null);
    });
    await rig.close();
  });

  test('the only one there is blamed, also for what it does after an await', async () => {
    const rig = await startRig({ workers: 1, quarantineAfter: 1, quarantineMs: 60_000 });
    assert.match(String((await rig.call('really-exits', { ms: 5 }).ended).fault?.message), /it ended the worker/);
    assert.equal(await quarantined(rig, 'really-exits'), true);
    await rig.close();
  });

  test('a rejection with something that has no text is reported, and costs the worker nothing', async () => {
    const rig = await startRig({ workers: 1 });
    assert.equal(textOf(await rig.call('rejects-oddly').ended), 'fine');
    await rig.logged('left something behind');
    for (let i = 0; i < 20; i++) assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
    assert.deepEqual(lost(rig), []);
    await rig.close();
  });

  test('a change that cannot be undone ends its worker, not the calls that follow', async () => {
    const rig = await startRig({ workers: 1 });
    assert.equal(textOf(await rig.call('freezes').ended), 'done');
    await rig.logged('worker replaced');
    for (let i = 0; i < 20; i++) assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
    await rig.close();
  });

  test('exit and abort are refused, caught or not, before or after an await', async () => {
    const rig = await startRig({ workers: 1 });
    assert.equal(textOf(await rig.call('tries-to-exit').ended), 'still here');
    const ended = await rig.call('exits-after-await').ended;
    assert.equal(ended.message.result?.['isError'], true);
    assert.deepEqual(lost(rig), []);
    await rig.close();
  });

  test('a tool that was cheap until it never came back is not taken for cheap any more', async () => {
    // On a busy machine the longest call of a cheap tool counts: far below the budget, as the endless one is above it.
    const rig = await startRig({ workers: 1, maxConcurrent: 1, queueSize: 1, callerRunsBudgetMs: 500 });
    const endlessMs = 1500;
    const whenFull = async (): Promise<string> => {
      const blocker = rig.call('pause', { ms: 100 });
      const waiting = rig.call('pause', { ms: 1 });
      const ended = await rig.call('one-at-a-time').ended;
      await Promise.all([blocker.ended, waiting.ended]);
      return ended.fault?.name ?? textOf(ended);
    };
    let whatFirst = '';
    for (let round = 0; round < 50 && whatFirst !== 'once'; round++) {
      for (let i = 0; i < 40; i++) await rig.call('one-at-a-time', {}, { timeoutMs: 60_000 }).ended;
      whatFirst = await whenFull();
    }
    assert.equal(whatFirst, 'once');
    const endless = await rig.overrun('one-at-a-time', { spin: true }, { timeoutMs: endlessMs });
    assert.equal(endless.fault?.name, 'timeout');
    await rig.logged('worker lost');
    // Nothing but the caller could run it, and that must not.
    assert.equal(await whenFull(), 'overloaded');
    await rig.close();
  });
});

test('a loop after an await is ended though the other worker has never had a call', async () => {
  const rig = await startRig({ workers: 2, killGraceMs: 50 });
  const options = { timeoutMs: 2000, extras: { correlationId: 'order-7' } };
  const { fault } = await rig.loseWorker('loop-after-await', options);
  assert.equal(fault?.name, 'timeout');
  await rig.logged('"entry":"loop-after-await"');
  // Whose call it was can be found out.
  assert.ok(
    lost(rig).every((line) => line.includes('"correlationId":"order-7"')),
    lost(rig).join('\n'),
  );
  await rig.close();
});

test('calls behind a loop after an await are taken to another worker long before its deadline', async () => {
  const rig = await startRig({ workers: 2 });
  for (let i = 0; i < 8; i++) await rig.call('polite', { text: 'warm' }).ended;
  const loop = rig.call('holds-later', {}, { timeoutMs: 600_000 });
  await rig.standing();
  const texts = await Promise.all(Array.from({ length: 50 }, (_, i) => rig.call('polite', { text: `${i}` }).ended));
  assert.deepEqual(
    texts.map(textOf),
    texts.map((_, i) => `${i}`),
  );
  assert.equal(loop.sink.endings, 0);
  rig.engine.dispatcher.cancel(loop.job, 'enough');
  await rig.engine.dispatcher.idle();
  assert.deepEqual(lost(rig), []);
  await rig.close();
});

test('a worker that cannot be replaced, since a call on it goes on, is used meanwhile', async () => {
  const rig = await startRig({ workers: 1 });
  const long = await rig.running('pause', { ms: 600_000 }, { timeoutMs: 600_000 });
  await rig.call('throws-later').ended;
  await rig.logged('left something behind');
  assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  assert.equal(long.sink.endings, 0);
  rig.engine.dispatcher.cancel(long.job, 'enough');
  await rig.engine.dispatcher.idle();
  await rig.close();
});

test('a loop that a finished call has left behind ends its worker', async () => {
  const rig = await startRig({ workers: 1, killGraceMs: 50 });
  // Loaded, so that it cannot be kept RUNNING by the loop while its module is imported.
  await rig.call('polite', { text: 'p' }).ended;
  assert.equal(textOf(await rig.call('loops-later').ended), 'fine');
  for (let i = 0; i < 5; i++) assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  await rig.close();
});
