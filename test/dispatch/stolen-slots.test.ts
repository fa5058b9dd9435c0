/**
 * Slots that change hands: results too large for them, batches that a worker comes to late, messages about a job whose
 * slot has another one by now. Each call gets its own answer, whole, or none.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { RecordingSink, type Rig, startRig, textOf, withPath } from './harness.ts';

const LARGE = 20_000;

/** So that it is taken for cheap, and others are sent behind it. */
async function looksCheap(rig: Rig, tool: string, args: object): Promise<void> {
  for (let i = 0; i < 8; i++) await rig.call(tool, args).ended;
}

describe('results larger than their slots', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ workers: 1 });
  });
  after(() => rig.close());

  for (let turns = 0; turns <= 12; turns += 2) {
    test(`settled ${turns} turns after it was called: delivered whole, whichever message carries it`, async () => {
      for (let i = 0; i < 20; i++) {
        const ended = await rig.call('large-later', { turns, bytes: LARGE }).ended;
        assert.equal(textOf(ended).length, LARGE);
      }
    });
  }

  test('run in place of a cancelled call of an older batch', async () => {
    await looksCheap(rig, 'busy', { ms: 0 });
    await looksCheap(rig, 'cheap', { bytes: LARGE });
    const { dispatcher } = rig.engine;
    const blocker = rig.call('busy', { ms: 60 });
    const first = Array.from({ length: 5 }, () => rig.call('cheap', { bytes: LARGE }));
    dispatcher.pump();
    for (const { job } of first) dispatcher.cancel(job, 'gone');
    // They get the slots of those that were cancelled, which the worker has not come to yet.
    const second = Array.from({ length: 5 }, (_, i) => rig.call('cheap', { bytes: LARGE + i }));
    dispatcher.pump();
    assert.equal(textOf(await blocker.ended), 'spun');
    for (const [i, { ended }] of second.entries()) assert.equal(textOf(await ended).length, LARGE + i);
    for (const { sink } of first) assert.equal(sink.endings, 0);
  });

  test('requests and results too large, on a worker that is lost meanwhile', async () => {
    const text = 'ü'.repeat(LARGE);
    const loop = await rig.running('loop-forever', {}, { timeoutMs: 1000 });
    const waiting = Array.from({ length: 4 }, () => rig.call('polite', { text }));
    assert.equal((await loop.ended).fault?.name, 'timeout');
    for (const { ended } of waiting) assert.equal(textOf(await ended), text);
    assert.equal(rig.engine.dispatcher.active, 0);
  });

  test('here, in place of a worker, at once and later', async () => {
    assert.equal(textOf(await rig.call('here-large', { bytes: LARGE }).ended).length, LARGE);
    assert.equal(textOf(await rig.call('here-large', { bytes: LARGE, pad: 'x'.repeat(LARGE) }).ended).length, LARGE);
  });
});

describe('calls that are repeated', () => {
  test('progress only rises, though the call began anew', async () => {
    const rig = await startRig({ workers: 1, killGraceMs: 50 });
    const sink = new RecordingSink();
    await withPath(async (path) => {
      const call = await rig.begun('reports-and-rests', path, { meta: { progressToken: 'p' }, sink });
      await rig.heard(sink, 3);
      await rig.loseWorker('loop-forever');
      assert.equal(textOf(await call.ended), 'reported');
      assert.equal(call.job.attempts, 1);
    });
    const told = sink.emitted_.map((line) => (JSON.parse(line) as { params: { progress: number } }).params.progress);
    assert.deepEqual(told, [1, 2, 3, 4]);
    await rig.close();
  });

  test('not when it has asked its client something: the old answer would be taken for the new one', async () => {
    const rig = await startRig({ workers: 1, killGraceMs: 50 });
    let asked!: () => void;
    const question = new Promise<void>((resolve) => {
      asked = resolve;
    });
    class AskedSink extends RecordingSink {
      override asked(): void {
        asked();
      }
    }
    const extras = { clientCapabilities: { elicitation: {} } };
    const call = rig.call('asks-and-rests', {}, { sink: new AskedSink(), revision: REVISION_2025_11_25, extras });
    await question;
    await rig.loseWorker('loop-forever');
    const ended = await call.ended;
    assert.equal(ended.fault?.name, 'workerLost');
    assert.equal(call.job.attempts, 0);
    await rig.close();
  });
});
