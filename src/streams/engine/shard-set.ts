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
  /** A step that throws wherever it is applied was left out in this part of the shards. */
  stepFailed(step: Step, error: unknown): void;
  threadLost(error: ThreadLost): void;
}

interface Facts {
  bytes: number;
  keys: number;
}

export class ShardSet {
  readonly plan: Plan;
  readonly #threads: StreamThreads;
  readonly #events: ShardSetEvents;
  readonly #images: ShardImage[];
  readonly #facts: Facts[];
  #base: ShardImage[];
  #redo: Step[] = [];
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
    this.#facts = this.#images.map(() => ({ bytes: 0, keys: 0 }));
    this.#base = this.#images.map(copyOfShard);
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

  get bytes(): number {
    return this.#facts.reduce((sum, facts) => sum + facts.bytes, 0);
  }

  get keys(): number {
    return this.#facts.reduce((sum, facts) => sum + facts.keys, 0);
  }

  /** A new base is due: what would have to be applied again is larger than the state. */
  get redoIsLong(): boolean {
    return this.#redo.length > REDO_STEPS_MAX || this.#redoBytes > Math.max(REDO_BYTES_MIN, this.bytes);
  }

  /** Applies the steps to every shard. Never rejects. */
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

  /** Makes the state as it is now the base. */
  async rebase(): Promise<void> {
    const { reports } = await this.round([{ kind: 'copy' }], Number.POSITIVE_INFINITY);
    const base = [...this.#base];
    for (const { copy } of reports) if (copy !== null) base[copy.shard] = copy;
    this.#base = base;
    this.#redo = [];
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
        if (error instanceof ThreadLost) this.#events.threadLost(error);
        await this.#restore(part);
        if (isOfTheSteps(error)) break;
      }
    }
    return this.#oneByOne(part, steps);
  }

  async #task(part: readonly number[], steps: readonly Step[]): Promise<ApplyResult> {
    const shards = part.map((shard) => this.#images[shard] as ShardImage);
    const result = await this.#threads.apply({ kind: 'apply', epoch: this.plan.epoch, shards, steps });
    for (const { image, bytes, keys } of result.shards) {
      this.#images[image.shard] = image;
      this.#facts[image.shard] = { bytes, keys };
    }
    return result;
  }

  /**
   * Back to the base, and forward again to before the round, or past what of it is `applied`. What this emits has been emitted already.
   * Throws when that cannot be done however often: then there are no threads.
   */
  async #restore(part: readonly number[], applied: readonly Step[] = []): Promise<void> {
    const redo = applied.length === 0 ? this.#redo : [...this.#redo, ...applied];
    for (let tries = 0; ; tries++) {
      this.#incarnation += 1;
      const incarnation = this.#incarnation;
      for (const shard of part) {
        this.#images[shard] = { ...copyOfShard(this.#base[shard] as ShardImage), incarnation, version: 0 };
      }
      if (redo.length === 0) return;
      try {
        await this.#task(part, redo);
        return;
      } catch (error) {
        // It went well before: whatever ended this thread is not in the steps.
        if (tries >= RESTORES_MAX) throw error;
      }
    }
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
        await this.#restore(part, applied);
        if (!isOfTheSteps(error) && tries < TRIES_MAX) continue;
        this.#events.stepFailed(step, error);
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
const isOfTheSteps = (error: unknown): boolean => !(error instanceof ThreadLost) || error.hung;

/** In order of the log, then of the plan, then of the shards: the same whatever thread was first. */
function byOrigin(a: ResultChunk, b: ResultChunk): number {
  return a.seq - b.seq || a.operator - b.operator || a.output.localeCompare(b.output) || a.shard - b.shard;
}
