/**
 * Runs stream tasks on whatever thread it is on: a worker, or the front-end thread.
 *
 * Role: the only entry from tasks to decoding and shards. Keeps plans by epoch and the shards it worked on last; a shard
 * is attached anew when anyone else worked on it meanwhile. A shard on disk is read before its steps and written after
 * them, where there is no room for it in memory.
 * Bounds: `PLANS_MAX` plans, one attached shard per shard index, one shard of those on disk.
 */
import { decodeBatch } from '../../decode/decode.ts';
import { EventBatch } from '../../decode/event-batch.ts';
import { splitBatch } from '../../decode/split.ts';
import { LineSpace } from '../../lines/line-memory.ts';
import type { Plan } from '../../plan.ts';
import { PreAggregation } from '../shards/pre-aggregate.ts';
import { copyOfShard, Shard, type ShardParts } from '../shards/shard.ts';
import { bytesOf, DiskWork, isAtRest, isImage, loadShard, SpareBuffers, storeShard } from '../spill/spill-file.ts';
import {
  ANSWER_CHARACTERS_MAX,
  type ApplyResult,
  type ApplyTask,
  type DecodeResult,
  type DecodeTask,
  type HeldShard,
  NotKept,
  PROGRESS_STEPS,
  type QueryRows,
  type ResultChunk,
  type SentShard,
  type ShardImage,
  type ShardReport,
  type SpillOrder,
  SpillProblem,
  type SplitResult,
  type SplitTask,
  type Step,
} from '../task.ts';
import { isKept } from './kept-shards.ts';

const PLANS_MAX = 2;

/** What a task gives, and where its lines go. */
interface Given {
  readonly space: LineSpace;
  readonly results: ResultChunk[];
  readonly queries: Map<number, GivenRows>;
}

/** Lines of an answer, of all shards of the task. */
interface GivenRows extends QueryRows {
  readonly lines: string[];
  readonly order: number[];
  isCut: boolean;
  us: number;
  characters: number;
}

function addAnswer(rows: GivenRows, answer: ReturnType<Shard['query']>): void {
  for (const line of answer.lines) rows.lines.push(line);
  for (const order of answer.order) rows.order.push(order);
  rows.characters += answer.characters;
  rows.isCut ||= answer.isCut;
}

export class StreamTaskRunner {
  readonly #parts: ShardParts;
  readonly #plans = new Map<number, Plan>();
  /** By epoch, as the plans. */
  readonly #ahead = new Map<number, PreAggregation>();
  readonly #shards = new Map<number, Shard>();
  readonly #spares = new SpareBuffers();
  readonly #batches = new Map<SharedArrayBuffer, EventBatch>();

  constructor(parts: ShardParts) {
    this.#parts = parts;
  }

  usePlan(plan: Plan): void {
    this.#plans.set(plan.epoch, plan);
    this.#shards.clear();
    for (const epoch of this.#plans.keys()) {
      if (this.#plans.size <= PLANS_MAX) return;
      this.#plans.delete(epoch);
      this.#ahead.delete(epoch);
    }
  }

  #planOf(epoch: number): Plan {
    const plan = this.#plans.get(epoch);
    if (plan === undefined) throw new Error(`plan ${epoch} is not known to this thread`);
    return plan;
  }

  decode(task: DecodeTask): DecodeResult {
    const plan = this.#planOf(task.epoch);
    return decodeBatch(plan, task, (batch) => this.#preAggregation(plan).of(batch, task.provenance.seq));
  }

  split(task: SplitTask): SplitResult {
    return splitBatch(this.#planOf(task.epoch), task);
  }

  #preAggregation(plan: Plan): PreAggregation {
    let made = this.#ahead.get(plan.epoch);
    if (made === undefined) {
      made = new PreAggregation(plan, (operator) => this.#parts.combiner?.(operator, plan) ?? null);
      this.#ahead.set(plan.epoch, made);
    }
    return made;
  }

  apply(task: ApplyTask<SentShard>): ApplyResult {
    const begun = performance.now();
    const plan = this.#planOf(task.epoch);
    const sent = task.shards.map((shard) => this.#heldOf(shard));
    // One that threw has left its batches, and their memory may hold others by now.
    this.#batches.clear();
    const shards: ShardReport[] = [];
    const given: Given = { space: new LineSpace(task.rooms), results: [], queries: new Map() };
    const progress = new Int32Array(task.progress);
    for (const away of task.spill?.away ?? []) this.#shards.delete(away);
    for (const [i, held] of sent.entries()) {
      const order = task.spill?.shards[i] ?? null;
      shards.push(this.#applyTo(held, plan, task, order, progress, given));
    }
    this.#batches.clear();
    return {
      shards,
      results: given.results,
      roomsLeft: given.space.roomsLeft,
      queries: [...given.queries.values()],
      us: (performance.now() - begun) * 1000,
    };
  }

  #applyTo(
    held: HeldShard,
    plan: Plan,
    { isRedo, steps }: Pick<ApplyTask, 'isRedo' | 'steps'>,
    order: SpillOrder | null,
    progress: Int32Array,
    { queries, results, space }: Given,
  ): ShardReport {
    const disk = new DiskWork(progress);
    const shard = this.#take(held, plan, disk);
    shard.gathered.use(space, !isRedo);
    let copy: ShardImage | null = null;
    let reach: number | null = null;
    for (const step of steps) {
      Atomics.add(progress, PROGRESS_STEPS, 1);
      if (step.kind === 'events') shard.events(step, this.#batchOf(plan, step.batch));
      else if (step.kind === 'advance') shard.advance(step.seq, step.stream, step.watermark);
      else if (step.kind === 'tick') shard.tick(step.seq, step.nowMs);
      else if (step.kind === 'silent') shard.silent(step.seq, step.stream, step.timeMs);
      else if (step.kind === 'evict') shard.evict(step.seq, step.stream, step.keysMax, step.bytesMax);
      else if (step.kind === 'drop') shard.drop(step.operators);
      else if (step.kind === 'reach') reach = shard.reach(step.stream, step.until, step.resultsMax);
      else if (step.kind === 'copy') copy = copyOfShard(shard.image(), step.into[shard.index]);
      else {
        const rows = queries.get(step.id) ?? { id: step.id, lines: [], order: [], isCut: false, us: 0, characters: 0 };
        const askedMs = performance.now();
        // What other shards have left over, and its part in any case: it may have the best ones.
        const room = Math.max(ANSWER_CHARACTERS_MAX / plan.shards, ANSWER_CHARACTERS_MAX - rows.characters);
        addAnswer(rows, shard.query(step.operator, step.query, room));
        rows.us += (performance.now() - askedMs) * 1000;
        queries.set(step.id, rows);
      }
    }
    shard.sweep();
    shard.version += 1;
    results.push(...shard.gathered.take(shard.index));
    const letGo = [...shard.letGo.splice(0), ...shard.gathered.takeFailed()];
    const facts = { ...shard.held(), dropped: shard.dropped, letGo, copy, reach };
    return { ...facts, ...this.#leave(shard, held, order, steps, disk) };
  }

  /** Throws when it was kept no longer. */
  #heldOf(sent: SentShard): HeldShard {
    if (!isKept(sent)) return sent;
    const { incarnation, shard, version } = sent;
    const known = this.#shards.get(shard);
    if (known?.incarnation === incarnation && known.version === version) return known.image();
    throw new NotKept(`shard ${shard} of version ${version} was kept no longer`);
  }

  #take(held: HeldShard, plan: Plan, disk: DiskWork): Shard {
    const known = this.#shards.get(held.shard);
    this.#shards.delete(held.shard);
    if (!isImage(held)) return new Shard(loadShard(held, this.#spares, disk), plan, this.#parts);
    if (known !== undefined && known.incarnation === held.incarnation && known.version === held.version) return known;
    return new Shard(held, plan, this.#parts);
  }

  #leave(
    shard: Shard,
    held: HeldShard,
    order: SpillOrder | null,
    steps: readonly Step[],
    disk: DiskWork,
  ): Pick<ShardReport, 'image' | 'notStored'> {
    const image = shard.image();
    let notStored = '';
    if (order !== null && bytesOf(image) > order.bytesMax) {
      try {
        const onlyAsked = isAtRest(held) && steps.every(({ kind }) => kind === 'query' || kind === 'reach');
        const stored = onlyAsked ? held : storeShard(image, order.file, disk);
        this.#spares.give(image);
        return { image: stored, notStored };
      } catch (error) {
        notStored = error instanceof Error ? error.message : String(error);
        // What was in memory can stay there. All that is on disk cannot come into it.
        if (!isImage(held)) throw new SpillProblem(notStored, { shard: shard.index, kind: 'unwritten' });
      }
    }
    // Kept only now: a task that threw leaves memory that must not be gone on with.
    this.#shards.set(shard.index, shard);
    return { image, notStored };
  }

  /** The same batch goes to several shards of one task. */
  #batchOf(plan: Plan, buffer: SharedArrayBuffer): EventBatch {
    let batch = this.#batches.get(buffer);
    if (batch === undefined) {
      batch = new EventBatch(plan, buffer);
      this.#batches.set(buffer, batch);
    }
    return batch;
  }
}
