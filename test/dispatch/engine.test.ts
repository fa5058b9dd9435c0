/**
 * The engine with real worker threads: every job has exactly one ending, whatever its tool does.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Rig, startRig, textOf } from './harness.ts';

describe('calls that behave', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig();
  });
  after(() => rig.close());

  test('a synchronous tool answers with its id and text', async () => {
    const ended = await rig.call('polite', { text: 'hello' }).ended;
    assert.equal(ended.status, 200);
    assert.equal(textOf(ended), 'hello');
    assert.equal(typeof ended.message.id, 'number');
  });

  test('an asynchronous tool answers', async () => {
    assert.equal(textOf(await rig.call('polite-async', { text: 'later' }).ended), 'later');
  });

  test('a thousand calls at once each get their own answer', async () => {
    const calls = Array.from({ length: 1000 }, (_, i) =>
      rig.call(i % 3 === 0 ? 'polite-async' : 'polite', { text: `t${i}` }),
    );
    const texts = await Promise.all(calls.map(async ({ ended }) => textOf(await ended)));
    assert.deepEqual(
      texts,
      calls.map((_, i) => `t${i}`),
    );
  });

  test('asynchronous calls wait side by side in one worker', async () => {
    const begun = performance.now();
    const calls = Array.from({ length: 60 }, () => rig.call('pause', { ms: 150 }).ended);
    await Promise.all(calls);
    assert.ok(performance.now() - begun < 2000, 'sixty pauses of 150 ms took longer than two seconds');
  });

  test('an inline tool runs on this thread', async () => {
    assert.equal(textOf(await rig.call('here').ended), 'front');
  });

  test('progress arrives before the result', async () => {
    const call = rig.call('reports', {}, { meta: { progressToken: 'p' } });
    assert.equal(textOf(await call.ended), 'reported');
    assert.equal(call.sink.emitted_.length, 2);
  });

  test('a request and a result larger than their slots travel whole', async () => {
    const text = 'ü'.repeat(40_000);
    assert.equal(textOf(await rig.call('polite', { text }).ended), text);
    assert.equal(textOf(await rig.call('polite-async', { text }).ended), text);
  });

  test('a cheap call does not wait behind a slow neighbour that looked cheap', async () => {
    for (let i = 0; i < 5; i++) await rig.call('busy', { ms: 0 }).ended;
    const slow = [rig.call('busy', { ms: 600 }), rig.call('busy', { ms: 600 })];
    const begun = performance.now();
    const cheap = Array.from({ length: 20 }, () => rig.call('polite', { text: 'quick' }));
    const first = await Promise.race([
      Promise.all(cheap.map((c) => c.ended)).then(() => 'cheap'),
      slow[0]?.ended.then(() => 'slow'),
    ]);
    void first;
    await Promise.all(slow.map((c) => c.ended));
    assert.ok(performance.now() - begun < 2000);
  });

  test('every slot and permit comes back', async () => {
    assert.equal(rig.engine.dispatcher.active, 0);
    assert.equal(rig.engine.admission.inFlight, 0);
    assert.equal(rig.engine.admission.waiting, 0);
  });
});
