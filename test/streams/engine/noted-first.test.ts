/**
 * What is left out is noted before anything of its round is told: a process that ends in between replays to what was told.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type DeadLetterStore, LettersUnavailable } from '../../../src/streams/dead-letters/port.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import {
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  ThreadLost,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { eventually } from '../../clients/eventually.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig, type Tap } from './rig.ts';

const TURNS = 100;
const POISON = 'the end of a thread';

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
};

interface Death {
  in: 'decode' | 'apply' | '';
}

/** Ends over what has the text. */
class Mortal extends LocalThreads {
  readonly #death: Death;
  constructor(parts: ConstructorParameters<typeof LocalThreads>[0], death: Death) {
    super(parts);
    this.#death = death;
  }
  override decode(task: DecodeTask): Promise<DecodeResult> {
    const body = Buffer.from(new Uint8Array(task.body, task.bodyAt, task.bodyBytes));
    if (this.#death.in !== 'decode' || !body.includes(POISON)) return super.decode(task);
    return Promise.reject(new ThreadLost('worker exited'));
  }
  override apply(task: ApplyTask): Promise<ApplyResult> {
    const isPoison = task.steps.some(
      (step) => step.kind === 'events' && Buffer.from(new Uint8Array(step.batch)).includes(POISON),
    );
    if (this.#death.in !== 'apply' || !isPoison) return super.apply(task);
    return Promise.reject(new ThreadLost('worker exited'));
  }
}

const batchOf = (at: number, text = ''): object[] => [0, 1, 2].map((i) => ({ at: at + i, k: `k${i}${text}` }));
const BATCHES = [batchOf(1), batchOf(102, POISON), batchOf(250), batchOf(390)];

interface Opened {
  readonly rig: Rig;
  readonly tap: Tap;
}

async function openWith(stores: ReturnType<typeof lastingStores>, death: Death): Promise<Opened> {
  const tap = createTap();
  const rig = await openRig([STREAM], { stores, tap, threads: (parts) => new Mortal(parts, death) });
  return { rig, tap };
}

const sendAll = (rig: Rig): Promise<PromiseSettledResult<unknown>[]> =>
  Promise.allSettled(BATCHES.map((batch, i) => rig.send('s', batch, { batchId: `b${i}` })));

/** What is written waits until the gate opens, and is lost then. */
function gate(store: DeadLetterStore): { readonly asked: () => boolean; open(): void } {
  const waiting: ((error: Error) => void)[] = [];
  const { add, addNoted } = store;
  const held = (): Promise<void> => new Promise((_resolve, reject) => waiting.push(reject));
  Object.assign(store, { add: held, addNoted: held });
  return {
    asked: () => waiting.length > 0,
    open() {
      Object.assign(store, { add, addNoted });
      for (const reject of waiting) reject(new LettersUnavailable('closed'));
    },
  };
}

for (const where of ['decode', 'apply'] as const) {
  test(`a process that ends before the note of a batch is there has told nothing (${where})`, async () => {
    const stores = lastingStores();
    const { deadLetters } = await stores();
    const death: Death = { in: where };
    const { rig, tap } = await openWith(stores, death);
    const gated = gate(deadLetters);
    const sending = sendAll(rig);
    await eventually('it is to be noted', gated.asked, Boolean);
    for (let i = 0; i < TURNS; i++) await turn();
    assert.deepEqual(tap.lines(), []);
    await rig.abandon();
    gated.open();
    const outcomes = await sending;
    assert.deepEqual(
      outcomes.slice(1).map((each) => each.status),
      ['rejected', 'rejected', 'rejected'],
    );
    // Threads live on over it: all count, and what the sink gets is what it would have got.
    death.in = '';
    const again = await openWith(stores, death);
    assert.deepEqual(await sendAll(again.rig), Array(4).fill({ status: 'fulfilled', value: COUNTED }));
    await again.rig.settled();
    const counts = again.tap
      .lines()
      .map((line) => JSON.parse(line))
      .map(({ values, start }) => [start, values.n]);
    assert.deepEqual(
      counts,
      [0, 100, 200].flatMap((start) => [0, 1, 2].map(() => [start, 1])),
    );
    assert.deepEqual(await again.rig.service.deadLetters('s', '', 10), []);
    await again.rig.close();
  });
}

/** Sends all while letters cannot be written. Resolves when that is told; `back`: they can. */
async function sentWhileAway(rig: Rig, letters: DeadLetterStore) {
  const { add, addNoted } = letters;
  const away = (): Promise<void> => Promise.reject(new LettersUnavailable('disk full'));
  Object.assign(letters, { add: away, addNoted: away });
  const sending = sendAll(rig);
  await eventually(
    'it is told',
    () => rig.service.degraded,
    (reasons) => reasons.includes('stream dead letters'),
  );
  return { sending, back: () => void Object.assign(letters, { add, addNoted }) };
}

const COUNTED = { accepted: 3, rejected: 0, late: 0 };

test('while a note cannot be written all waits for it, which is told, and goes on when it can', async () => {
  const stores = lastingStores();
  const { deadLetters } = await stores();
  const { rig, tap } = await openWith(stores, { in: 'apply' });
  const { back, sending } = await sentWhileAway(rig, deadLetters);
  assert.deepEqual(tap.lines(), []);
  back();
  const outcomes = await sending;
  assert.deepEqual(
    outcomes.map((each) => (each.status === 'fulfilled' ? 'ok' : each.reason.refusal)),
    ['ok', 'undecodable', 'ok', 'ok'],
  );
  assert.deepEqual(rig.service.degraded, []);
  await rig.settled();
  assert.equal(tap.lines().length, 6);
  await rig.close();
});

test('streams end though a note cannot be written, and the next start has what waits for it', async () => {
  const stores = lastingStores();
  const { deadLetters } = await stores();
  const death: Death = { in: 'apply' };
  const { rig, tap } = await openWith(stores, death);
  const { back, sending } = await sentWhileAway(rig, deadLetters);
  await rig.close();
  assert.deepEqual(
    (await sending).slice(1).map(({ status }) => status),
    ['rejected', 'rejected', 'rejected'],
  );
  assert.deepEqual(tap.lines(), []);
  back();
  const again = await openWith(stores, death);
  const refusals = (await sendAll(again.rig)).map((each) => (each.status === 'fulfilled' ? 'ok' : each.reason.refusal));
  assert.deepEqual(refusals, ['ok', 'undecodable', 'ok', 'ok']);
  await again.rig.close();
});

test('poison events before a batch that is left out in their round, and behind it, are all kept', async () => {
  const stores = lastingStores();
  const { rig } = await openWith(stores, { in: 'apply' });
  const bad = (at: number) => [{ at: 'no time', k: `${at}` }, ...batchOf(at)];
  const batches = [bad(1), bad(2), batchOf(102, POISON), bad(103), batchOf(104, POISON), bad(105)];
  await Promise.allSettled(batches.map((batch) => rig.send('s', batch)));
  const ids = (await rig.service.deadLetters('s', '', 10)).map(({ id }) => id);
  assert.deepEqual(ids, ['2:0', '3:0', '4:0', '5:0', '6:0', '7:0']);
  await rig.close();
});

for (const where of ['decode', 'apply'] as const) {
  test(`a batch that was acknowledged and is left out by a replay has its letter before later ones (${where})`, async () => {
    const stores = lastingStores();
    const death: Death = { in: '' };
    let { rig } = await openWith(stores, death);
    const bad = [{ at: 'no time', k: 'z' }];
    await rig.send('s', batchOf(1));
    await rig.send('s', batchOf(2, POISON), { batchId: 'p1' });
    await rig.send('s', batchOf(3, POISON), { batchId: 'p2' });
    await rig.send('s', bad);
    await rig.abandon();
    death.in = where;
    const idsOf = async (): Promise<string[]> => (await rig.service.deadLetters('s', '', 10)).map(({ id }) => id);
    ({ rig } = await openWith(stores, death));
    assert.deepEqual(await idsOf(), ['3:0', '4:0', '5:0']);
    await assert.rejects(rig.send('s', batchOf(2, POISON), { batchId: 'p1' }), /dead letter 3:0 of s/);
    await rig.service.dropDeadLetters('s', ['4:0']);
    await rig.send('s', bad);
    await rig.abandon();
    death.in = '';
    ({ rig } = await openWith(stores, death));
    // They stay left out, and no letter that was dropped comes back.
    assert.deepEqual(await idsOf(), ['3:0', '5:0', '6:0']);
    assert.equal(rig.service.list()[0]?.counters.accepted, 3);
    await rig.close();
  });
}
