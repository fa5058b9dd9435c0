/**
 * A batch that ends the threads it is applied on, or is refused by code of the plan: it counts nowhere, is kept as one
 * dead letter, and stays left out in every replay.
 */
import assert from 'node:assert/strict';
import { extname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { LimitsDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { type ApplyResult, type ApplyTask, type Step, ThreadLost } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';
import { ALL_AWAY } from './spill-case.ts';

const POISON = 'the end of a thread';
const schema: StreamDefinition['schema'] = {
  fields: { at: 'integer', k: 'string', v: 'integer' },
  timestamp: { field: 'at' },
  key: ['k'],
};

const streamWith = (limits: LimitsDefinition): StreamDefinition => ({
  name: 's',
  schema,
  limits,
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
});

interface Death {
  /** None dies while this is false. */
  isDeadly: boolean;
  readonly hangs: boolean;
}

/** Several threads, of which the one that has the first shard ends in the middle of a batch with the text. */
class Deadly extends LocalThreads {
  override readonly size = 3;
  readonly #death: Death;
  constructor(parts: ShardParts, death: Death) {
    super(parts);
    this.#death = death;
  }
  override async apply(task: ApplyTask): Promise<ApplyResult> {
    const at = task.steps.findIndex(isPoison);
    if (!this.#death.isDeadly || at < 0 || !task.shards.some(({ shard }) => shard === 0)) return super.apply(task);
    await super.apply({ ...task, steps: task.steps.slice(0, at) });
    if (this.#death.hangs) Atomics.store(new Int32Array(task.progress), 0, at + 1);
    throw new ThreadLost('worker exited', this.#death.hangs);
  }
}

const isPoison = (step: Step): boolean =>
  step.kind === 'events' && Buffer.from(new Uint8Array(step.batch)).includes(POISON);

/** So many that several threads share the work. */
const many = (at: number, text: string): object[] =>
  Array.from({ length: 2500 }, (_, i) => ({ at, k: `k${i % 50}${i === 7 ? text : ''}`, v: i }));

const lettersOf = (rig: Rig) => rig.service.deadLetters('s', '', 10);
async function totals(rig: Rig): Promise<Record<string, number>> {
  const sums: Record<string, number> = {};
  for (const { start, values } of await rig.rows('s', 'w', 'all')) {
    sums[`${start}`] = (sums[`${start}`] ?? 0) + (values['n'] as number);
  }
  return sums;
}

for (const hangs of [false, true]) {
  for (const saves of [false, true]) {
    for (const limits of [{}, ALL_AWAY]) {
      const how = `${hangs ? 'hangs' : 'ends'}${saves ? ', with a checkpoint' : ''}${limits === ALL_AWAY ? ', on disk' : ''}`;
      test(`a batch over which a thread ${how} is one dead letter, in no shard, now and after a restart`, async () => {
        const stores = lastingStores();
        const death = { isDeadly: true, hangs };
        const open = (): Promise<Rig> =>
          openRig([streamWith(limits)], { stores, threads: (parts) => new Deadly(parts, death) });
        let rig = await open();
        const batches = [many(1, ''), many(101, POISON), many(102, '')];
        const outcomes = await Promise.allSettled(batches.map((each, i) => rig.send('s', each, { batchId: `b${i}` })));
        assert.deepEqual(
          outcomes.map(({ status }) => status),
          ['fulfilled', 'rejected', 'fulfilled'],
        );
        const { reason } = outcomes[1] as PromiseRejectedResult;
        assert.equal(reason.refusal, 'undecodable');
        assert.match(reason.message, /worker exited; it does not count, is kept as dead letter 3:0 of s/);
        const [letter, ...more] = await lettersOf(rig);
        const text = (batches[1] as object[]).map((each) => JSON.stringify(each)).join('\n');
        assert.deepEqual([letter?.id, letter?.text, more.length], ['3:0', text, 0]);
        assert.match(letter?.reason ?? '', /worker exited/);
        assert.equal(rig.troubles.filter(({ message }) => message.includes('left out')).length, 1);
        assert.equal(rig.service.list()[0]?.counters.rejected, 2500);
        // Its time has counted: what closed by it may have been told.
        const before = { 0: 2500, 100: 2500 };
        assert.deepEqual(await totals(rig), before);
        const told = rig.tap.lines();
        if (saves) await rig.checkpoint();
        await rig.abandon();

        death.isDeadly = false;
        rig = await open();
        assert.deepEqual(await totals(rig), before);
        assert.deepEqual(rig.tap.lines(), saves ? [] : told);
        assert.equal((await lettersOf(rig)).length, 1);
        assert.equal(rig.service.list()[0]?.counters.rejected, 2500);
        const again = await rig.service.replayDeadLetters('s', ['3:0']);
        assert.deepEqual(again, { letters: 1, accepted: 2500, rejected: 0, late: 0 });
        const after = { 0: 2500, 100: 5000 };
        assert.deepEqual(await totals(rig), after);
        await rig.abandon();
        rig = await open();
        assert.deepEqual(await totals(rig), after);
        assert.deepEqual(await lettersOf(rig), []);
        await rig.close();
      });
    }
  }
}

test('a batch that a reducer throws for is kept whole, whatever shard the event is in', async () => {
  const module = fileURLToPath(new URL(`./counting-reducer${extname(import.meta.url)}`, import.meta.url));
  const aggregates = { list: { fn: 'custom', of: 'v', module, export: 'fragile' } } as const;
  const definition = {
    ...streamWith({}),
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 100, aggregates }] as StreamDefinition['windows'] & object,
  };
  const rig = await openRig([definition], {
    threads: (parts) => new Deadly(parts, { isDeadly: false, hangs: false }),
  });
  await rig.send('s', many(1, ''));
  const batch = [...many(2, ''), { at: 3, k: 'k1', v: -1 }];
  await assert.rejects(rig.send('s', batch), /it cannot be applied: no negative values; .* dead letter 3:0 of s/);
  const rows = await rig.rows('s', 'w', 'open');
  const counts = rows.map(({ values }) => (values['list'] as unknown[]).length);
  assert.deepEqual([rows.length, new Set(counts)], [50, new Set([50])]);
  assert.equal((await lettersOf(rig)).length, 1);
  await rig.close();
});

test('CloudEvents of a batch that was not applied count when they come again, once', async () => {
  const event = (id: string, k: string): string =>
    JSON.stringify({ specversion: '1.0', id, source: 'x', type: 't', data: { at: 1, k, v: 1 } });
  const batch = (...events: string[]) =>
    ({ format: 'cloudevents-batch', body: Buffer.from(`[${events.join()}]`) }) as const;
  const stores = lastingStores();
  const death = { isDeadly: true, hangs: true };
  const open = (): Promise<Rig> => openRig([streamWith({})], { stores, threads: (parts) => new Deadly(parts, death) });
  let rig = await open();
  await assert.rejects(rig.send('s', [], batch(event('1', 'a'), event('2', POISON))), { refusal: 'undecodable' });
  assert.deepEqual(await rig.send('s', [], batch(event('1', 'a'))), { accepted: 1, rejected: 0, late: 0 });
  await rig.abandon();
  death.isDeadly = false;
  rig = await open();
  assert.deepEqual(await rig.send('s', [], batch(event('1', 'a'))), { accepted: 0, rejected: 0, late: 0 });
  const replayed = await rig.service.replayDeadLetters('s', ['2:0']);
  assert.deepEqual(replayed, { letters: 1, accepted: 1, rejected: 0, late: 0 });
  assert.deepEqual(await totals(rig), { 0: 2 });
  await rig.close();
});

test('CloudEvents of a batch that was not applied count in the one behind it, in the same round', async () => {
  const event = (id: string, k: string): string =>
    JSON.stringify({ specversion: '1.0', id, source: 'x', type: 't', data: { at: 1, k, v: 1 } });
  const batch = (...events: string[]) =>
    ({ format: 'cloudevents-batch', body: Buffer.from(`[${events.join()}]`) }) as const;
  const rig = await openRig([streamWith({})], {
    threads: (parts) => new Deadly(parts, { isDeadly: true, hangs: true }),
  });
  const sent = [
    batch(event('0', 'c')),
    batch(event('1', 'a'), event('2', POISON)),
    batch(event('3', 'd')),
    batch(event('1', 'a'), event('0', 'c')),
    batch(event('1', 'a')),
  ];
  const outcomes = await Promise.allSettled(sent.map((each) => rig.send('s', [], each)));
  assert.deepEqual(
    outcomes.map((each) => (each.status === 'fulfilled' ? each.value.accepted : each.reason.refusal)),
    [1, 'undecodable', 1, 1, 0],
  );
  assert.deepEqual(await totals(rig), { 0: 3 });
  await rig.close();
});

test('a batch that has far more results than fit is left out and says why; others of its stream are not', async () => {
  const pairs: StreamDefinition['joins'] = [
    {
      name: 'pairs',
      type: 'interval',
      with: 'r',
      on: { left: ['k'], right: ['k'] },
      lowerMs: -100,
      upperMs: 100,
      select: { a: 'left.v', b: 'right.v' },
    },
  ];
  const definitions: StreamDefinition[] = [
    { name: 'l', schema, joins: pairs, sinks: [{ type: 'tap' }] },
    { name: 'r', schema },
  ];
  const rig = await openRig(definitions, {
    threads: (parts) => new LocalThreads(Object.assign(parts, { resultBytesMax: 2 ** 22 })),
  });
  const events = (count: number, k: string): object[] => Array.from({ length: count }, (_, v) => ({ at: 5, k, v }));
  await rig.send('l', [...events(3000, 'hot'), ...events(1, 'cold')]);
  await assert.rejects(
    rig.send('r', [...events(20, 'hot'), ...events(1, 'cold')]),
    /results have more than 4194304 bytes/,
  );
  assert.deepEqual(await rig.send('r', events(1, 'cold')), { accepted: 1, rejected: 0, late: 0 });
  assert.deepEqual(await rig.send('r', events(1, 'hot')), { accepted: 1, rejected: 0, late: 0 });
  await rig.settled();
  assert.equal(rig.tap.lines().length, 3001);
  const letters = await rig.service.deadLetters('r', '', 10);
  assert.equal(letters.length, 1);
  assert.match(letters[0]?.reason ?? '', /results have more than/);
  await rig.close();
});
