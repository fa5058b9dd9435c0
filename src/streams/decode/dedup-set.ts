// HOT PATH
/**
 * Ids of CloudEvents that were taken before, in shared memory: several threads look up and add at once.
 *
 * Role: an event whose `source` and `id` were seen in another batch is a repetition. Ids are kept as 64-bit hashes (with
 * a million ids, the chance that a new one is taken for a repetition is below 10^-12) with the sequence number of their
 * batch: when a batch is decoded once more, because a thread died or after a restart, its own ids are no repetitions.
 * Batches are decoded side by side, and the earlier one in the log has an id, as in every replay: it takes it away from a
 * later one, which is decoded again then.
 *
 * Layout, 32-bit words:
 *   0 slots per generation   1 ids per generation   2 current generation   3 rotating (1: a thread is at it)
 *   8…  ids held, by generation     12… second of the newest id     16… second of the oldest id
 *   32… generations × slots × [hash low ≠ 0, hash high ≠ 0, tag]; a low word of 0 is an empty slot, the tag is seq mod
 *       2^32, or 0 when its batch was given up: then the id is the next one's that has it
 *
 * Bounds: `GENERATIONS` tables, each for its share of the ids. When the current one is full, or spans its share of the
 * time to live, the oldest is emptied and becomes the current one: the newest (1 − 1/GENERATIONS) × idsMax ids are always
 * there, and no more than idsMax; none counts after the time to live. Time is arrival time, which the log repeats.
 * Invariants: a slot is claimed by exchanging its low word; whoever finds the low word waits for the high one. Claiming
 * and filling, and emptying a generation, are straight lines of code, in which no thread can be ended.
 */
const GENERATIONS = 4;
const SLOT_WORDS = 3;
const SLOTS_PER_ID = 1.5;
const PROBES_MAX = 128;
const SPINS_MAX = 10_000;
/** After that a claim that is not filled is that of a process that ended: it is in a copy of the memory. */
const WAITS_MAX = 2000;
const WAIT_MS = 1;

const SLOTS = 0;
const IDS_MAX = 1;
const CURRENT = 2;
const ROTATING = 3;
const COUNTS = 8;
const NEWEST = 12;
const OLDEST = 16;
const HEADER_WORDS = 32;
const NOBODYS = 0;

/** Never that of nobody. */
const tagOf = (seq: number): number => seq | 0 || 1;

/** Positive: later in the log. */
const aheadOf = (tag: number, other: number): number => (tag - other) | 0;

export const NEW = 0;
/** Added by the same batch, now or in an earlier try. */
export const OWN = 1;
export const DUPLICATE = 2;
/** New, but a later batch that is not applied yet took it for its own. */
export const TAKEN_AWAY = 3;

const idsPerGeneration = (idsMax: number): number => Math.max(1, Math.ceil(idsMax / GENERATIONS));

/** An empty set for so many ids, kept by whoever gives tasks to decode. */
export function createDedup(idsMax: number): SharedArrayBuffer {
  const ids = idsPerGeneration(idsMax);
  const slots = Math.ceil(ids * SLOTS_PER_ID) + PROBES_MAX;
  const buffer = new SharedArrayBuffer((HEADER_WORDS + GENERATIONS * slots * SLOT_WORDS) * 4);
  const words = new Int32Array(buffer);
  words[SLOTS] = slots;
  words[IDS_MAX] = ids;
  return buffer;
}

/** The same ids in a set of another size; the oldest are left out if it has no room. No thread may be adding ids. */
export function resizedDedup(buffer: SharedArrayBuffer, idsMax: number): SharedArrayBuffer {
  if (new Int32Array(buffer)[IDS_MAX] === idsPerGeneration(idsMax)) return buffer;
  const resized = createDedup(idsMax);
  new DedupSet(resized).takeAll(new DedupSet(buffer));
  return resized;
}

export class DedupSet {
  readonly #words: Int32Array;
  readonly #slots: number;
  readonly #idsMax: number;
  /** After `DUPLICATE`: how many records before this one the batch stands that has the id. */
  back = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer);
    this.#slots = this.#words[SLOTS] as number;
    this.#idsMax = this.#words[IDS_MAX] as number;
  }

  /** Adds an id unless an earlier batch has it. `nowMs`: arrival of its batch. */
  add(low: number, high: number, seq: number, nowMs: number, ttlMs: number): number {
    const words = this.#words;
    const now = Math.floor(nowMs / 1000) | 0;
    const ttl = Math.ceil(ttlMs / 1000);
    const hashLow = low | 0 || 1;
    const hashHigh = high | 0 || 1;
    const tag = tagOf(seq);
    let current = Atomics.load(words, CURRENT);
    if (this.#isDue(current, now, ttl)) {
      this.#rotate(current, now);
      current = Atomics.load(words, CURRENT);
    }
    const known = this.#findIn(current, hashLow, hashHigh, now, ttl);
    if (known >= 0 && Atomics.load(words, known + 2) !== NOBODYS) return this.#own(known, tag);
    let isTakenAway = false;
    for (;;) {
      const added = this.#claim(current, hashLow, hashHigh, tag, now);
      const latest = Atomics.load(words, CURRENT);
      isTakenAway ||= added === TAKEN_AWAY;
      if (added === DUPLICATE) return added;
      if (added === OWN || latest === current) return isTakenAway ? TAKEN_AWAY : added;
      // Another thread began a new generation meanwhile, and whoever looked into this one before may add the id to that
      // one: who has it there has it.
      current = latest;
    }
  }

  /**
   * What `add` said of an id when its batch was taken, as far as the set still knows; nothing is added. An id that a later
   * batch has was not a repetition then.
   */
  look(low: number, high: number, seq: number, nowMs: number, ttlMs: number): number {
    const current = Atomics.load(this.#words, CURRENT);
    const now = Math.floor(nowMs / 1000) | 0;
    const at = this.#findIn(current, low | 0 || 1, high | 0 || 1, now, Math.ceil(ttlMs / 1000));
    const owner = at < 0 ? NOBODYS : Atomics.load(this.#words, at + 2);
    if (owner === NOBODYS) return NEW;
    const ahead = aheadOf(owner, tagOf(seq));
    if (ahead === 0) return OWN;
    this.back = -ahead;
    return ahead > 0 ? NEW : DUPLICATE;
  }

  /** Whose the id in a slot is from now on: the earliest batch's that has it. */
  #own(at: number, tag: number): number {
    for (;;) {
      const owner = Atomics.load(this.#words, at + 2);
      if (owner === tag) return OWN;
      this.back = aheadOf(tag, owner);
      if (owner !== NOBODYS && this.back > 0) return DUPLICATE;
      if (Atomics.compareExchange(this.#words, at + 2, owner, tag) !== owner) continue;
      return owner === NOBODYS ? NEW : TAKEN_AWAY;
    }
  }

  /** The batch was given up: its ids are free for whoever has them next. Looks at all that are held. */
  forget(seq: number): void {
    const words = this.#words;
    const tag = tagOf(seq);
    for (let generation = 0; generation < GENERATIONS; generation++) {
      if (Atomics.load(words, COUNTS + generation) === 0) continue;
      const from = HEADER_WORDS + generation * this.#slots * SLOT_WORDS;
      for (let at = from; at < from + this.#slots * SLOT_WORDS; at += SLOT_WORDS) {
        Atomics.compareExchange(words, at + 2, tag, NOBODYS);
      }
    }
  }

  /** In the current generation and those before it; −1 when it is in none. */
  #findIn(current: number, hashLow: number, hashHigh: number, now: number, ttl: number): number {
    const words = this.#words;
    for (let back = 0; back < GENERATIONS; back++) {
      const generation = (current - back + GENERATIONS) % GENERATIONS;
      if (Atomics.load(words, COUNTS + generation) === 0) continue;
      if (now - Atomics.load(words, NEWEST + generation) > ttl) continue;
      const at = this.#find(generation, hashLow, hashHigh);
      if (at >= 0) return at;
    }
    return -1;
  }

  #first(generation: number, hashLow: number, hashHigh: number): number {
    // The high word spreads over the slots; both words are compared anyway.
    const place = Math.floor(((hashHigh >>> 0) / 4294967296) * (this.#slots - PROBES_MAX)) + (hashLow & 7);
    return HEADER_WORDS + (generation * this.#slots + place) * SLOT_WORDS;
  }

  #find(generation: number, hashLow: number, hashHigh: number): number {
    const words = this.#words;
    let at = this.#first(generation, hashLow, hashHigh);
    for (let probe = 8; probe < PROBES_MAX; probe++) {
      const found = Atomics.load(words, at);
      if (found === 0) return -1;
      if (found === hashLow && this.#highAt(at) === hashHigh) return at;
      at += SLOT_WORDS;
    }
    return -1;
  }

  /** Waits for a thread that has claimed the slot and writes its high word next: it may not be running just now. */
  #highAt(at: number): number {
    let high = Atomics.load(this.#words, at + 1);
    for (let spins = 0; high === 0 && spins < SPINS_MAX; spins++) high = Atomics.load(this.#words, at + 1);
    for (let waits = 0; high === 0 && waits < WAITS_MAX; waits++) {
      Atomics.wait(this.#words, at + 1, 0, WAIT_MS);
      high = Atomics.load(this.#words, at + 1);
    }
    return high;
  }

  /** Takes a free slot. Without one the id is not remembered: better than to refuse it. */
  #claim(generation: number, hashLow: number, hashHigh: number, tag: number, now: number): number {
    const words = this.#words;
    let at = this.#first(generation, hashLow, hashHigh);
    for (let probe = 8; probe < PROBES_MAX; probe++) {
      const found = Atomics.compareExchange(words, at, 0, hashLow);
      if (found === 0) {
        Atomics.store(words, at + 2, tag);
        Atomics.store(words, at + 1, hashHigh);
        if (Atomics.add(words, COUNTS + generation, 1) === 0) Atomics.store(words, OLDEST + generation, now);
        if (Atomics.load(words, NEWEST + generation) < now) Atomics.store(words, NEWEST + generation, now);
        return NEW;
      }
      if (found === hashLow && this.#highAt(at) === hashHigh) {
        return this.#own(at, tag);
      }
      at += SLOT_WORDS;
    }
    return NEW;
  }

  /** Generation by generation, so that none counts for longer. */
  takeAll(other: DedupSet): void {
    const current = other.#words[CURRENT] as number;
    for (let back = GENERATIONS - 1; back >= 0; back--) {
      const generation = (current - back + GENERATIONS) % GENERATIONS;
      if (other.#words[COUNTS + generation] !== 0) this.#takeGeneration(other, generation);
    }
  }

  #takeGeneration(other: DedupSet, generation: number): void {
    const words = this.#words;
    const theirs = other.#words;
    const newest = theirs[NEWEST + generation] as number;
    const from = HEADER_WORDS + generation * other.#slots * SLOT_WORDS;
    let isBegun = false;
    for (let at = from; at < from + other.#slots * SLOT_WORDS; at += SLOT_WORDS) {
      const tag = theirs[at + 2] as number;
      // Free, claimed by a process that ended, or of a batch that was given up.
      if (theirs[at] === 0 || theirs[at + 1] === 0 || tag === NOBODYS) continue;
      const current = words[CURRENT] as number;
      const count = words[COUNTS + current] as number;
      if (count >= this.#idsMax || (!isBegun && count > 0)) this.#rotate(current, newest);
      isBegun = true;
      this.#claim(words[CURRENT] as number, theirs[at] as number, theirs[at + 1] as number, tag, newest);
      words[OLDEST + (words[CURRENT] as number)] = theirs[OLDEST + generation] as number;
    }
  }

  #isDue(current: number, now: number, ttl: number): boolean {
    const count = Atomics.load(this.#words, COUNTS + current);
    if (count === 0) return false;
    if (count >= this.#idsMax) return true;
    return (now - Atomics.load(this.#words, OLDEST + current)) * (GENERATIONS - 1) > ttl;
  }

  #rotate(current: number, now: number): void {
    const words = this.#words;
    const next = (current + 1) % GENERATIONS;
    const from = HEADER_WORDS + next * this.#slots * SLOT_WORDS;
    if (Atomics.compareExchange(words, ROTATING, 0, 1) !== 0) return;
    if (Atomics.load(words, CURRENT) === current) {
      words.fill(0, from, from + this.#slots * SLOT_WORDS);
      Atomics.store(words, COUNTS + next, 0);
      Atomics.store(words, NEWEST + next, now);
      Atomics.store(words, OLDEST + next, now);
      Atomics.store(words, CURRENT, next);
    }
    Atomics.store(words, ROTATING, 0);
  }
}

/** Ids of one batch: the set cannot tell the second one in a batch from the same batch's earlier try. */
export class BatchIds {
  #slots = new Int32Array(512);
  #count = 0;

  /** False when it was there. */
  add(low: number, high: number): boolean {
    if (this.#count * 4 >= this.#slots.length) this.#grow();
    if (!this.#put(low | 0 || 1, high | 0 || 1)) return false;
    this.#count += 1;
    return true;
  }

  #put(low: number, high: number): boolean {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let at = (high << 1) & mask;
    while (slots[at] !== 0) {
      if (slots[at] === low && slots[at + 1] === high) return false;
      at = (at + 2) & mask;
    }
    slots[at] = low;
    slots[at + 1] = high;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 4);
    for (let i = 0; i < old.length; i += 2) {
      if (old[i] !== 0) this.#put(old[i] as number, old[i + 1] as number);
    }
  }
}
