/**
 * Ends a worker whose heap has grown past its limit, before V8 would abort the whole process.
 *
 * V8 lets a thread fail alone only when its heap fills in small pieces. When one piece that does not fit is larger than
 * what Node.js adds at the end (16 MiB), an array that doubles for instance, V8 aborts the process. So V8's own limit
 * is HEAP_ROOM_MIB higher than the one configured, and the configured one is enforced here:
 *
 *   a thread whose loop turns says itself that it is past the limit   `full`, from its beat
 *   one whose loop is silent is asked from outside, every LOOK_MS     `look`, by the supervisor's timers and its own
 *   what is past the limit may be garbage                             it is collected, and what is left counts
 *
 * Invariants: one question per thread at a time; nobody is asked while all threads are at their loops and below the
 * limit. A thread that was nearly full is collected again only when it has grown by GARBAGE_SHARE of the limit, so it
 * may hold that much more than the limit. A thread in native code does not answer, and is not ended for its heap.
 */
import type { HeapProbe } from '../pool/port.ts';
import type { Flights, WorkerLoad } from './flights.ts';
import { foldedNow, foldedSince } from './folded-time.ts';
import type { Losses } from './losses.ts';

/** Room for the largest array V8 has (1 GiB), twice, while it is copied. Address space until it is used. */
export const HEAP_ROOM_MIB = 2048;
/** Of the limit: garbage that may gather between two collections of a thread that is nearly full. */
export const GARBAGE_SHARE = 0.5;
/** Without a beat; one comes every 25 ms. */
const SILENT_MS = 50;
/** An array of numbers takes more than half a second from the usual limit to V8's end. */
const LOOK_MS = 20;
/** The probe rests when nobody was asked for so long. */
const QUIET_MS = 1000;

interface Asked {
  atMs: number;
  pending: boolean;
  /** Past this much, what is garbage is found out. */
  collectAtBytes: number;
}

export interface HeapWatchPorts {
  readonly flights: Flights;
  readonly losses: Losses;
  readonly probe: HeapProbe;
  readonly now: () => number;
}

export class HeapWatch {
  readonly #ports: HeapWatchPorts;
  readonly #bytesMax: number;
  readonly #asked = new WeakMap<WorkerLoad, Asked>();
  #pending = 0;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** While a thread is silent. */
  #again: NodeJS.Timeout | null = null;
  readonly #lookAgain = (): void => {
    this.#again = null;
    this.look(this.#ports.now());
  };

  constructor(ports: HeapWatchPorts, bytesMax: number) {
    this.#ports = ports;
    this.#bytesMax = bytesMax;
  }

  look(nowMs: number): void {
    const { board, loads } = this.#ports.flights;
    const folded = foldedNow();
    let silent = false;
    for (const load of loads) {
      // The front-end thread has no beat, nor has one that never had a call.
      const beatAt = load === null ? 0 : board.beatAt(load.worker.index);
      if (load === null || beatAt === 0 || foldedSince(beatAt, folded) < SILENT_MS) continue;
      silent = true;
      this.#judge(load, nowMs);
    }
    if (silent && this.#again === null) this.#again = setTimeout(this.#lookAgain, LOOK_MS).unref();
    if (this.#pending === 0 && nowMs - this.#askedAtMs > QUIET_MS) this.#ports.probe.rest();
  }

  /** The thread says so, with garbage and all. */
  full(load: WorkerLoad): void {
    this.#judge(load, this.#ports.now());
  }

  stop(): void {
    if (this.#again !== null) clearTimeout(this.#again);
    this.#again = null;
    this.#ports.probe.rest();
  }

  #judge(load: WorkerLoad, nowMs: number): void {
    let asked = this.#asked.get(load);
    if (asked === undefined) {
      asked = { atMs: Number.NEGATIVE_INFINITY, pending: false, collectAtBytes: this.#bytesMax };
      this.#asked.set(load, asked);
    }
    if (load.ending || asked.pending || nowMs - asked.atMs < LOOK_MS) return;
    asked.atMs = nowMs;
    this.#askedAtMs = nowMs;
    void this.#ask(load, asked);
  }

  async #ask(load: WorkerLoad, asked: Asked): Promise<void> {
    const { probe } = this.#ports;
    asked.pending = true;
    this.#pending += 1;
    const used = await probe.usedBytes(load.worker);
    if (used !== null && used > asked.collectAtBytes) {
      await probe.collect(load.worker);
      const left = await probe.usedBytes(load.worker);
      if (left !== null && left > this.#bytesMax) this.#end(load);
      else if (left !== null) asked.collectAtBytes = Math.max(this.#bytesMax, left + GARBAGE_SHARE * this.#bytesMax);
    }
    asked.pending = false;
    this.#pending -= 1;
  }

  #end(load: WorkerLoad): void {
    const { flights, losses } = this.#ports;
    // Meanwhile it may have been lost for another reason.
    if (flights.loads[load.worker.index] === load) losses.kill(load, 'memory', losses.culprit(load));
  }
}
