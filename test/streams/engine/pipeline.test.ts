/**
 * The pipeline by itself: what waits behind a barrier, what the log refuses meanwhile, and what comes after it has stopped.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pipeline, type PipelinePorts } from '../../../src/streams/engine/pipeline.ts';
import type { Entry } from '../../../src/streams/engine/pipeline-entry.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { TimeParts } from '../../../src/streams/engine/shards/time-parts.ts';
import type { DecodeResult, DecodeTask } from '../../../src/streams/engine/task.ts';

const TASK = { kind: 'decode' } as DecodeTask;
const DECODED = { accepted: 1 } as DecodeResult;

const NO_WINDOWS = new TimeParts(
  { epoch: 0, shards: 1, streams: [], groups: [], operators: [] },
  { held: () => ({ keys: 0, bytes: 0 }), round: () => Promise.reject(new Error('nothing is asked')) },
  1,
);

interface Held {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

function held(): Held {
  let resolve = (): void => undefined;
  let reject: Held['reject'] = () => undefined;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

/** Rounds, of one step for each record, that last until they are let go. */
function pipelineOf(round: () => Promise<void>, more: Partial<PipelinePorts> = {}): Pipeline {
  return new Pipeline({
    threads: {
      size: 1,
      usePlan: () => undefined,
      decode: () => Promise.resolve(DECODED),
      apply: () => Promise.reject(new Error('not needed here')),
    },
    rounds: () => ({
      anyAway: false,
      shorten: () => Promise.resolve(),
      round: () => round().then(() => ({ results: [], queries: [], unasked: [], reports: [], refused: new Map() })),
    }),
    timeParts: () => NO_WINDOWS,
    apart: () => new Set(),
    results: () => Promise.resolve(),
    answered: () => undefined,
    now: () => 0,
    broken: () => undefined,
    ...more,
  });
}

/** What became of it: 'applied', or why it was left out. `more`: what the entry does otherwise. */
function put(pipeline: Pipeline, seq: number, durable: Promise<void>, more: Partial<Entry> = {}): Promise<string> {
  return new Promise((resolve) => {
    const entry: Entry = {
      seq,
      stream: 0,
      task: TASK,
      durable,
      steps: () => [{ kind: 'tick', seq, nowMs: 0 }],
      applied: () => resolve('applied'),
      failed: (error) => resolve(String(error)),
      ...more,
    };
    pipeline.push(entry);
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a barrier does not wait for what the log refuses behind records that wait for the barrier', async () => {
  const round = held();
  const pipeline = pipelineOf(() => round.promise);
  const first = put(pipeline, 1, Promise.resolve());
  await turn();
  const refused = held();
  const worked: string[] = [];
  const barrier = pipeline.barrier(async () => void worked.push('barrier'));
  const second = put(pipeline, 2, Promise.resolve());
  const third = put(pipeline, 3, refused.promise);
  await turn();
  refused.reject(new Error('the log is away'));
  await turn();
  round.resolve();
  assert.equal(await first, 'applied');
  const late = new Promise((resolve) => setTimeout(resolve, 30_000, 'never').unref());
  assert.notEqual(await Promise.race([barrier, late]), 'never', 'the barrier waits for ever');
  assert.deepEqual(await Promise.all([second, third]), ['applied', 'Error: the log is away']);
  assert.deepEqual(worked, ['barrier']);
});

test('a barrier that waits when the pipeline stops does no work: what was on its way is in no state', async () => {
  const round = held();
  const pipeline = pipelineOf(() => round.promise);
  const first = put(pipeline, 1, Promise.resolve());
  await turn();
  const worked: string[] = [];
  const barriers = [1, 2].map(() => pipeline.barrier(async () => void worked.push('barrier')));
  const second = put(pipeline, 2, Promise.resolve());
  pipeline.stop();
  round.resolve();
  for (const barrier of barriers) await assert.rejects(barrier, StreamRefusal);
  assert.equal(await first, 'applied');
  assert.match(await second, /stopping/);
  await assert.rejects(
    pipeline.barrier(async () => void worked.push('later')),
    StreamRefusal,
  );
  assert.deepEqual(worked, []);
});

test('what comes after the pipeline has stopped is refused, and not kept', async () => {
  const pipeline = pipelineOf(() => Promise.resolve());
  pipeline.stop();
  const refused = held();
  const late = [put(pipeline, 1, Promise.resolve()), put(pipeline, 2, refused.promise)];
  refused.reject(new Error('the log is closed'));
  const never = new Promise<string[]>((resolve) => setTimeout(resolve, 30_000, ['never']).unref());
  for (const each of await Promise.race([Promise.all(late), never])) assert.match(each, /stopping/);
  assert.equal(pipeline.length, 0);
  await pipeline.idle();
});

for (const at of ['steps', 'applied'] as const) {
  test(`when there is no memory for what follows from a record (${at}), whoever waits for its round is told`, async () => {
    let broken: unknown = null;
    const pipeline = pipelineOf(() => Promise.resolve(), {
      broken: (error) => {
        broken = error;
      },
    });
    const fails = {
      [at]: () => {
        throw new RangeError('no memory');
      },
    };
    const told = [put(pipeline, 1, Promise.resolve(), fails), put(pipeline, 2, Promise.resolve())];
    const never = new Promise<string[]>((resolve) => setTimeout(resolve, 30_000, ['never']).unref());
    const [first, second] = await Promise.race([Promise.all(told), never]);
    assert.equal(first, 'RangeError: no memory');
    // With it, or when the pipeline stops.
    assert.match(String(second), /no memory|stopping/);
    assert.match(String(broken), /no memory/);
  });
}

test('a record that gets ready in the very moment in which a look for more finds nothing is applied', async () => {
  const stuck: number[] = [];
  for (let hops = 0; hops < 40; hops++) {
    const pipeline = pipelineOf(() => Promise.resolve());
    const applied: string[] = [];
    const begin = (seq: number): void =>
      void put(pipeline, seq, Promise.resolve(), { task: null }).then((what) => applied.push(what));
    begin(1);
    for (let i = 0; i < hops; i++) await null;
    begin(2);
    for (let turns = 0; turns < 5; turns++) await turn();
    if (applied.length < 2) stuck.push(hops);
  }
  assert.deepEqual(stuck, [], 'turns of the microtask queue between the two after which the second one waits for ever');
});
