/**
 * A start whose sink has more to catch up with than may wait for it: the streams are open, and take events when it has.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { PENDING_BYTES_MAX } from '../../../src/streams/engine/results/delivery.ts';
import type { SinkKind } from '../../../src/streams/sinks/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { lastingStores } from './faults.ts';
import { gated, kindsWith } from './gated-sink.ts';
import { openRig, type Rig } from './rig.ts';

const BATCH_BYTES = 2 ** 20;
const BATCHES = PENDING_BYTES_MAX / BATCH_BYTES + 8;
const PATIENCE_MS = 60_000;

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', text: 'string' }, timestamp: { field: 'at' } },
  views: [{ name: 'all' }],
  sinks: [{ type: 'gated' }],
};

/** Streams that have a log to replay for a sink that has forgotten all of it. */
async function behind(kind: SinkKind): Promise<Rig> {
  const stores = lastingStores();
  const before = gated();
  before.open();
  const first = await openRig([STREAM], { stores, kinds: kindsWith(before.kind) });
  for (let n = 0; n < BATCHES; n++) await first.send('s', [{ at: n, text: 'x'.repeat(BATCH_BYTES) }]);
  await first.abandon();
  return openRig([STREAM], { stores, kinds: kindsWith(kind), goesOnBehindSinks: true });
}

test('is open, refuses batches with the name of the sink, and takes them when the sink has caught up', async () => {
  const sink = gated();
  const rig = await behind(sink.kind);
  try {
    assert.deepEqual(rig.service.degraded, ['stream start, behind sink s/gated#0']);
    await assert.rejects(rig.send('s', [{ at: 1, text: 'early' }]), (error) => {
      assert.ok(error instanceof StreamRefusal);
      assert.deepEqual(
        [error.refusal, error.retryAfterMs, error.message],
        ['stopped', 1000, 'the streams are starting: results wait for sink s/gated#0'],
      );
      return true;
    });
    sink.open();
    await rig.settled();
    assert.deepEqual(rig.service.degraded, []);
    assert.equal((await rig.send('s', [{ at: 1000, text: 'new' }])).accepted, 1);
    await eventually(
      'lines',
      () => sink.lines,
      (lines) => lines === BATCHES + 1,
      PATIENCE_MS,
    );
    assert.equal(rig.service.list()[0]?.counters.accepted, BATCHES + 1);
  } finally {
    await rig.close();
  }
});

test('is named among what hurts until it is over, whether or not a sink is full just then', async () => {
  const sink = gated();
  const rig = await behind(sink.kind);
  try {
    sink.open();
    while (rig.service.starting) {
      assert.match(rig.service.degraded.join(), /^stream start/);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(rig.service.degraded, []);
  } finally {
    await rig.close();
  }
});

test('ends at once when it is not to go on', async () => {
  const rig = await behind(gated().kind);
  await rig.close();
  assert.equal(rig.service.degraded.includes('streams'), false);
});
