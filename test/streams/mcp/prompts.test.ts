/**
 * What the prompts of the streams find: every alert that a model can know of, and a refusal as a text it can act on.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PromptDefinition } from '../../../src/catalogue/define.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal, type Streams } from '../../../src/streams/engine/port.ts';
import { streamPrompts } from '../../../src/streams/mcp/prompts.ts';
import { openRig } from '../engine/rig.ts';

/** More than one question for alerts gives. */
const MANY = 300;

const streamNamed = (name: string): StreamDefinition => ({
  name,
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { v: { fn: 'max', of: 'v' } } }],
  alerts: [{ name: 'hot', on: 'w', when: 'v > 10' }],
});

async function explained(streams: Streams, id: string): Promise<string> {
  const prompt = streamPrompts(streams).find(({ name }) => name === 'explain_alert') as PromptDefinition;
  return String(await prompt.handler({ id }, {} as Parameters<PromptDefinition['handler']>[1]));
}

test('an alert is explained however many came after it, in its stream or in another one', async () => {
  const rig = await openRig([streamNamed('s'), streamNamed('t')]);
  const { service } = rig;
  try {
    await rig.send('s', [{ at: 0, k: 'first', v: 20 }]);
    // Those of these keys are raised in the next second and cleared in the one after it.
    const keys = Array.from({ length: MANY }, (_, i) => `k${i}`);
    for (const v of [20, 0])
      await rig.send(
        's',
        keys.map((k) => ({ at: v === 20 ? 1000 : 2000, k, v })),
      );
    await rig.send('s', [{ at: 3000, k: 'last', v: 0 }]);
    await rig.send('t', [...keys.map((k) => ({ at: 0, k, v: 20 })), { at: 1000, k: 'last', v: 0 }]);
    const [alert] = await service.alerts({ stream: 's', active: true, limit: 1 });
    assert.equal(alert?.key['k'], 'first');
    assert.match(await explained(service, alert?.id ?? ''), /"k": "first"/);
  } finally {
    await rig.close();
  }
});

test('an alert about results of another stream is explained with where to ask for those', async () => {
  const fed = streamNamed('fed');
  const source = { ...streamNamed('source'), views: [{ name: 'readings', select: { at: 'at', v: 'v' } }] };
  const rig = await openRig([{ ...source, sinks: [{ type: 'stream', stream: 'fed', of: ['readings'] }] }, fed]);
  try {
    for (const at of [0, 1000]) await rig.send('source', [{ at, k: 'a', v: 20 }]);
    await rig.settled();
    const [alert] = await rig.service.alerts({ stream: 'fed', active: true, limit: 1 });
    const text = await explained(rig.service, alert?.id ?? '');
    assert.match(text, /from the result of readings in stream source for the key \{"k":"a"\}: \{"start":0,/);
  } finally {
    await rig.close();
  }
});

test('what is no alert, and streams that cannot be asked, are told in words', async () => {
  const rig = await openRig([streamNamed('s')]);
  try {
    for (const id of ['', 'nope', '/', 'x/hot/{}/0/1/0', 's/hot/{"k":"a"}/0/1000/0']) {
      assert.match(await explained(rig.service, id), /There is no alert with the id .* any more/);
    }
    const away = {
      plan: rig.service.plan,
      alerts: () => Promise.reject(new StreamRefusal('stopped', 'nobody runs these streams', 1000)),
    } as unknown as Streams;
    assert.match(await explained(away, 's/hot/{"k":"a"}/0/1000/0'), /cannot be explained: nobody runs these streams/);
  } finally {
    await rig.close();
  }
});
