/**
 * All shards of the node's streams: where their memory is, and how steps are applied to it whatever happens to threads.
 *
 * Role: between the pipeline, which orders steps, and the threads. A round of steps is given to all shards, in parts
 * that run side by side; the round is over when every part is. A thread that ends in the middle of a part leaves torn
 * memory: the part's shards are put back to their base (a copy) and the steps since then are applied again. Shards that
 * are on disk (`shard-residence.ts` says which) are as they were: a thread writes another file.
 * Invariants: one task at a time works on a shard; a step is in all shards or in none; `redo` holds every step applied
 * since `base`; when that is more than the state itself, a new base is made.
 */
import { LineRooms, lineMemory } from '../../lines/line-memory.ts';
import type { Plan } from '../../plan.ts';
import { ShardResidence } from '../spill/shard-residence.ts';
import { filesOf, isAtRest } from '../spill/spill-file.ts';
import type { SpillFolder } from '../spill/spill-folder.ts';
import {
  type ApplyResult,
  type Held,
  type HeldShard,
  PROGRESS_BYTES,
  type QueryRows,
  type ResultChunk,
  type ShardReport,
  SpillProblem,
  type Step,
  type StreamThreads,
  ThreadLost,
} from '../task.ts';
import { Redo } from './redo.ts';
import { RefusedSteps } from './refused-steps.ts';
import { byOrigin, mergeReports, type RoundOutcome } from './round-outcome.ts';
import { copyOfShard, createShard, type ShardParts } from './shard.ts';
import { ShardFacts } from './shard-facts.ts';
import { asError, failureOf, Hung, isDamage, isFinal, isOfTheSteps } from './task-failures.ts';

/** Threads that may be lost over one part before its steps are looked at one by one. */
const TRIES_MAX = 3;
const RESTORES_MAX = 5;
/** Fewer rows than this are not worth several messages. */
const ROWS_PER_PART = 1024;

export interface ShardSetEvents {
  /** The state has a batch for good: its memory can be used for another one. */
  released(batch: SharedArrayBuffer): void;
  /** A step that cannot be applied is left out: everywhere, but for questions and copies, which change nothing. */
  stepFailed(step: Step, error: unknown): void;
  threadLost(error: ThreadLost): void;
  /** A file of a shard is not what was written. */
  spillDamaged(error: SpillProblem): void;
  /** Shards stay in memory that has no room for them. */
  notStored(cause: string): void;
  /** A base that was due could not be made: what is to be applied again after a loss grows. */
  notCopied(error: unknown): void;
}

/** A shard as it was, and how many steps of `redo` had been applied to it then. */
interface Base {
  readonly held: HeldShard;
  readonly from: number;
}

export class ShardSet {
  readonly plan: Plan;
  readonly #threads: StreamThreads;
  readonly #events: ShardSetEvents;
  /** Null: all shards are in memory, always. */
  readonly #residence: ShardResidence | null;
  readonly #images: HeldShard[];
  readonly #facts: ShardFacts;
  #base: Base[];
  /**
   * By shard, the base before this one, to write the next one to: V8 does not count shared memory, and frees it late.
   * None for shards on disk, which memory has no room for.
   */
  readonly #spare: (HeldShard | undefined)[] = [];
  readonly #redo = new Redo();
  /** A base that is read; nothing may be written to it. */
  #pinned: readonly HeldShard[] = [];
  /** Of the round under way, or the last one. */
  #refused = new RefusedSteps();
  #incarnation: number;
  readonly #rooms = new LineRooms(lineMemory);
  /** Why a round was not applied to all shards: others have it. */
  #lost: Error | null = null;

  /** `images`: of a checkpoint, or null for fresh memory. `folder`: for what memory has no room for. */
  constructor(
    plan: Plan,
    parts: ShardParts,
    threads: StreamThreads,
    events: ShardSetEvents,
    images: readonly HeldShard[] | null,
    incarnation: number,
    folder: SpillFolder,
  ) {
    this.plan = plan;
    this.#threads = threads;
    this.#events = events;
    this.#incarnation = incarnation;
    this.#images = Array.from({ length: plan.shards }, (_, shard) => {
      const image = images?.[shard];
      return image === undefined ? createShard(shard, plan, parts, incarnation) : { ...image, incarnation, version: 0 };
    });
    this.#facts = new ShardFacts(plan);
    this.#base = this.#images.map((image) => ({ held: copyOfShard(image), from: 0 }));
    this.#residence = ShardResidence.of(plan, folder, this.#images);
    this.#settle();
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** The memory as it is; only between rounds. */
  get images(): readonly HeldShard[] {
    return this.#images;
  }

  /** The memory as of the newest base. */
  get base(): readonly HeldShard[] {
    return this.#base.map(({ held }) => held);
  }

  /** State of all streams, in use. */
  get bytes(): number {
    return this.#facts.bytes;
  }

  /** State of a stream. */
  held(stream: number): Held {
    return this.#facts.held(stream);
  }

  /** Partial matches an operator has given up. */
  dropped(operator: number): number {
    return this.#facts.dropped(operator);
  }

  /** Bytes of a stream's state that are on disk. */
  storedBytes(stream: number): number {
    return this.#residence?.storedBytes(stream) ?? 0;
  }

  /** Shards are on disk. */
  get anyAway(): boolean {
    return this.#residence?.anyAway === true;
  }

  /** Why there is more in memory than should be; `''`: there is not. */
  get notStored(): string {
    return this.#residence?.notStored ?? '';
  }

  /** A new base is due: what would have to be applied again is larger than the state, or than what it may take. */
  get #redoIsLong(): boolean {
    const bytes = Math.min(this.bytes, this.#residence?.budget(this) ?? Number.POSITIVE_INFINITY);
    return this.#redo.isLong(bytes);
  }

  /** Between rounds: makes a new base when one is due. */
  async shorten(): Promise<void> {
    if (!this.#redoIsLong) return;
    try {
      await this.rebase();
    } catch (error) {
      this.#redo.wait();
      this.#events.notCopied(error);
    }
  }

  /** The base as it is now, which stays as it is until `release`. */
  pinBase(): { readonly held: readonly HeldShard[]; release(): void } {
    const held = this.base;
    this.#pinned = held;
    return {
      held,
      release: () => {
        if (this.#pinned === held) this.#pinned = [];
      },
    };
  }

  /** Applies the steps to every shard. Rejects when no thread can, whatever the steps are: nothing can go on then. */
  round(steps: readonly Step[], rows: number): Promise<RoundOutcome> {
    return this.#round(steps, rows, this.#images);
  }

  async #round(steps: readonly Step[], rows: number, shards: readonly HeldShard[]): Promise<RoundOutcome> {
    if (this.#lost !== null) throw this.#lost;
    this.#refused = new RefusedSteps();
    const outcomes = await this.#applyParts(this.#parts(rows, shards), steps).catch((error: unknown) => {
      // A copy changes nothing, unless its shard could be neither read nor written.
      if (error instanceof SpillProblem || steps.some(({ kind }) => kind !== 'copy')) this.#lost = asError(error);
      throw error;
    });
    for (const step of steps) if (!this.#refused.has(step)) this.#redo.remember(step);
    this.#settle();
    return {
      refused: this.#refused.whys(),
      results: outcomes.flatMap(({ results }) => results).sort(byOrigin),
      queries: outcomes.flatMap(({ queries }) => queries),
      unasked: this.#refused.unasked,
      reports: outcomes.flatMap(({ shards }) => shards),
    };
  }

  /** Makes the state as it is now the base. Rejects, changing nothing, when it cannot be copied. */
  async rebase(): Promise<void> {
    const toCopy = this.#images.filter((held) => !isAtRest(held));
    const { reports } = await this.#round([{ kind: 'copy', into: this.#spare }], Infinity, toCopy);
    const copies = reports.flatMap(({ copy }) => (copy === null ? [] : [copy]));
    // One that is missing was left out by a thread: what leads from the old base to now is still needed.
    if (copies.length < toCopy.length) throw new Error('the state could not be copied');
    const spare = this.base.map((held) => (this.#pinned.includes(held) ? undefined : held));
    this.#spare.splice(0, this.#spare.length, ...spare);
    // What is on disk is its own copy: the file is not written again.
    this.#base = this.#images.map((held) => ({ held, from: 0 }));
    for (const copy of copies) this.#base[copy.shard] = { held: copy, from: 0 };
    for (const batch of this.#redo.clear()) this.#events.released(batch);
    this.#settle();
  }

  /** Between rounds. A shard that has gone to disk needs no copy in memory, nor room for one. */
  #settle(): void {
    if (this.#residence === null) return;
    for (const [shard, held] of this.#images.entries()) {
      if (!isAtRest(held)) continue;
      this.#spare[shard] = undefined;
      const { held: base } = this.#base[shard] as Base;
      if (!isAtRest(base)) this.#base[shard] = { held, from: this.#redo.length };
    }
    this.#residence.settle(this, this.base);
  }

  /** State of the streams in one shard. */
  heldBy(shard: number): readonly Held[] {
    return this.#facts.heldBy(shard);
  }

  /** Shards that go to one thread together. */
  #parts(rows: number, shards: readonly HeldShard[]): readonly (readonly number[])[] {
    // Reading a shard is work enough.
    const most = this.anyAway ? this.#threads.size : Math.max(1, Math.ceil(rows / ROWS_PER_PART));
    const wanted = Math.min(this.#threads.size, shards.length, most);
    const parts: number[][] = Array.from({ length: wanted }, () => []);
    for (const [i, { shard }] of shards.entries()) parts[i % wanted]?.push(shard);
    return parts;
  }

  /** All of them side by side. A step that one part is without is taken back from the others. */
  async #applyParts(parts: readonly (readonly number[])[], steps: readonly Step[]): Promise<readonly ApplyResult[]> {
    const outcomes = await Promise.all(parts.map((part) => this.#applyPart(part, steps)));
    while (parts.some((part) => this.#refused.areIn(part))) {
      const left = steps.filter((step) => !this.#refused.has(step));
      const again = parts.map(async (part, i) => {
        if (!this.#refused.areIn(part)) return;
        this.#refused.outOf(part);
        await this.#restore(part, [], part);
        outcomes[i] = await this.#applyPart(part, left);
      });
      await Promise.all(again);
    }
    return outcomes;
  }

  async #applyPart(part: readonly number[], steps: readonly Step[]): Promise<ApplyResult> {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      try {
        return await this.#attempt(part, steps, []);
      } catch (error) {
        if (isFinal(error)) throw error;
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
    if (this.#refused.add(step, part, error)) this.#events.stepFailed(step, error);
  }

  /** A task; shards whose file turns out to be damaged are restored, and it is tried again. */
  async #attempt(part: readonly number[], steps: readonly Step[], applied: readonly Step[]): Promise<ApplyResult> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.#task(part, steps, false);
      } catch (error) {
        if (!isDamage(error) || tries >= RESTORES_MAX + part.length) throw error;
        const { shard } = error.trouble;
        const lost = filesOf(this.#images[shard] as HeldShard);
        if (filesOf((this.#base[shard] as Base).held).some((file) => lost.includes(file))) throw error;
        this.#events.spillDamaged(error);
        await this.#restore(part, applied, this.#torn(part, shard));
      }
    }
  }

  async #task(part: readonly number[], steps: readonly Step[], isRedo: boolean): Promise<ApplyResult> {
    const shards = part.map((shard) => this.#images[shard] as HeldShard);
    const progress = new SharedArrayBuffer(PROGRESS_BYTES);
    const spill = this.#residence?.orders(part) ?? null;
    const rooms = isRedo ? [] : this.#rooms.take();
    const result = await this.#threads
      .apply({ kind: 'apply', epoch: this.plan.epoch, shards, spill, steps, progress, rooms, isRedo })
      .catch((error: unknown) => {
        throw failureOf(error, new Int32Array(progress), steps);
      });
    for (const { image, bytes, dropped, held } of result.shards) {
      this.#images[image.shard] = image;
      this.#facts.note(image.shard, { bytes, held, dropped });
    }
    this.#rooms.used(rooms, result.roomsLeft, result.results);
    if (spill !== null) {
      const notStored = this.#residence?.used(spill, result.shards) ?? '';
      if (notStored !== '') this.#events.notStored(notStored);
    }
    return result;
  }

  /**
   * Back to the base, and forward again to before the round, or past what of it is `applied`. Throws when repeated
   * tries fail: then there are no threads, or the base is damaged as well.
   */
  async #restore(part: readonly number[], applied: readonly Step[] = [], torn = this.#torn(part)): Promise<void> {
    // Who was lost may have been copying, and native code that is slow to end may write there still.
    this.#spare.length = 0;
    for (let tries = 0; ; tries++) {
      this.#incarnation += 1;
      const incarnation = this.#incarnation;
      // A thread may have one in hand that it read for the task that failed.
      for (const shard of part) this.#images[shard] = { ...(this.#images[shard] as HeldShard), incarnation };
      for (const shard of torn) {
        this.#images[shard] = { ...copyOfShard((this.#base[shard] as Base).held), incarnation, version: 0 };
      }
      try {
        const redo = this.#redo.since(torn, (shard) => (this.#base[shard] as Base).from, applied);
        for (const [shards, steps] of redo) await this.#task(shards, steps, true);
        return;
      } catch (error) {
        // It went well before: whatever ended this thread is not in the steps.
        if (tries >= RESTORES_MAX || isFinal(error)) throw error;
      }
    }
  }

  /** What is on disk is as it was, but for the shard whose file is `damaged`. */
  #torn(part: readonly number[], damaged = -1): readonly number[] {
    return part.filter((shard) => shard === damaged || !isAtRest(this.#images[shard] as HeldShard));
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
    return { shards: reports, results, roomsLeft: 0, queries, us };
  }

  /** Null when the step is left out: `applied` is then what of the round is in the memory. */
  async #one(part: readonly number[], step: Step, applied: readonly Step[]): Promise<ApplyResult | null> {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#attempt(part, [step], applied);
      } catch (error) {
        if (isFinal(error)) throw error;
        await this.#restore(part, applied);
        if (!isOfTheSteps(error) && tries < TRIES_MAX) continue;
        this.#leaveOut(part, step, error);
        return null;
      }
    }
  }
}
