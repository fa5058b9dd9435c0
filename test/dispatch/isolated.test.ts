/**
 * Isolated calls and capped entries when their calls are cancelled, time out or wait for room: no worker and no place
 * of a cap is ever lost to them.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Rig, startRig, textOf } from './harness.ts';

const polite = async (rig: Rig): Promise<void> => {
  assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
};

for (const workers of [1, 2]) {
  describe(`isolated calls, ${workers} worker(s)`, () => {
    test('cancelled after it was sent and before it started: the worker is for others again', async () => {
      const rig = await startRig({ workers });
      for (let i = 0; i < 2 * workers; i++) {
        const { job } = rig.call('alone');
        rig.engine.dispatcher.pump();
        rig.engine.dispatcher.cancel(job, 'gone');
      }
      await polite(rig);
      await rig.close();
    });

    test('one that never settles costs its worker, which is replaced', async () => {
      const rig = await startRig({ workers, quarantineAfter: 1000 });
      for (let i = 0; i < 2; i++) {
        assert.match(textOf(await rig.call('alone-for-ever').ended), /deadline passed/);
        await polite(rig);
      }
      assert.equal(textOf(await rig.call('alone').ended), 'alone');
      await rig.engine.dispatcher.idle();
      await rig.close();
    });

    test('cancelled while it runs: the worker is replaced when it has ended', async () => {
      const rig = await startRig({ workers });
      const { job } = rig.call('alone', { ms: 50 });
      await rig.started(job);
      rig.engine.dispatcher.cancel(job, 'gone');
      await rig.logged('worker replaced');
      await polite(rig);
      await rig.close();
    });
  });
}

test('an isolated call gets its worker though others keep both occupied with waiting', async () => {
  const rig = await startRig({ workers: 2 });
  let on = true;
  const keepUp = async (): Promise<void> => {
    while (on) await rig.call('rests-deaf', { ms: 40 }).ended;
  };
  const stream = Array.from({ length: 6 }, keepUp);
  await rig.call('rests-deaf', { ms: 40 }).ended;
  const endings = await Promise.all([rig.call('alone').ended, rig.call('alone').ended]);
  on = false;
  assert.deepEqual(endings.map(textOf), ['alone', 'alone']);
  await Promise.all(stream);
  await rig.close();
});

test('an isolated call that waits for its worker in vain does not keep it from others', async () => {
  const rig = await startRig({ workers: 1 });
  const long = await rig.running('pause', { ms: 600_000 }, { timeoutMs: 600_000 });
  const waits = rig.call('alone', {}, { timeoutMs: 100 });
  assert.equal((await waits.ended).fault?.name, 'timeout');
  await polite(rig);
  assert.equal(long.sink.endings, 0);
  rig.engine.dispatcher.cancel(long.job, 'enough');
  await rig.engine.dispatcher.idle();
  await rig.close();
});

test('a cap of one: never two at once, and its place comes back from every ending', async () => {
  const rig = await startRig({ workers: 2, quarantineAfter: 1000, killGraceMs: 50 });
  const spinning = rig.call('one-at-a-time', { spin: true });
  const cancelled = rig.call('one-at-a-time');
  const next = rig.call('one-at-a-time', {}, { timeoutMs: 60_000 });
  rig.engine.dispatcher.cancel(cancelled.job, 'gone');
  assert.equal((await spinning.ended).fault?.name, 'timeout');
  assert.equal(textOf(await next.ended), 'once');
  const many = Array.from({ length: 20 }, () => rig.call('one-at-a-time', {}, { timeoutMs: 60_000 }).ended);
  for (const ended of await Promise.all(many)) assert.equal(textOf(ended), 'once');
  await rig.engine.dispatcher.idle();
  assert.equal(rig.engine.admission.inFlight, 0);
  await rig.close();
});
