/**
 * Threads that are lost and stores that outlive a crash, for tests of what must survive them.
 */
import { MemoryDeadLetterStore } from '../../../src/streams/dead-letters/memory-store.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import {
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  type StreamThreads,
  ThreadLost,
} from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import type { Plan } from '../../../src/streams/plan.ts';
import type { Stores } from '../../../src/streams/stores.ts';
import { MemoryCheckpointStore } from '../checkpoints/memory-store.ts';

/** Ends now and then before, in the middle of, or after a task; in the middle leaves torn memory behind. */
export class MortalThreads implements StreamThreads {
  readonly size: number;
  losses = 0;
  readonly #random: () => number;
  readonly #chance: number;
  readonly #parts: ShardParts;
  #plan: Plan | null = null;
  #threads: LocalThreads;

  constructor(parts: ShardParts, random: () => number, chance: number, size = 3) {
    this.size = size;
    this.#parts = parts;
    this.#random = random;
    this.#chance = chance;
    this.#threads = new LocalThreads(parts);
  }

  usePlan(plan: Plan): void {
    this.#plan = plan;
    this.#threads.usePlan(plan);
  }

  async decode(task: DecodeTask): Promise<DecodeResult> {
    const dies = this.#random() < this.#chance;
    // Ids are remembered before the thread ends.
    const result = await this.#threads.decode(task);
    if (dies) this.#lose();
    return result;
  }

  async apply(task: ApplyTask): Promise<ApplyResult> {
    if (this.#random() >= this.#chance) return this.#threads.apply(task);
    const steps = task.steps.slice(0, Math.floor(this.#random() * (task.steps.length + 1)));
    await this.#threads.apply({ ...task, steps });
    return this.#lose();
  }

  /** A new thread knows nothing of what the old one had in hand. */
  #lose(): never {
    this.losses += 1;
    this.#threads = new LocalThreads(this.#parts);
    if (this.#plan !== null) this.#threads.usePlan(this.#plan);
    throw new ThreadLost('ended by the test');
  }
}

/** Stores in memory that a second engine can open after the first was abandoned. */
export function lastingStores(): () => Promise<Stores> {
  const eventLog = new MemoryLog();
  const checkpoints = new MemoryCheckpointStore();
  const deadLetters = new MemoryDeadLetterStore();
  const stores = { eventLog, checkpoints, deadLetters, dataDir: '', close: () => Promise.resolve() };
  return () => Promise.resolve(stores);
}
