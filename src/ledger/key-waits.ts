/**
 * Calls of this node that wait for a key which another call has, on this node or another one.
 *
 * Role: however many wait for one key, the ledger is asked for only one of them at a time, with growing pauses. All of
 * them get the answer, except for the right to run, which goes to the one that came first. No messages are needed, so
 * none can be lost; when a call ends on this node, the ledger is asked at once for those that wait for it.
 *
 *   begin ─► asks ─► wait ─► pause ─┐      ─► run: the first goes      ─► done, differs, unknown: all go
 *             ▲────────────────────┘
 *
 * Invariants: at most `WAITERS_MAX` wait for a key; a waiter whose time is over is told `busy`; one that is no longer
 * wanted goes with the next question, and nothing is asked when nobody waits.
 */
import type { Begun, LedgerQuestion } from './port.ts';

/** For one key, on one node. */
export const WAITERS_MAX = 1_000;
const PAUSE_MS = 10;
const PAUSE_MS_MAX = 250;

/** Null: somebody has it. */
export type Ask = (question: LedgerQuestion) => Promise<Begun | null>;

interface Waiter {
  readonly question: LedgerQuestion;
  readonly endMs: number;
  readonly resolve: (begun: Begun) => void;
  readonly reject: (cause: unknown) => void;
}

class Wait {
  readonly question: LedgerQuestion;
  /** In order of arrival. */
  waiters: Waiter[] = [];
  pauseMs = PAUSE_MS;
  timer: NodeJS.Timeout | null = null;
  /** A question is under way. */
  asking = false;
  /** The key may have become free since that was sent. */
  askAgain = false;

  constructor(question: LedgerQuestion) {
    this.question = question;
  }
}

const BUSY: Begun = Object.freeze({ kind: 'busy' });

export class KeyWaits {
  readonly #ask: Ask;
  /** Nobody took what was given. */
  readonly #giveBack: (key: string, token: string) => void;
  readonly #waits = new Map<string, Wait>();
  #closed = false;

  constructor(ask: Ask, giveBack: (key: string, token: string) => void) {
    this.#ask = ask;
    this.#giveBack = giveBack;
  }

  begin(question: LedgerQuestion): Promise<Begun> {
    const { key } = question;
    let wait = this.#waits.get(key);
    if (wait !== undefined && wait.question.fingerprint !== question.fingerprint) return this.#alone(question);
    if (this.#closed || (wait !== undefined && wait.waiters.length >= WAITERS_MAX)) return Promise.resolve(BUSY);
    return new Promise((resolve, reject) => {
      const waiter = { question, endMs: performance.now() + question.waitMs, resolve, reject };
      if (wait === undefined) {
        wait = new Wait(question);
        wait.waiters.push(waiter);
        this.#waits.set(key, wait);
        void this.#poll(wait);
      } else wait.waiters.push(waiter);
    });
  }

  /** Another question under a key that calls wait for. */
  async #alone(question: LedgerQuestion): Promise<Begun> {
    return (await this.#ask(question)) ?? BUSY;
  }

  /** The call with this key has ended here. */
  ended(key: string): void {
    const wait = this.#waits.get(key);
    if (wait === undefined) return;
    wait.pauseMs = PAUSE_MS;
    if (wait.asking) wait.askAgain = true;
    else void this.#poll(wait);
  }

  async #poll(wait: Wait): Promise<void> {
    if (wait.timer !== null) clearTimeout(wait.timer);
    wait.timer = null;
    wait.asking = true;
    wait.askAgain = false;
    try {
      const begun = await this.#ask(wait.question);
      wait.asking = false;
      this.#told(wait, begun);
    } catch (cause) {
      this.#waits.delete(wait.question.key);
      for (const { reject } of wait.waiters) reject(cause);
    }
  }

  #told(wait: Wait, begun: Begun | null): void {
    const { key } = wait.question;
    this.#dropUnwanted(wait);
    if (begun?.kind === 'run') {
      const first = wait.waiters.shift();
      if (first === undefined) this.#giveBack(key, begun.token);
      else first.resolve(begun);
    } else if (begun !== null) {
      for (const { resolve } of wait.waiters) resolve(begun);
      wait.waiters = [];
    } else this.#dropLate(wait);
    if (this.#closed) for (const { resolve } of wait.waiters.splice(0)) resolve(BUSY);
    if (wait.waiters.length === 0) this.#waits.delete(key);
    else if (wait.askAgain) void this.#poll(wait);
    else this.#pause(wait);
  }

  #pause(wait: Wait): void {
    let ms = wait.pauseMs;
    const nowMs = performance.now();
    for (const { endMs } of wait.waiters) ms = Math.min(ms, Math.max(1, endMs - nowMs));
    wait.pauseMs = Math.min(PAUSE_MS_MAX, 2 * wait.pauseMs);
    wait.timer = setTimeout(() => {
      this.#dropUnwanted(wait);
      if (wait.waiters.length === 0) this.#waits.delete(wait.question.key);
      else void this.#poll(wait);
    }, ms);
  }

  #dropUnwanted(wait: Wait): void {
    const wanted = wait.waiters.filter(({ question }) => question.isWanted());
    if (wanted.length === wait.waiters.length) return;
    for (const { question, resolve } of wait.waiters) if (!question.isWanted()) resolve(BUSY);
    wait.waiters = wanted;
  }

  #dropLate(wait: Wait): void {
    const nowMs = performance.now();
    const patient = wait.waiters.filter(({ endMs }) => endMs > nowMs);
    if (patient.length === wait.waiters.length) return;
    for (const { endMs, resolve } of wait.waiters) if (endMs <= nowMs) resolve(BUSY);
    wait.waiters = patient;
  }

  /** Whoever waits is told that the key is busy. */
  close(): void {
    this.#closed = true;
    for (const wait of this.#waits.values()) {
      if (wait.timer !== null) clearTimeout(wait.timer);
      for (const { resolve } of wait.waiters.splice(0)) resolve(BUSY);
    }
    this.#waits.clear();
  }
}
