// HOT PATH
/**
 * Concurrency caps of entries. Isolated ones have one though they name none: each of their calls takes a worker of its
 * own, and they must leave one to the others. An entry with a cap has a lane while it is in use: the slots taken, and the jobs whose
 * turn came while every slot was taken. They wait there, round robin between shares, and hold up nobody else.
 *
 * Invariants: `taken` never exceeds the cap; jobs wait in a lane only while all its slots are taken. So a freed slot
 * goes straight to the first job waiting for it (`release` returns that job) and cannot be snatched on the way.
 * Bounds: a lane exists only while a job holds a slot of it, so there are never more than jobs.
 */
import type { Entry } from '../catalogue/entry.ts';
import type { Arrival } from './arrival.ts';
import type { Backlog } from './fair-queue.ts';
import { Turn, TurnRing } from './turn-ring.ts';

/** Lanes kept for reuse. */
const SPARE_LANES_MAX = 64;

export class Lane {
  key = 0;
  cap = 0;
  taken = 0;
  readonly waiting: TurnRing = new TurnRing();
  /** One turn per share that waits here. */
  readonly turns: Map<Backlog, Turn> = new Map();
}

export class EntryLanes {
  readonly #lanes = new Map<number, Lane>();
  readonly #spare: Lane[] = [];
  readonly #isolatedMax: number;

  constructor(isolatedMax: number) {
    this.#isolatedMax = isolatedMax;
  }

  #capOf(entry: Entry): number {
    return entry.run === 'isolated' ? Math.min(entry.concurrency, this.#isolatedMax) : entry.concurrency;
  }

  /** The lane of an entry that has no free slot, else null. */
  full(entry: Entry): Lane | null {
    if (this.#capOf(entry) === Number.POSITIVE_INFINITY) return null;
    const lane = this.#lanes.get(entry.key);
    return lane !== undefined && lane.taken >= lane.cap ? lane : null;
  }

  /** Takes a slot of the job's entry, if it has a cap. Call only when `full(job.entry)` is null. */
  acquire(job: Arrival): void {
    const entry = job.entry;
    const cap = this.#capOf(entry);
    if (cap === Number.POSITIVE_INFINITY) return;
    let lane = this.#lanes.get(entry.key);
    if (lane === undefined) {
      lane = this.#spare.pop() ?? new Lane();
      lane.key = entry.key;
      lane.cap = cap;
      this.#lanes.set(entry.key, lane);
    }
    lane.taken++;
    job.lane = lane;
  }

  /** Gives the job's slot back. Returns the waiting job that has it now, taken out of the lane, or null. */
  release(job: Arrival): Arrival | null {
    const lane = job.lane;
    if (lane === null) return null;
    job.lane = null;
    const heir = lane.waiting.head();
    if (heir !== null) {
      const turn = heir.list?.turn;
      lane.waiting.shift();
      if (turn) dropIfEmpty(turn);
      heir.lane = lane;
      return heir;
    }
    lane.taken--;
    if (lane.taken === 0) {
      this.#lanes.delete(lane.key);
      if (this.#spare.length < SPARE_LANES_MAX) this.#spare.push(lane);
    }
    return null;
  }
}

/** Lets a job wait for a slot. Its backlog knows it already. */
export function park(lane: Lane, backlog: Backlog, job: Arrival): void {
  let turn = lane.turns.get(backlog);
  if (turn === undefined) {
    turn = new Turn(backlog, lane);
    lane.turns.set(backlog, turn);
  }
  lane.waiting.push(turn, job);
}

/** A lane remembers a share only while it waits there: backlogs are used again for other shares. */
export function dropIfEmpty(turn: Turn): void {
  if (turn.ring === null && turn.lane !== null) turn.lane.turns.delete(turn.backlog);
}
