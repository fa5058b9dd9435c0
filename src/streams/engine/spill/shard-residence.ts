/**
 * Which shards are in memory between rounds, and which lie on disk.
 *
 * Role: beside `ShardSet`, for plans with a stream of `onFull: spill`; of others nothing is asked here. Every round goes
 * through all shards, so which ones stay matters less than that they stay the same: those in memory first, in order, as
 * many as fit. A thread writes a shard out after its steps when it is not among them, or has outgrown its part.
 * Invariants: buffers of shards in memory, times `COPIES`, are within the budget after every round, except while the disk
 * takes nothing; a file holds a shard's state as of the last round it was part of and is never written again.
 */
import type { Plan, StreamPlan } from '../../plan.ts';
import type { Held, HeldMemory, HeldShard, ShardReport, SpillOrder, SpillOrders } from '../task.ts';
import { bytesOf, filesOf, isImage, isInMemory, storedBytesOf } from './spill-file.ts';
import type { SpillFolder } from './spill-folder.ts';

/** A shard in memory: itself, its base, and the copy that becomes the next one. */
const COPIES = 3;
/** Of the streams that do not spill, by byte in use: copies, and room that buffers have to grow. */
const BYTES_PER_BYTE_HELD = 2 * COPIES;

const spills = ({ onFull }: StreamPlan): boolean => onFull === 'spill';

/** Buffers of shards that memory has room for at the start, when nothing is known of what streams will hold. */
export function memoryBytesMax({ streams }: Plan): number {
  const spilling = streams.filter(spills);
  if (spilling.length === 0) return Number.POSITIVE_INFINITY;
  return spilling.reduce((sum, { stateBytesMax }) => sum + stateBytesMax, 0) / COPIES;
}

/** What is known of a shard, and of all of them, after a round. */
export interface ResidenceView {
  readonly images: readonly HeldShard[];
  /** By shard, then stream. */
  heldBy(shard: number): readonly Held[];
  /** Of all shards. */
  held(stream: number): Held;
}

export class ShardResidence {
  readonly #plan: Plan;
  readonly #folder: SpillFolder;
  readonly #spilling: readonly StreamPlan[];
  /** By stream: of all shards. */
  #storedBytes: number[];
  #away: number[] = [];
  /** By shard: buffers it may have and stay in memory. */
  #bytesMax: number[] = [];
  /** In the last round, and in the one under way. */
  #notStored = '';
  #notStoredNow = '';

  private constructor(plan: Plan, folder: SpillFolder, spilling: readonly StreamPlan[]) {
    this.#plan = plan;
    this.#folder = folder;
    this.#spilling = spilling;
    this.#storedBytes = plan.streams.map(() => 0);
  }

  /** Null when no stream of the plan spills, and nothing is on disk that one before it has left there. */
  static of(plan: Plan, folder: SpillFolder, images: readonly HeldShard[]): ShardResidence | null {
    const spilling = plan.streams.filter(spills);
    return spilling.length === 0 && images.every(isImage) ? null : new ShardResidence(plan, folder, spilling);
  }

  get anyAway(): boolean {
    return this.#away.length > 0;
  }

  /** Why a shard is in memory that should not be; `''` for none. */
  get notStored(): string {
    return this.#notStored;
  }

  /** Bytes of a stream's state on disk; what is another stream's, too, is of both. */
  storedBytes(stream: number): number {
    return this.#storedBytes[stream] as number;
  }

  /** Memory that state may take. */
  budget(view: ResidenceView): number {
    if (this.#spilling.length === 0) return Number.POSITIVE_INFINITY;
    let bytes = 0;
    for (const { index, onFull, stateBytesMax } of this.#plan.streams) {
      bytes += onFull === 'spill' ? stateBytesMax : BYTES_PER_BYTE_HELD * view.held(index).bytes;
    }
    return bytes;
  }

  /** For a task of these shards. Throws when there is no folder for files. */
  orders(part: readonly number[]): SpillOrders {
    const order = (shard: number): SpillOrder => ({
      file: this.#folder.name(`shard-${shard}`),
      bytesMax: this.#bytesMax[shard] as number,
    });
    return { shards: part.map(order), away: this.#away };
  }

  /** A task has ended well. Gives why a shard could not be written, when that is new; `''` otherwise. */
  used({ shards }: SpillOrders, reports: readonly ShardReport[]): string {
    for (let i = 0; i < shards.length; i++) {
      const { file } = shards[i] as SpillOrder;
      const { image, notStored } = reports[i] as ShardReport;
      if (notStored !== '') this.#notStoredNow = notStored;
      if (!filesOf(image).includes(file)) this.#folder.forget(file);
    }
    return this.#notStored === '' ? this.#notStoredNow : '';
  }

  /** Between rounds: says which shards are to be in memory after the next one. `bases`: files that are needed as well. */
  settle(view: ResidenceView, bases: readonly HeldShard[]): void {
    this.#notStored = this.#notStoredNow;
    this.#notStoredNow = '';
    this.#choose(view);
    this.#away = view.images.filter((held) => !isImage(held)).map(({ shard }) => shard);
    this.#storedBytes = this.#plan.streams.map(({ index }) => this.#storedBytesOf(index, view.images));
    if (this.#folder.size === 0) return;
    const files = new Set<string>();
    for (const held of [...view.images, ...bases]) for (const file of filesOf(held)) files.add(file);
    this.#folder.keep(files);
  }

  #choose(view: ResidenceView): void {
    let room = this.budget(view) / COPIES;
    const keys = this.#spilling.map(({ keysMax }) => keysMax);
    const chosen: number[] = [];
    const bytesMax = view.images.map(() => 0);
    for (const held of inMemoryFirst(view.images)) {
      const bytes = bytesOf(held);
      const by = view.heldBy(held.shard);
      if (bytes > room || !this.#spilling.every(({ index }, i) => (by[index]?.keys ?? 0) <= (keys[i] as number)))
        continue;
      room -= bytes;
      for (const [i, { index }] of this.#spilling.entries()) keys[i] = (keys[i] as number) - (by[index]?.keys ?? 0);
      bytesMax[held.shard] = bytes;
      chosen.push(held.shard);
    }
    // What is left over is theirs to grow into.
    for (const shard of chosen) bytesMax[shard] = (bytesMax[shard] as number) + room / chosen.length;
    this.#bytesMax = bytesMax;
  }

  #storedBytesOf(stream: number, shards: readonly HeldShard[]): number {
    const { groups, operators } = this.#plan;
    let sum = 0;
    for (const held of shards) {
      for (const group of groups) {
        if (group.inputs.some((input) => input.stream === stream)) sum += storedIn(held.groups[group.index]);
      }
      for (const operator of operators) {
        const sees = operator.stream === stream || (operator.kind === 'join' && operator.right === stream);
        if (sees) sum += storedIn(held.operators[operator.index]);
      }
    }
    return sum;
  }
}

function inMemoryFirst(shards: readonly HeldShard[]): readonly HeldShard[] {
  const here = shards.filter(isImage);
  return here.length === shards.length ? shards : [...here, ...shards.filter((held) => !isImage(held))];
}

function storedIn(memory: HeldMemory | undefined): number {
  if (memory === undefined) return 0;
  return memory.buffers.reduce((sum, buffer) => (isInMemory(buffer) ? sum : sum + storedBytesOf(buffer)), 0);
}
