/**
 * Time that cannot be applied ends threads: it is left out of all shards alike, now and in a replay, and told until it is made
 * up for.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { type ApplyResult, type ApplyTask, type Step, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { MemoryCheckpointStore } from '../checkpoints/memory-store.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const KEYS = 40;

const streamOf = (time: 'event' | 'processing'): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'integer' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', time, sizeMs: 100, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
});

interface Death {
  over: Step['kind'] | '';
  /** The step of this record. */
  seq: number;
  /** The thread stays. */
  throws?: boolean;
}

/** Several threads; the one that has the first shard ends over a step. */
class Mortal extends LocalThreads {
  override readonly size = 3;
  readonly #death: Death;
  constructor(parts: ConstructorParameters<typeof LocalThreads>[0], death: Death) {
    super(parts);
    this.#death = death;
  }
  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const { over, seq } = this.#death;
    const at = task.steps.findIndex((step) => step.kind === over && (!('seq' in step) || step.seq === seq));
    if (at < 0 || !task.shards.some(({ shard }) => shard === 0)) return super.apply(task);
    await super.apply({ ...task, steps: task.steps.slice(0, at) });
    if (this.#death.throws === true) throw new Error('a bug');
    throw new ThreadLost('worker exited');
  }
}

/** So many that several threads share the work. */
const many = (at: number): object[] => Array.from({ length: 2400 }, (_, i) => ({ at, k: `k${i % KEYS}`, v: i }));
const closedAt = async (rig: Rig): Promise<Record<string, number>> => {
  const keys: Record<string, number> = {};
  for (const { start } of await rig.rows('s', 'w')) keys[`${start}`] = (keys[`${start}`] ?? 0) + 1;
  return keys;
};

for (const saves of [false, true]) {
  test(`a watermark that ends threads is left out of all shards${saves ? ', checkpoint' : ''}, and made up for by the next`, async () => {
    const stores = lastingStores();
    // Record 1 is the plan.
    const death: Death = { over: 'advance', seq: 3 };
    const open = async (): Promise<Rig> =>
      openRig([streamOf('event')], { stores, tap: createTap(), threads: (parts) => new Mortal(parts, death) });
    let rig = await open();
    await rig.send('s', many(1));
    // The events count, whatever becomes of the time they bring.
    assert.deepEqual(await rig.send('s', many(150)), { accepted: 2400, rejected: 0, late: 0 });
    const isMissed = async (stepsLeftOut: number): Promise<void> => {
      assert.deepEqual([await closedAt(rig), rig.tap.lines()], [{}, []]);
      assert.deepEqual(rig.service.degraded, ['stream time of s']);
      assert.equal(rig.service.list()[0]?.stepsLeftOut, stepsLeftOut);
    };
    await isMissed(1);
    assert.equal(rig.troubles.filter(({ message }) => message.includes('left out')).length, 1);
    const missed = rig.troubles.filter(({ fields }) => (fields as { step?: string }).step === 'advance');
    assert.equal(missed.length, 1);
    if (saves) await rig.checkpoint();
    await rig.abandon();
    // Threads that could apply it come too late: others may have been told what follows from it.
    death.over = '';
    rig = await open();
    // A replay leaves it out again; what is saved says that it is still to be made up for.
    await isMissed(saves ? 0 : 1);
    await rig.send('s', many(220));
    assert.deepEqual(await closedAt(rig), { 0: KEYS, 100: KEYS });
    assert.deepEqual(rig.service.degraded, []);
    await rig.close();
  });
}

test('a tick that ends threads is left out of all shards, of all streams, and made up for by the next', async () => {
  const stores = lastingStores();
  const death: Death = { over: 'tick', seq: 3 };
  const other: StreamDefinition = { name: 'o', schema: { fields: { x: 'integer' } } };
  const open = async (): Promise<Rig> =>
    openRig([streamOf('processing'), other], { stores, threads: (parts) => new Mortal(parts, death) });
  const rig = await open();
  await rig.send('s', many(1));
  rig.nowMs += 1000;
  rig.tick();
  await rig.settled();
  assert.deepEqual(await closedAt(rig), {});
  assert.deepEqual(rig.service.degraded, ['stream ticks']);
  assert.deepEqual(
    rig.service.list().map(({ stepsLeftOut }) => stepsLeftOut),
    [1, 1],
  );
  rig.tick();
  await rig.settled();
  assert.equal(Object.values(await closedAt(rig))[0], KEYS);
  assert.deepEqual(rig.service.degraded, []);
  await rig.close();
});

test('what is told beside a step that throws is told by a replay, too', async () => {
  const stores = lastingStores();
  const death: Death = { over: 'advance', seq: 3, throws: true };
  const open = (): Promise<Rig> =>
    openRig([streamOf('event')], { stores, threads: (parts) => new Mortal(parts, death) });
  let rig = await open();
  await rig.send('s', many(1));
  await rig.send('s', many(150));
  assert.deepEqual([await closedAt(rig), rig.service.degraded], [{}, ['stream time of s']]);
  assert.equal(rig.service.list()[0]?.stepsLeftOut, 1);
  await rig.abandon();
  death.over = '';
  rig = await open();
  assert.deepEqual([await closedAt(rig), rig.service.degraded], [{}, ['stream time of s']]);
  await rig.close();
});

test('keys that a plan could not remove stay, in a replay as well, and are told', async () => {
  const lasting = lastingStores();
  // The plan is in the log alone.
  const checkpoints = new MemoryCheckpointStore();
  checkpoints.save = () => Promise.reject(new Error('no space'));
  const stores = async () => ({ ...(await lasting()), checkpoints });
  const kept = streamOf('event');
  const more = { name: 'x', type: 'tumbling', sizeMs: 1e9, aggregates: { n: 'count' } } as const;
  const both = { ...kept, limits: { keysMax: KEYS - 1 }, windows: [...(kept.windows ?? []), more] };
  const without = { ...kept, limits: { keysMax: KEYS - 1 } };
  const death: Death = { over: 'drop', seq: 0 };
  const open = (definition: StreamDefinition): Promise<Rig> =>
    openRig([definition], { stores, tap: createTap(), threads: (parts) => new Mortal(parts, death) });
  let rig = await open(both);
  await rig.send('s', many(1));
  await rig.abandon();

  rig = await open(without);
  const isTold = (): void => {
    assert.deepEqual(rig.service.degraded, ['stream removal']);
    assert.equal(rig.service.list()[0]?.stepsLeftOut, 1);
  };
  isTold();
  // The window of all keys closes by it, and makes no room.
  const isFull = async (): Promise<void> => {
    await assert.rejects(rig.send('s', [{ at: 1000, k: 'z', v: 1 }]), { refusal: 'full' });
    assert.deepEqual(await closedAt(rig), { 0: KEYS });
  };
  await isFull();
  await rig.abandon();
  death.over = '';
  rig = await open(without);
  isTold();
  await isFull();
  await rig.abandon();
});

test('what is still to be made up for after a restart goes with its stream', async () => {
  const stores = lastingStores();
  const other: StreamDefinition = { name: 'o', schema: { fields: { x: 'integer' } } };
  const death: Death = { over: 'advance', seq: 3 };
  let rig = await openRig([streamOf('event'), other], { stores, threads: (parts) => new Mortal(parts, death) });
  await rig.send('s', many(1));
  await rig.send('s', many(150));
  await rig.close();
  rig = await openRig([streamOf('event'), other], { stores });
  assert.deepEqual(rig.service.degraded, ['stream time of s']);
  await rig.close();
  rig = await openRig([other], { stores });
  assert.deepEqual(rig.service.degraded, []);
  await rig.close();
});
