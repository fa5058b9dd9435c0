/**
 * All shards of the node's streams: where their memory is, and how steps are applied to it whatever happens to threads.
 *
 * Role: between the pipeline, which orders steps, and the threads. A round of steps is given to all shards, in parts
 * that run side by side; the round is over when every part is. A thread that ends in the middle of a part leaves torn
 * memory: the part's shards are put back to their base (a copy) and the steps since then are applied again.
 * Invariants: one task at a time works on a shard; `redo` holds every step applied since `base`, bounded by
 * `REDO_BYTES_MIN` or the size of the state, whichever is larger, and then a new base is made.
 */
import type { Plan } from '../plan.ts';
import { copyOfShard, createShard, type ShardParts } from './shard.ts';
import {
  type ApplyResult,
  type Held,
  PlanNotLoaded,
  type QueryRows,
  type ResultChunk,
  type ShardImage,
  type ShardReport,
  type Step,
  type StreamThreads,
  ThreadLost,
} from './task.ts';

const REDO_BYTES_MIN = 64 * 1024 * 1024;
const REDO_STEPS_MAX = 100_000;
/** Threads that may be lost over one part before its steps are looked at one by one. */
const TRIES_MAX = 3;
const RESTORES_MAX = 5;
/** Fewer rows than this are not worth several messages. */
const ROWS_PER_PART = 1024;

export interface RoundOutcome {
  readonly results: readonly ResultChunk[];
  readonly queries: readonly QueryRows[];
  readonly reports: readonly ShardReport[];
}

export interface ShardSetEvents {
  /** The state has a batch for good: its memory can be used for another one. */
  released(batch: SharedArrayBuffer): void;
  /** A step that throws wherever it is applied was left out in this part of the shards. */
  stepFailed(step: Step, error: unknown): void;
  threadLost(error: ThreadLost): void;
}

interface Facts {
  readonly bytes: number;
  readonly held: readonly Held[];
  readonly dropped: readonly number[];
}

export class ShardSet {
  readonly plan: Plan;
  readonly #threads: StreamThreads;
  readonly #events: ShardSetEvents;
  readonly #images: ShardImage[];
  readonly #facts: Facts[];
  /** Of all shards, by stream: looked at for every batch. */
  readonly #held: { keys: number; bytes: number }[];
  #bytes = 0;
  #base: ShardImage[];
  /** The base before this one, for the next one to be written to: V8 does not count shared memory, and lets go of it late. */
  readonly #spare: ShardImage[] = [];
  #redo: Step[] = [];
  /** Steps of `redo` that could not be applied, and the shards they were left out in. */
  readonly #leftOut = new Map<Step, Set<number>>();
  #redoBytes = 0;
  #incarnation: number;

  /** `images`: of a checkpoint, or null for fresh memory. */
  constructor(
    plan: Plan,
    parts: ShardParts,
    threads: StreamThreads,
    events: ShardSetEvents,
    images: readonly ShardImage[] | null,
    incarnation: number,
  ) {
    this.plan = plan;
    this.#threads = threads;
    this.#events = events;
    this.#incarnation = incarnation;
    this.#images = Array.from({ length: plan.shards }, (_, shard) => {
      const image = images?.[shard];
      return image === undefined ? createShard(shard, plan, parts, incarnation) : { ...image, incarnation, version: 0 };
    });
    this.#facts = this.#images.map(() => ({ bytes: 0, held: [], dropped: [] }));
    this.#held = plan.streams.map(() => ({ keys: 0, bytes: 0 }));
    this.#base = this.#images.map((image) => copyOfShard(image));
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** The memory as it is; only between rounds. */
  get images(): readonly ShardImage[] {
    return this.#images;
  }

  /** The memory as of the newest `rebase`. */
  get base(): readonly ShardImage[] {
    return this.#base;
  }

  /** State of a stream. */
  held(stream: number): Held {
    return this.#held[stream] as Held;
  }

  /** Partial matches an operator has given up. */
  dropped(operator: number): number {
    return this.#facts.reduce((sum, { dropped }) => sum + (dropped[operator] ?? 0), 0);
  }

  /** A new base is due: what would have to be applied again is larger than the state. */
  get redoIsLong(): boolean {
    return this.#redo.length > REDO_STEPS_MAX || this.#redoBytes > Math.max(REDO_BYTES_MIN, this.#bytes);
  }

  /** Applies the steps to every shard. Rejects when no thread can, whatever the steps are: nothing can go on then. */
  async round(steps: readonly Step[], rows: number): Promise<RoundOutcome> {
    const parts = this.#parts(rows);
    const outcomes = await Promise.all(parts.map((part) => this.#applyPart(part, steps)));
    for (const step of steps) this.#remember(step);
    return {
      results: outcomes.flatMap(({ results }) => results).sort(byOrigin),
      queries: outcomes.flatMap(({ queries }) => queries),
      reports: outcomes.flatMap(({ shards }) => shards),
    };
  }

  /** Makes the state as it is now the base. Rejects, changing nothing, when it cannot be copied. */
  async rebase(): Promise<void> {
    const { reports } = await this.round([{ kind: 'copy', into: this.#spare }], Number.POSITIVE_INFINITY);
    const copies = reports.flatMap(({ copy }) => (copy === null ? [] : [copy]));
    // One that is missing was left out by a thread: what leads from the old base to now is still needed.
    if (copies.length < this.plan.shards) throw new Error('the state could not be copied');
    this.#spare.splice(0, this.#spare.length, ...this.#base);
    this.#base = copies.toSorted((a, b) => a.shard - b.shard);
    for (const step of this.#redo) if (step.kind === 'events') this.#events.released(step.batch);
    this.#redo = [];
    this.#leftOut.clear();
    this.#redoBytes = 0;
  }

  #remember(step: Step): void {
    if (step.kind === 'query' || step.kind === 'copy') return;
    this.#redo.push(step);
    if (step.kind === 'events') this.#redoBytes += step.batch.byteLength;
  }

  /** Shards that go to one thread together. */
  #parts(rows: number): readonly (readonly number[])[] {
    const wanted = Math.max(1, Math.min(this.#threads.size, this.plan.shards, Math.ceil(rows / ROWS_PER_PART)));
    const parts: number[][] = Array.from({ length: wanted }, () => []);
    for (let shard = 0; shard < this.plan.shards; shard++) parts[shard % wanted]?.push(shard);
    return parts;
  }

  async #applyPart(part: readonly number[], steps: readonly Step[]): Promise<ApplyResult> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        return await this.#task(part, steps);
      } catch (error) {
        if (error instanceof PlanNotLoaded) throw error;
        if (error instanceof ThreadLost) this.#events.threadLost(error);
        await this.#restore(part);
        if (error instanceof Hung) return this.#without(part, steps, error);
        if (isOfTheSteps(error)) break;
      }
    }
    return this.#oneByOne(part, steps);
  }

  /** All but the step that does not end. */
  async #without(part: readonly number[], steps: readonly Step[], { step, cause }: Hung): Promise<ApplyResult> {
    this.#leaveOut(part, step, cause);
    return this.#applyPart(
      part,
      steps.filter((each) => each !== step),
    );
  }

  #leaveOut(part: readonly number[], step: Step, error: unknown): void {
    const shards = this.#leftOut.get(step) ?? new Set();
    for (const shard of part) shards.add(shard);
    this.#leftOut.set(step, shards);
    this.#events.stepFailed(step, error);
  }

  async #task(part: readonly number[], steps: readonly Step[]): Promise<ApplyResult> {
    const shards = part.map((shard) => this.#images[shard] as ShardImage);
    const progress = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    const result = await this.#threads
      .apply({ kind: 'apply', epoch: this.plan.epoch, shards, steps, progress })
      .catch((error: unknown) => {
        const begun = Atomics.load(new Int32Array(progress), 0);
        if (error instanceof ThreadLost && error.hung && begun > 0)
          throw new Hung(error, steps[(begun - 1) % steps.length] as Step);
        throw error;
      });
    for (const { image, bytes, dropped, held } of result.shards) {
      this.#images[image.shard] = image;
      this.#note(image.shard, { bytes, held, dropped });
    }
    return result;
  }

  /** Sums go on by what changed in the shard. */
  #note(shard: number, facts: Facts): void {
    const before = this.#facts[shard] as Facts;
    this.#bytes += facts.bytes - before.bytes;
    for (let stream = 0; stream < facts.held.length; stream++) {
      const sum = this.#held[stream] as { keys: number; bytes: number };
      const { keys, bytes } = facts.held[stream] as Held;
      sum.keys += keys - (before.held[stream]?.keys ?? 0);
      sum.bytes += bytes - (before.held[stream]?.bytes ?? 0);
    }
    this.#facts[shard] = facts;
  }

  /**
   * Back to the base, and forward again to before the round, or past what of it is `applied`. What this emits has been emitted already.
   * Throws when that cannot be done however often: then there are no threads.
   */
  async #restore(part: readonly number[], applied: readonly Step[] = []): Promise<void> {
    const redo = applied.length === 0 ? this.#redo : [...this.#redo, ...applied];
    // Who was lost may have been copying, and native code that is slow to end may write there still.
    this.#spare.length = 0;
    for (let tries = 0; ; tries++) {
      this.#incarnation += 1;
      const incarnation = this.#incarnation;
      for (const shard of part) {
        this.#images[shard] = { ...copyOfShard(this.#base[shard] as ShardImage), incarnation, version: 0 };
      }
      if (redo.length === 0) return;
      try {
        if (this.#leftOut.size === 0) await this.#task(part, redo);
        else for (const shard of part) await this.#task([shard], this.#of(shard, redo));
        return;
      } catch (error) {
        // It went well before: whatever ended this thread is not in the steps.
        if (tries >= RESTORES_MAX || error instanceof PlanNotLoaded) throw error;
      }
    }
  }

  /** Without what was left out in this shard. */
  #of(shard: number, steps: readonly Step[]): Step[] {
    return steps.filter((step) => this.#leftOut.get(step)?.has(shard) !== true);
  }

  /** Leaves out the steps that cannot be applied, and only those. */
  async #oneByOne(part: readonly number[], steps: readonly Step[]): Promise<ApplyResult> {
    const applied: Step[] = [];
    let reports: readonly ShardReport[] = [];
    const results: ResultChunk[] = [];
    const queries: QueryRows[] = [];
    let us = 0;
    for (const step of steps) {
      const result = await this.#one(part, step, applied);
      if (result === null) continue;
      reports = mergeReports(reports, result.shards);
      results.push(...result.results);
      queries.push(...result.queries);
      us += result.us;
      applied.push(step);
    }
    return { shards: reports, results, queries, us };
  }

  /** Null when the step is left out: `applied` is then what of the round is in the memory. */
  async #one(part: readonly number[], step: Step, applied: readonly Step[]): Promise<ApplyResult | null> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#task(part, [step]);
      } catch (error) {
        if (error instanceof PlanNotLoaded) throw error;
        await this.#restore(part, applied);
        if (!isOfTheSteps(error) && tries < TRIES_MAX) continue;
        this.#leaveOut(part, step, error);
        return null;
      }
    }
  }
}

function mergeReports(before: readonly ShardReport[], after: readonly ShardReport[]): readonly ShardReport[] {
  if (before.length === 0) return after;
  return after.map((report, i) => {
    const earlier = before[i];
    return earlier === undefined
      ? report
      : { ...report, late: [...earlier.late, ...report.late], copy: report.copy ?? earlier.copy };
  });
}

/** The same steps would end the same way; other losses of a thread are no fault of theirs. */
/** A step that does not end, and the loss of the thread it was on. */
class Hung extends ThreadLost {
  override readonly cause: ThreadLost;
  readonly step: Step;
  constructor(cause: ThreadLost, step: Step) {
    super(cause.message, true);
    this.cause = cause;
    this.step = step;
  }
}

const isOfTheSteps = (error: unknown): boolean => !(error instanceof ThreadLost) || error.hung;

/** In order of the log, then of the plan, then of the shards: the same whatever thread was first. */
function byOrigin(a: ResultChunk, b: ResultChunk): number {
  return a.seq - b.seq || a.operator - b.operator || a.output.localeCompare(b.output) || a.shard - b.shard;
}
