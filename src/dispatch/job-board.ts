// HOT PATH
/**
 * The job board: one SharedArrayBuffer in which every accepted job has a slot with its raw request, its state and,
 * when it is done, its encoded answer. The front-end thread fills slots, any worker (or the front-end thread itself)
 * can run them, and results can be read while their worker is still busy with something else.
 *
 *   board   ┌ worker headers: WORKER_WORDS × 4 bytes each ┐┌ slot 0 ┐┌ slot 1 ┐ … ┌ mailboxes, one per worker ┐
 *   slot    ┌ SLOT_WORDS words ┐┌ request area: body, then extras JSON ┐┌ result area ┐
 *   word 0  ┌ sequence number of the assignment: 30 bits ┐┌ state: 2 bits ┐
 *
 * States:  FREE → READY (front end) → RUNNING (worker, by compare-and-swap) → DONE (worker) → FREE (front end)
 *          READY → FREE (front end takes it back, by compare-and-swap)
 * Invariants: whoever wins READY owns the slot's words until it stores the next state; payload is written before the
 * state is stored. A worker names slot and sequence to win a slot, both in one word: an old message about a slot that
 * was taken back and assigned again, to whatever worker, wins nothing. The number of slots is the sum of the admission
 * bounds, so a slot is always free for a job that admission accepted. A body or result that does not fit its area
 * travels by message instead (length -1).
 */
import { Buffer } from 'node:buffer';
import { foldedNow } from './folded-time.ts';
import { Mailbox, mailboxWords } from './mailbox.ts';

export const SLOT_BYTES = 8192;
const SLOT_WORDS = 16;
const WORKER_WORDS = 16;
const HEADER_BYTES = SLOT_WORDS * 4;
const STATE_BITS = 2;
const STATE_MASK = 3;
export const REQUEST_BYTES = 4032;
export const RESULT_BYTES = SLOT_BYTES - HEADER_BYTES - REQUEST_BYTES;

export const STATE = { FREE: 0, READY: 1, RUNNING: 2, DONE: 3 } as const;
export const CANCEL = { NONE: 0, CLIENT: 1, DEADLINE: 2 } as const;
/** Sequence numbers wrap here; a message is never that old. */
export const SEQUENCE_MASK = 0x3fffffff;

/** Words of a slot. */
const WORD = {
  /** state | sequence << 2 */
  STATE: 0,
  CANCEL: 1,
  ENTRY: 2,
  /** revision index | flags << 8 */
  META: 3,
  BODY_BYTES: 4,
  EXTRAS_BYTES: 5,
  RESULT_BYTES: 6,
  /** HTTP status | outcome << 16 */
  STATUS: 7,
  BLOCKING_US: 8,
  /** By `folded-time.ts`. */
  STARTED_AT: 9,
  DEADLINE_AT: 10,
  /** From the call to its end, waiting included: never less than what it kept the thread busy. */
  WALL_US: 11,
} as const;

/** Words of a worker header. */
const WORKER = {
  /** Slot whose synchronous part runs now, or -1. */
  CURRENT: 0,
  /** Grows while the worker's event loop turns. */
  BEATS: 1,
  /** MiB of array buffers at the last beat. */
  BUFFERS_MIB: 2,
  /** Control messages the worker has posted. */
  POSTED: 3,
  /** Tasks of the live streams that run, or load what they need. */
  STREAM_TASKS: 4,
  /** Key of the entry whose code was called last, or -1. */
  LAST_ENTRY: 5,
  /** How often that key has changed. */
  ENTRY_CHANGES: 6,
  /** Of the last beat, by `folded-time.ts`; 0 before the first. */
  BEAT_AT: 7,
} as const;

/** Position in this list is the outcome code in the slot. */
export const OUTCOMES = ['ok', 'tool-error', 'invalid', 'timeout', 'internal', 'input-required'] as const;

/** Bytes of a board; what the memory budget counts. */
export function boardBytes(workers: number, slots: number): number {
  return workers * (WORKER_WORDS + mailboxWords(slots)) * 4 + slots * SLOT_BYTES;
}

/** Buffer methods that Node has and its types leave out; both work on shared memory and cost one call into C++. */
export interface BoardBytes extends Buffer {
  utf8Slice(start: number, end: number): string;
  /** Returns the bytes written; never more than `length`, never a part of a character. */
  utf8Write(text: string, offset: number, length: number): number;
}

export class JobBoard {
  readonly shared: SharedArrayBuffer;
  readonly workers: number;
  readonly slots: number;
  /** All bytes of the board, for slices. */
  readonly bytes: BoardBytes;
  readonly #words: Int32Array;
  readonly #slotsAt: number;
  readonly #mailboxes: readonly Mailbox[];
  /** The last view of each slot's result: answers of one entry tend to be equally long. */
  readonly #views: Uint8Array[];

  constructor(shared: SharedArrayBuffer, workers: number, slots: number) {
    this.shared = shared;
    this.workers = workers;
    this.slots = slots;
    this.bytes = Buffer.from(shared) as unknown as BoardBytes;
    this.#words = new Int32Array(shared);
    this.#slotsAt = workers * WORKER_WORDS;
    this.#views = new Array<Uint8Array>(slots).fill(new Uint8Array(0));
    const mailboxesAt = this.#slotsAt + slots * (SLOT_BYTES / 4);
    this.#mailboxes = Array.from({ length: workers }, (_, worker) => {
      return new Mailbox(this.#words, mailboxesAt + worker * mailboxWords(slots), slots);
    });
  }

  static create(workers: number, slots: number): JobBoard {
    const board = new JobBoard(new SharedArrayBuffer(boardBytes(workers, slots)), workers, slots);
    for (let worker = 0; worker < workers; worker++) board.resetWorker(worker);
    return board;
  }

  #word(slot: number): number {
    return this.#slotsAt + slot * (SLOT_BYTES / 4);
  }

  /** Byte offset of the request area; body first, extras behind it. */
  requestAt(slot: number): number {
    return 4 * this.#word(slot) + HEADER_BYTES;
  }

  resultAt(slot: number): number {
    return 4 * this.#word(slot) + HEADER_BYTES + REQUEST_BYTES;
  }

  state(slot: number): number {
    return Atomics.load(this.#words, this.#word(slot)) & STATE_MASK;
  }

  /** Of the slot's last assignment. */
  sequence(slot: number): number {
    return Atomics.load(this.#words, this.#word(slot)) >>> STATE_BITS;
  }

  /** Ends an assignment, whatever its state. For the front end, once nobody else can own the slot. */
  vacate(slot: number): void {
    Atomics.store(this.#words, this.#word(slot), (this.sequence(slot) << STATE_BITS) | STATE.FREE);
  }

  /** Takes a job that has not started back; true if it had not. For the front end. */
  takeBack(slot: number): boolean {
    const sequence = this.sequence(slot);
    return this.#swap(slot, (sequence << STATE_BITS) | STATE.READY, (sequence << STATE_BITS) | STATE.FREE);
  }

  /** Starts exactly this assignment of the slot; true for the one thread that wins it. */
  claim(slot: number, sequence: number): boolean {
    return this.#swap(slot, (sequence << STATE_BITS) | STATE.READY, (sequence << STATE_BITS) | STATE.RUNNING);
  }

  #swap(slot: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#words, this.#word(slot), from, to) === from;
  }

  /** Fills a free slot's words and makes it READY. The body was written with `writeBody` before. `seq`: 30 bits. */
  publish(slot: number, entryKey: number, revisionIndex: number, flags: number, deadlineAt: number, seq: number): void {
    const at = this.#word(slot);
    const words = this.#words;
    words[at + WORD.CANCEL] = CANCEL.NONE;
    words[at + WORD.ENTRY] = entryKey;
    words[at + WORD.META] = revisionIndex | (flags << 8);
    words[at + WORD.RESULT_BYTES] = 0;
    words[at + WORD.STATUS] = 0;
    words[at + WORD.BLOCKING_US] = -1;
    words[at + WORD.STARTED_AT] = 0;
    words[at + WORD.DEADLINE_AT] = deadlineAt;
    words[at + WORD.WALL_US] = -1;
    Atomics.store(words, at, (seq << STATE_BITS) | STATE.READY);
  }

  /** Copies body and extras into the request area. False when they do not fit: they then travel by message. */
  writeBody(slot: number, body: Uint8Array, extras: string): boolean {
    const at = this.#word(slot);
    const extrasBytes = extras === '' ? 0 : Buffer.byteLength(extras);
    if (body.length + extrasBytes > REQUEST_BYTES) {
      this.#words[at + WORD.BODY_BYTES] = -1;
      this.#words[at + WORD.EXTRAS_BYTES] = -1;
      return false;
    }
    const offset = this.requestAt(slot);
    this.bytes.set(body, offset);
    if (extrasBytes > 0) this.bytes.write(extras, offset + body.length, 'utf8');
    this.#words[at + WORD.BODY_BYTES] = body.length;
    this.#words[at + WORD.EXTRAS_BYTES] = extrasBytes;
    return true;
  }

  bodyBytes(slot: number): number {
    return this.#words[this.#word(slot) + WORD.BODY_BYTES] as number;
  }

  extrasBytes(slot: number): number {
    return this.#words[this.#word(slot) + WORD.EXTRAS_BYTES] as number;
  }

  entryKey(slot: number): number {
    return this.#words[this.#word(slot) + WORD.ENTRY] as number;
  }

  revisionIndex(slot: number): number {
    return (this.#words[this.#word(slot) + WORD.META] as number) & 0xff;
  }

  flags(slot: number): number {
    return (this.#words[this.#word(slot) + WORD.META] as number) >>> 8;
  }

  deadlineAt(slot: number): number {
    return Atomics.load(this.#words, this.#word(slot) + WORD.DEADLINE_AT);
  }

  cancelled(slot: number): number {
    return Atomics.load(this.#words, this.#word(slot) + WORD.CANCEL);
  }

  cancel(slot: number, reason: number): void {
    Atomics.store(this.#words, this.#word(slot) + WORD.CANCEL, reason);
  }

  markStarted(slot: number, folded: number): void {
    this.#words[this.#word(slot) + WORD.STARTED_AT] = folded;
  }

  startedAt(slot: number): number {
    return this.#words[this.#word(slot) + WORD.STARTED_AT] as number;
  }

  /** What the call cost; before `finish`. Never told when nothing was called: then both are -1. */
  spent(slot: number, blockingUs: number, wallUs: number): void {
    const at = this.#word(slot);
    this.#words[at + WORD.BLOCKING_US] = blockingUs;
    this.#words[at + WORD.WALL_US] = wallUs;
  }

  /** Ends a RUNNING slot. `resultBytes` -1: the result travels by message. */
  finish(slot: number, status: number, outcome: number, resultBytes: number): void {
    const at = this.#word(slot);
    this.#words[at + WORD.RESULT_BYTES] = resultBytes;
    this.#words[at + WORD.STATUS] = status | (outcome << 16);
    Atomics.store(this.#words, at, (this.sequence(slot) << STATE_BITS) | STATE.DONE);
  }

  resultBytes(slot: number): number {
    return this.#words[this.#word(slot) + WORD.RESULT_BYTES] as number;
  }

  /** The result of a DONE slot, in place; valid until the slot is used again. */
  result(slot: number): Uint8Array {
    const length = this.resultBytes(slot);
    let view = this.#views[slot] as Uint8Array;
    if (view.length !== length) {
      view = new Uint8Array(this.shared, this.resultAt(slot), length);
      this.#views[slot] = view;
    }
    return view;
  }

  status(slot: number): number {
    return (this.#words[this.#word(slot) + WORD.STATUS] as number) & 0xffff;
  }

  outcome(slot: number): number {
    return (this.#words[this.#word(slot) + WORD.STATUS] as number) >>> 16;
  }

  blockingUs(slot: number): number {
    return this.#words[this.#word(slot) + WORD.BLOCKING_US] as number;
  }

  wallUs(slot: number): number {
    return this.#words[this.#word(slot) + WORD.WALL_US] as number;
  }

  mailbox(worker: number): Mailbox {
    return this.#mailboxes[worker] as Mailbox;
  }

  setCurrent(worker: number, slot: number): void {
    Atomics.store(this.#words, worker * WORKER_WORDS + WORKER.CURRENT, slot);
  }

  current(worker: number): number {
    return Atomics.load(this.#words, worker * WORKER_WORDS + WORKER.CURRENT);
  }

  beat(worker: number, buffersMiB: number): void {
    this.#words[worker * WORKER_WORDS + WORKER.BUFFERS_MIB] = buffersMiB;
    this.#words[worker * WORKER_WORDS + WORKER.BEAT_AT] = foldedNow();
    Atomics.add(this.#words, worker * WORKER_WORDS + WORKER.BEATS, 1);
  }

  beats(worker: number): number {
    return Atomics.load(this.#words, worker * WORKER_WORDS + WORKER.BEATS);
  }

  /** Folded time of the last beat, 0 before the first. */
  beatAt(worker: number): number {
    return this.#words[worker * WORKER_WORDS + WORKER.BEAT_AT] as number;
  }

  /** Control messages the worker has posted; told after each, before the state of the job it speaks of changes. */
  setPosted(worker: number, count: number): void {
    Atomics.store(this.#words, worker * WORKER_WORDS + WORKER.POSTED, count);
  }

  posted(worker: number): number {
    return Atomics.load(this.#words, worker * WORKER_WORDS + WORKER.POSTED);
  }

  /** Shows a beat, too: a thread that begins or ends a task does not stand. */
  setStreamTasks(worker: number, count: number): void {
    Atomics.add(this.#words, worker * WORKER_WORDS + WORKER.BEATS, 1);
    Atomics.store(this.#words, worker * WORKER_WORDS + WORKER.STREAM_TASKS, count);
  }

  streamTasks(worker: number): number {
    return Atomics.load(this.#words, worker * WORKER_WORDS + WORKER.STREAM_TASKS);
  }

  /** Code of this entry is about to run there. */
  noteEntry(worker: number, entryKey: number): void {
    const at = worker * WORKER_WORDS;
    if (this.#words[at + WORKER.LAST_ENTRY] === entryKey) return;
    this.#words[at + WORKER.LAST_ENTRY] = entryKey;
    this.#words[at + WORKER.ENTRY_CHANGES] = (this.#words[at + WORKER.ENTRY_CHANGES] as number) + 1;
  }

  /** Whose code was called last on that thread; -1: nobody's. */
  lastEntry(worker: number): number {
    return this.#words[worker * WORKER_WORDS + WORKER.LAST_ENTRY] as number;
  }

  /** No other entry's code was ever called on that thread. */
  ranOneEntry(worker: number): boolean {
    return this.#words[worker * WORKER_WORDS + WORKER.ENTRY_CHANGES] === 1;
  }

  /** A new thread takes over a header. */
  resetWorker(worker: number): void {
    this.setCurrent(worker, -1);
    this.setPosted(worker, 0);
    this.setStreamTasks(worker, 0);
    this.mailbox(worker).reset();
    const at = worker * WORKER_WORDS;
    this.#words[at + WORKER.BUFFERS_MIB] = 0;
    this.#words[at + WORKER.BEAT_AT] = 0;
    this.#words[at + WORKER.LAST_ENTRY] = -1;
    this.#words[at + WORKER.ENTRY_CHANGES] = 0;
  }

  buffersMiB(worker: number): number {
    return this.#words[worker * WORKER_WORDS + WORKER.BUFFERS_MIB] as number;
  }
}

/** The slots nobody uses, on the front-end thread. */
export class FreeSlots {
  readonly #stack: Int32Array;
  #count: number;

  constructor(slots: number) {
    this.#stack = new Int32Array(slots);
    for (let slot = 0; slot < slots; slot++) this.#stack[slot] = slots - 1 - slot;
    this.#count = slots;
  }

  get count(): number {
    return this.#count;
  }

  /** A free slot, or -1. */
  take(): number {
    if (this.#count === 0) return -1;
    this.#count -= 1;
    return this.#stack[this.#count] as number;
  }

  give(slot: number): void {
    this.#stack[this.#count] = slot;
    this.#count += 1;
  }
}
