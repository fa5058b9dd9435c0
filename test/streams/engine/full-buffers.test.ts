/**
 * Memory that is used again, while a stream is full: what a batch is only looked at with comes back, of any format.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeColumns } from '../../../src/streams/decode/column-format.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { BufferPool } from '../../../src/streams/engine/intake/buffer-pool.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { openRig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  limits: { keysMax: 100 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 3_600_000, aggregates: { n: 'count' } }],
};
const LOOKS = 5;
/** Whatever size is asked for, there is one of it. */
const SIZES = Array.from({ length: 12 }, (_, i) => 512 * 2 ** i);

test('a batch that is refused leaves the pool as many buffers as it had', async (context) => {
  const takes = context.mock.method(BufferPool.prototype, 'take');
  const gives = context.mock.method(BufferPool.prototype, 'give');
  const rig = await openRig([STREAM]);
  try {
    await rig.send(
      's',
      Array.from({ length: 101 }, (_, i) => ({ at: 10, k: `k${i}` })),
    );
    const pool = takes.mock.calls[0]?.this as BufferPool;
    for (let n = 0; n < 2 * LOOKS; n++) for (const size of SIZES) pool.give(new SharedArrayBuffer(size));
    const body = encodeColumns({ at: new Float64Array(200).fill(11), k: new Array<string>(200).fill('new') });
    for (const batch of [{ format: 'columns', body } as const, {}]) {
      takes.mock.resetCalls();
      gives.mock.resetCalls();
      for (let n = 0; n < LOOKS; n++) {
        await assert.rejects(
          rig.send('s', [{ at: 11, k: 'new' }], batch),
          (error) => error instanceof StreamRefusal && error.refusal === 'full',
        );
      }
      const taken = takes.mock.calls.flatMap(({ result }) => result ?? []);
      const given = new Set(gives.mock.calls.map(({ arguments: [buffer] }) => buffer));
      assert.ok(taken.length > 0);
      assert.deepEqual(
        taken.filter((buffer) => !given.has(buffer)).map(({ byteLength }) => byteLength),
        [],
      );
    }
  } finally {
    await rig.close();
  }
});
