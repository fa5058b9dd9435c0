/**
 * The catalogue swapped under calls that wait or run: each is run by the entry it was accepted for.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as hostile from './fixtures/hostile-tools.ts';
import * as stray from './fixtures/stray-tools.ts';
import { sourced, startRig, textOf, withPath } from './harness.ts';

const version = (n: number): ReturnType<typeof sourced> => [
  ...sourced('hostile-tools', hostile, `?v=${n}`),
  ...sourced('stray-tools', n % 2 === 0 ? stray : {}, `?v=${n}`),
];

test('a call that waits while the catalogue is swapped several times runs what it was accepted for', async () => {
  const rig = await startRig({ workers: 1, maxConcurrent: 2 });
  const calls = [];
  for (let n = 1; n <= 4; n++) {
    // Keeps the worker, which has not heard of this version when the next one comes.
    const blocker = rig.call('busy', { ms: 60 });
    rig.engine.dispatcher.pump();
    rig.catalogue.replace(version(n));
    calls.push(blocker, rig.call('polite', { text: `v${n}` }));
    rig.catalogue.replace(version(n + 10));
    rig.catalogue.replace(version(n + 20));
  }
  const texts = await Promise.all(calls.map(async ({ ended }) => textOf(await ended)));
  assert.deepEqual(texts, ['spun', 'v1', 'spun', 'v2', 'spun', 'v3', 'spun', 'v4']);
  await rig.close();
});

test('a call whose worker is lost after a swap is repeated by the entry it was accepted for', async () => {
  const rig = await startRig({ workers: 1, killGraceMs: 20 });
  await withPath(async (path) => {
    const call = await rig.begun('rests-once', path);
    const loop = await rig.running('loop-forever', {}, { timeoutMs: 1000 });
    rig.catalogue.replace(version(1));
    rig.catalogue.replace(version(2));
    assert.equal((await loop.ended).fault?.name, 'timeout');
    assert.equal(textOf(await call.ended), 'rested');
    assert.equal(call.job.attempts, 1);
  });
  await rig.close();
});

test('an entry whose module does not load is an error of its own calls', async () => {
  const rig = await startRig({ workers: 1 });
  const gone = sourced('hostile-tools', hostile).map((source) => ({
    definition: { ...source.definition },
    module: { ...(source.module as NonNullable<typeof source.module>), url: 'file:///nowhere/gone.js' },
  }));
  rig.catalogue.replace([
    ...gone.filter(({ definition }) => definition.name === 'throws'),
    ...sourced('stray-tools', stray),
  ]);
  for (let i = 0; i < 3; i++) {
    const ended = await rig.call('throws').ended;
    assert.equal(ended.message.error?.code, -32_603);
    assert.doesNotMatch(JSON.stringify(ended.message), /nowhere/);
  }
  assert.equal(textOf(await rig.call('throws-later').ended), 'fine');
  await rig.close();
});
