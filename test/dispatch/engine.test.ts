/**
 * The engine with real worker threads: every job has exactly one ending, whatever its tool does.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { STATE } from '../../src/dispatch/job-board.ts';
import { type Rig, startRig, textOf, until } from './harness.ts';

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
    const { dispatcher, flights } = rig.engine;
    const calls = Array.from({ length: 60 }, () => rig.call('pause', { ms: 600_000 }, { timeoutMs: 600_000 }));
    await until(() => calls.every(({ job }) => flights.board.state(job.slot) === STATE.RUNNING));
    for (const { job } of calls) dispatcher.cancel(job, 'enough');
    await dispatcher.idle();
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
    for (let i = 0; i < 5; i++) await rig.call('holds', { on: false }).ended;
    const slow = rig.call('holds', { on: true }, { timeoutMs: 600_000 });
    const cheap = Array.from({ length: 20 }, () => rig.call('polite', { text: 'quick' }));
    for (const { ended } of cheap) assert.equal(textOf(await ended), 'quick');
    assert.equal(slow.sink.endings, 0);
    rig.engine.dispatcher.cancel(slow.job, 'enough');
    await rig.engine.dispatcher.idle();
  });

  test('every slot and permit comes back', async () => {
    assert.equal(rig.engine.dispatcher.active, 0);
    assert.equal(rig.engine.admission.inFlight, 0);
    assert.equal(rig.engine.admission.waiting, 0);
  });
});
