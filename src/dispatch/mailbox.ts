// HOT PATH
/**
 * A worker's mailbox: the assignments it has been given through shared memory, in order. The front-end thread puts
 * cheap jobs in while it still reads sockets, the worker takes them out meanwhile, and the front end sees by `taken`
 * how far it has come without a message for each of them.
 *
 *   words   ┌ PUT ┐ one cache line ┌ TAKEN ┐ one cache line ┌ AWAKE ┐ one cache line ┌ slot, sequence ┐ × capacity
 *
 *   seen ≤ taken ≤ put ≤ seen + capacity          counters wrap at 32 bits, places at the capacity
 *
 * Invariants: an entry is written before PUT passes it, and not overwritten before the front end has seen that it was
 * taken. TAKEN passes an entry when its synchronous part has run. Entries are hints: a job that was taken back or ended
 * meanwhile has another sequence number, and its entry wins nothing.
 * AWAKE is 1 from when the worker is sent for until it has found the mailbox empty, or has spent its time. Whoever
 * turns it from 0 to 1 sees to it that the worker looks: since the worker looks once more after it has set 0, and the
 * front end asks after it has put something in, nothing is left lying.
 */
const LINE_WORDS = 16;
const PUT = 0;
const TAKEN = LINE_WORDS;
const AWAKE = 2 * LINE_WORDS;
const ENTRIES = 3 * LINE_WORDS;
const CAPACITY_MIN = 64;

/** A power of two: room for every slot once. */
export function mailboxCapacity(slots: number): number {
  let capacity = CAPACITY_MIN;
  while (capacity < slots) capacity *= 2;
  return capacity;
}

export function mailboxWords(slots: number): number {
  return ENTRIES + 2 * mailboxCapacity(slots);
}

export class Mailbox {
  /** Front end: sum of the expected times of what was put in since the worker was last sent for. */
  waitingUs = 0;
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #mask: number;
  /** Front end: entries up to here have been dealt with. */
  #seen = 0;
  #counted = 0;
  /** The counter this thread owns: PUT on the front end, TAKEN in the worker. */
  #own = 0;

  constructor(words: Int32Array, at: number, slots: number) {
    this.#words = words;
    this.#at = at;
    this.#mask = mailboxCapacity(slots) - 1;
  }

  /** For a new thread. */
  reset(): void {
    const words = this.#words;
    Atomics.store(words, this.#at + PUT, 0);
    Atomics.store(words, this.#at + TAKEN, 0);
    Atomics.store(words, this.#at + AWAKE, 0);
    this.waitingUs = 0;
    this.#seen = 0;
    this.#counted = 0;
    this.#own = 0;
  }

  // The front end's side.

  hasRoom(): boolean {
    return ((this.#own - this.#seen) | 0) <= this.#mask;
  }

  /** Only where there is room. */
  put(slot: number, sequence: number): void {
    const put = this.#own;
    const words = this.#words;
    const entry = this.#at + ENTRIES + 2 * (put & this.#mask);
    words[entry] = slot;
    words[entry + 1] = sequence;
    this.#own = (put + 1) | 0;
    Atomics.store(words, this.#at + PUT, this.#own);
  }

  /** True when something lies here and nobody was sent for it: then the caller must send for the worker. */
  mustCall(): boolean {
    const words = this.#words;
    if (Atomics.load(words, this.#at + TAKEN) === this.#own) return false;
    return Atomics.compareExchange(words, this.#at + AWAKE, 0, 1) === 0;
  }

  /** How many entries the worker has dealt with that have not been `see`n. */
  unseen(): number {
    return (Atomics.load(this.#words, this.#at + TAKEN) - this.#seen) | 0;
  }

  slotSeen(): number {
    return this.#words[this.#at + ENTRIES + 2 * (this.#seen & this.#mask)] as number;
  }

  sequenceSeen(): number {
    return this.#words[this.#at + ENTRIES + 2 * (this.#seen & this.#mask) + 1] as number;
  }

  /** How many were seen since this was last asked. */
  countSeen(): number {
    const count = (this.#seen - this.#counted) | 0;
    this.#counted = this.#seen;
    return count;
  }

  see(): void {
    this.#seen = (this.#seen + 1) | 0;
  }

  // The worker's side.

  /** From now on nobody needs to send for this thread. */
  wake(): void {
    Atomics.store(this.#words, this.#at + AWAKE, 1);
  }

  /** True when nothing is left, or somebody was sent for what is: the thread may go. False: it goes on. */
  sleep(): boolean {
    const words = this.#words;
    Atomics.store(words, this.#at + AWAKE, 0);
    if (this.isEmpty()) return true;
    return Atomics.compareExchange(words, this.#at + AWAKE, 0, 1) !== 0;
  }

  /** Goes, whatever is left: the front end sends again. The front end says so for a thread that cannot. */
  leave(): void {
    Atomics.store(this.#words, this.#at + AWAKE, 0);
  }

  isEmpty(): boolean {
    return Atomics.load(this.#words, this.#at + PUT) === this.#own;
  }

  slotNext(): number {
    return this.#words[this.#at + ENTRIES + 2 * (this.#own & this.#mask)] as number;
  }

  sequenceNext(): number {
    return this.#words[this.#at + ENTRIES + 2 * (this.#own & this.#mask) + 1] as number;
  }

  /** The next entry has been dealt with. */
  take(): void {
    this.#own = (this.#own + 1) | 0;
    Atomics.store(this.#words, this.#at + TAKEN, this.#own);
  }
}
