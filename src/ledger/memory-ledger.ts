/**
 * The idempotency ledger of one process.
 *
 * Role: keys with their answers, for `ttlMs` after the answer; bounded by count and characters, the answer given
 * longest ago forgotten first, a running call never. A claim ends with its call, since both live here; so nothing is
 * ever unknown.
 */
import { WAITERS_MAX } from './key-waits.ts';
import type { Begun, Ledger, LedgerAnswer, LedgerQuestion } from './port.ts';

export const KEYS_MAX = 100_000;
/** Characters of all answers together. */
export const ANSWER_CHARS_MAX = 64 * 1024 * 1024;

export interface MemoryLedgerOptions {
  readonly ttlMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Default `KEYS_MAX`. */
  readonly keysMax?: number;
}

interface Row {
  readonly fingerprint: string;
  readonly token: string;
  answer: LedgerAnswer | null;
  endsAtMs: number;
  /** Called once, when the call has ended; with whether who waits is still wanted. */
  readonly waiting: Map<() => void, () => boolean>;
}

const FULL: Begun = Object.freeze({ kind: 'full' });
const DIFFERS: Begun = Object.freeze({ kind: 'differs' });
const BUSY: Begun = Object.freeze({ kind: 'busy' });

export class MemoryLedger implements Ledger {
  readonly #options: MemoryLedgerOptions;
  readonly #keysMax: number;
  /** Answered ones in the order of their answers, running ones among them. */
  readonly #rows = new Map<string, Row>();
  #tokens = 0;
  #chars = 0;
  #running = 0;

  constructor(options: MemoryLedgerOptions) {
    this.#options = options;
    this.#keysMax = options.keysMax ?? KEYS_MAX;
  }

  get running(): number {
    return this.#running;
  }

  async begin(question: LedgerQuestion): Promise<Begun> {
    const { fingerprint, isWanted, key, waitMs } = question;
    const endMs = this.#options.now() + waitMs;
    for (;;) {
      const row = this.#row(key);
      if (row === undefined) return this.#claim(key, fingerprint);
      if (row.fingerprint !== fingerprint) return DIFFERS;
      if (row.answer !== null) return { kind: 'done', answer: row.answer };
      const leftMs = endMs - this.#options.now();
      if (leftMs <= 0 || !isWanted() || !hasRoom(row) || !(await ended(row, leftMs, isWanted))) return BUSY;
    }
  }

  async finish(key: string, token: string, answer: LedgerAnswer): Promise<boolean> {
    const row = this.#rows.get(key);
    if (row === undefined || row.token !== token || row.answer !== null) return false;
    row.answer = answer;
    row.endsAtMs = this.#options.now() + this.#options.ttlMs;
    this.#rows.delete(key);
    this.#rows.set(key, row);
    this.#chars += answer.responseJson.length;
    this.#ended(row);
    while (this.#chars > ANSWER_CHARS_MAX && this.#forgetOldest());
    return true;
  }

  async abandon(key: string, token: string): Promise<void> {
    const row = this.#rows.get(key);
    if (row === undefined || row.token !== token || row.answer !== null) return;
    this.#rows.delete(key);
    this.#ended(row);
  }

  close(): void {
    for (const row of this.#rows.values()) this.#tell(row);
    this.#rows.clear();
  }

  /** What has outlived its time is gone. */
  #row(key: string): Row | undefined {
    const row = this.#rows.get(key);
    if (row === undefined || row.answer === null || row.endsAtMs > this.#options.now()) return row;
    this.#forget(key, row);
    return undefined;
  }

  #claim(key: string, fingerprint: string): Begun {
    if (this.#rows.size >= this.#keysMax && !this.#forgetOldest()) return FULL;
    this.#tokens += 1;
    const token = String(this.#tokens);
    this.#rows.set(key, { fingerprint, token, answer: null, endsAtMs: 0, waiting: new Map() });
    this.#running += 1;
    return { kind: 'run', token };
  }

  #ended(row: Row): void {
    this.#running -= 1;
    this.#tell(row);
  }

  #tell(row: Row): void {
    for (const told of row.waiting.keys()) told();
    row.waiting.clear();
  }

  #forgetOldest(): boolean {
    for (const [key, row] of this.#rows) {
      if (row.answer === null) continue;
      this.#forget(key, row);
      return true;
    }
    return false;
  }

  #forget(key: string, row: Row): void {
    this.#rows.delete(key);
    this.#chars -= row.answer?.responseJson.length ?? 0;
  }
}

/** Whether one more may wait. Those whose clients have gone make room. */
function hasRoom(row: Row): boolean {
  if (row.waiting.size < WAITERS_MAX) return true;
  for (const [told, isWanted] of [...row.waiting]) if (!isWanted()) told();
  return row.waiting.size < WAITERS_MAX;
}

/** False: it still runs after `ms`. */
function ended(row: Row, ms: number, isWanted: () => boolean): Promise<boolean> {
  return new Promise((resolve) => {
    const told = (): void => {
      clearTimeout(timer);
      row.waiting.delete(told);
      resolve(true);
    };
    const timer = setTimeout(() => {
      row.waiting.delete(told);
      resolve(false);
    }, ms);
    row.waiting.set(told, isWanted);
  });
}
