/**
 * CloudEvents of a batch that was left out, since its threads were lost, count when they are sent again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type DecodeResult, type DecodeTask, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

/** Ends at the end of each decoding, until told otherwise. */
class Mortal extends LocalThreads {
  ends = true;

  override async decode(task: DecodeTask): Promise<DecodeResult> {
    const decoded = await super.decode(task);
    if (this.ends) throw new ThreadLost('out of memory', false);
    return decoded;
  }
}

const event = { specversion: '1.0', id: 'e1', source: 'x', type: 't', data: { at: 1, k: 'a' } };
const sendTo = (rig: Rig): ReturnType<Rig['send']> =>
  rig.send('s', [], { format: 'cloudevent', body: Buffer.from(JSON.stringify(event)) });

for (const saves of [false, true]) {
  const when = saves ? 'before and after a checkpoint' : 'before and after a replay';
  test(`events of a batch that was left out count when they come again, once, ${when}`, async () => {
    const stores = lastingStores();
    let threads: Mortal | null = null;
    const rig = await openRig([STREAM], {
      stores,
      threads: (parts) => {
        threads = new Mortal(parts);
        return threads;
      },
    });
    await assert.rejects(sendTo(rig), { refusal: 'undecodable' });
    (threads as unknown as Mortal).ends = false;
    assert.deepEqual(await sendTo(rig), { accepted: 1, rejected: 0, late: 0 });
    assert.deepEqual(await sendTo(rig), { accepted: 0, rejected: 0, late: 0 });
    if (saves) await rig.checkpoint();
    await rig.abandon();
    const again = await openRig([STREAM], { stores });
    try {
      assert.deepEqual(await sendTo(again), { accepted: 0, rejected: 0, late: 0 });
      assert.deepEqual(
        (await again.rows('s', 'w', 'open')).map(({ values }) => values['n']),
        [1],
      );
    } finally {
      await again.close();
    }
  });
}
