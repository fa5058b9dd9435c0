/**
 * What goes over between the pool and its threads: memory that the other side has is only named, and nothing comes of that
 * but shorter messages, whatever threads end and forget.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkerLoad } from '../../../src/dispatch/flights.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import {
  type ApplyTask,
  NotKept,
  type SentShard,
  type StreamAnswer,
  type StreamMessage,
} from '../../../src/streams/engine/task.ts';
import { isKept, leftOf } from '../../../src/streams/engine/threads/kept-shards.ts';
import { PoolThreads, type StreamWorker } from '../../../src/streams/engine/threads/pool-threads.ts';
import { StreamTaskRunner } from '../../../src/streams/engine/threads/run-task.ts';
import { randomFrom } from '../../random.ts';
import { randomCase } from '../oracle/arbitrary.ts';
import { windowOf } from '../oracle/case.ts';
import { compareResults } from '../oracle/compare.ts';
import { expectedWindows } from '../oracle/windows.ts';
import { playStep, tapped } from './replay-case.ts';
import { openRig } from './rig.ts';

const SEEDS = Number(process.env['STREAM_SEEDS'] ?? 60);
const FIRST = Number(process.env['STREAM_SEED'] ?? 1);
const THREADS = 2;

interface Thread {
  readonly worker: StreamWorker;
  runner: StreamTaskRunner;
}

/** Threads in name only, each with a runner of its own; messages are cloned as they are between real ones. */
class ClonedThreads {
  readonly threads: PoolThreads;
  /** Shards that were only named, those that were sent whole, and those that came back without any memory. */
  named = 0;
  whole = 0;
  unchanged = 0;
  forgot = 0;
  ended = 0;
  readonly #parts: ShardParts;
  readonly #all: Thread[];
  #threadId = 0;

  constructor(parts: ShardParts, random: () => number, chance: number) {
    this.#parts = parts;
    this.#all = Array.from({ length: THREADS }, (_, index) => this.#start(index));
    this.threads = new PoolThreads({
      size: THREADS,
      workers: () => this.#all.map(({ worker }) => worker),
      isInCall: () => false,
      kill: () => undefined,
      run: async (worker, message) => {
        const thread = this.#all.find((each) => each.worker === worker) as Thread;
        const { task } = message;
        const dice = task?.kind === 'apply' ? random() / chance : 1;
        if (dice < 0.5) this.#forget(thread);
        const answer = structuredClone(this.#answer(thread, structuredClone(message)));
        // What it did is done, and torn as far as anybody knows.
        if (dice >= 0.5 && dice < 1) this.#end(thread);
        return answer;
      },
    });
  }

  #start(index: number): Thread {
    this.#threadId += 1;
    const worker = new WorkerLoad({ index, threadId: this.#threadId }, 0);
    return { worker, runner: new StreamTaskRunner(this.#parts) };
  }

  #end(thread: Thread): never {
    this.ended += 1;
    this.#all[thread.worker.worker.index] = this.#start(thread.worker.worker.index);
    throw new Error('the thread has ended');
  }

  /** As a thread that was given another plan meanwhile. */
  #forget(thread: Thread): void {
    this.forgot += 1;
    const { runner } = thread;
    const plan = this.#plan;
    if (plan !== null) runner.usePlan(plan);
  }

  #plan: StreamMessage['plan'] = null;

  #answer({ runner }: Thread, { plan, task }: StreamMessage): StreamAnswer {
    if (plan !== null) {
      this.#plan = plan;
      runner.usePlan(plan);
    }
    try {
      if (task === null) return { ok: true, result: null };
      if (task.kind === 'decode') return { ok: true, result: runner.decode(task) };
      if (task.kind === 'split') return { ok: true, result: runner.split(task) };
      return { ok: true, result: this.#counted(task, leftOf(task, runner.apply(task))) };
    } catch (error) {
      return { ok: false, message: String(error), stack: '', spill: null, isNotKept: error instanceof NotKept };
    }
  }

  #counted(task: ApplyTask<SentShard>, result: ReturnType<typeof leftOf>): ReturnType<typeof leftOf> {
    for (const shard of task.shards) {
      if (isKept(shard)) this.named += 1;
      else this.whole += 1;
    }
    for (const { image } of result.shards) {
      if ([...image.groups, ...image.operators].every((memory) => memory === null)) this.unchanged += 1;
    }
    return result;
  }
}

test(`threads that keep shards, forget them and end, ${SEEDS} seeded cases`, async () => {
  let named = 0;
  let unchanged = 0;
  let forgot = 0;
  let ended = 0;
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const given = randomCase(seed);
    let cloned: ClonedThreads | null = null;
    const rig = await openRig(tapped(given), {
      threads: (parts) => {
        cloned = new ClonedThreads(parts, randomFrom(seed), 0.2);
        return cloned.threads;
      },
    });
    for (const step of given.steps) await playStep(rig, step);
    const difference = compareResults(await expectedWindows(given), rig.tap.lines(), windowOf(given, '').window);
    assert.equal(difference, '', `seed ${seed}`);
    await rig.close();
    const seen = cloned as unknown as ClonedThreads;
    named += seen.named;
    unchanged += seen.unchanged;
    forgot += seen.forgot;
    ended += seen.ended;
  }
  assert.ok(forgot > SEEDS / 2 && ended > SEEDS / 2, `forgot ${forgot}, ended ${ended}`);
  assert.ok(named > 0 && unchanged > named / 2, `${named} named, ${unchanged} came back without memory`);
});

test('a thread that is left alone with its shards is sent none of their memory again', async () => {
  const ROUNDS = 20;
  /** Of the rig. */
  const SHARDS = 4;
  let cloned: ClonedThreads | null = null;
  const definition = {
    name: 's',
    schema: { fields: { at: 'integer', key: 'string' }, timestamp: { field: 'at' }, key: ['key'] },
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
  } satisfies StreamDefinition;
  const rig = await openRig([definition], {
    threads: (parts) => {
      cloned = new ClonedThreads(parts, () => 1, 0);
      return cloned.threads;
    },
  });
  for (let round = 0; round < ROUNDS; round++) await rig.send('s', [{ at: round, key: 'k' }]);
  await rig.close();
  const { named, unchanged, whole } = cloned as unknown as ClonedThreads;
  assert.ok(whole <= 2 * SHARDS, `${whole} sent whole`);
  assert.ok(named >= (ROUNDS - 2) * SHARDS, `${named} named`);
  assert.ok(unchanged > named / 2, `${unchanged} came back without memory`);
});
