/**
 * Whether a worker's event loop turns, as far as the front end has seen.
 *
 * Role: one per worker, told at every look of the supervisor how many beats the thread has shown by then. It stands when
 * it has shown none for a while, and for a number of looks: where cores are short both threads wait for theirs, but
 * whoever looks has had its turn each time. That is enough to send no more calls there.
 * It loops when it has also had a core for itself without a beat. How much it had is reckoned from what the whole
 * process took, of which each thread that was silent had a part: a process that is kept from its cores (a full machine,
 * a limit of its container) takes longer to tell an endless loop from a thread that only waits for its turn.
 * Invariant: what is told of a thread outside of its calls is counted from when it was last seen inside of one.
 */

/** A busy machine delays a beat by less, mostly. */
export const STANDING_MS = 250;
const LOOKS_MIN = 10;
/** The same while no call is there to be watched: those looks are a second apart. */
const LOOKS_IDLE = 3;
/** Of a core, without a beat; whatever a thread does between two calls takes less. */
const LOOPING_CPU_MS = 125;

/** Both clocks at a look, in milliseconds. */
export interface Moment {
  readonly nowMs: number;
  /** CPU time of the process. */
  readonly cpuMs: number;
}

export class Pulse {
  #beats = -1;
  #turnedAtMs: number;
  /** Looks since then. */
  #looks = 0;
  /** When the thread was last seen in a call's own code, or turned. */
  #outsideAtMs: number;
  #outsideCpuMs = Number.POSITIVE_INFINITY;
  #outsideLooks = 0;
  #idleLooks = 0;

  constructor(nowMs: number) {
    this.#turnedAtMs = nowMs;
    this.#outsideAtMs = nowMs;
  }

  /** It may have turned unseen since it was last looked at. */
  restart(nowMs: number): void {
    this.#turnedAtMs = nowMs;
    this.#looks = 0;
    this.#leave(nowMs, Number.POSITIVE_INFINITY);
  }

  /** `inCall`: it is in a call's own code, in one piece. */
  look(beats: number, inCall: boolean, { cpuMs, nowMs }: Moment): void {
    this.#idleLooks = 0;
    if (this.#turns(beats, nowMs)) return;
    this.#looks += 1;
    this.#outsideLooks += 1;
    if (inCall) this.#leave(nowMs, cpuMs);
    else if (cpuMs < this.#outsideCpuMs) this.#outsideCpuMs = cpuMs;
  }

  /** A look at a thread that has no call. True when it stands. */
  lookIdle(beats: number, { cpuMs, nowMs }: Moment): boolean {
    if (this.#turns(beats, nowMs)) {
      this.#idleLooks = 0;
      return false;
    }
    this.#idleLooks += 1;
    if (cpuMs < this.#outsideCpuMs) this.#outsideCpuMs = cpuMs;
    return this.#idleLooks >= LOOKS_IDLE;
  }

  /** Since it was last seen to turn. */
  silentMs(nowMs: number): number {
    return nowMs - this.#turnedAtMs;
  }

  stands(nowMs: number): boolean {
    return this.silentMs(nowMs) > STANDING_MS && this.#looks >= LOOKS_MIN;
  }

  /** How long it has been silent outside of any call's own code, 0 while it may only have been waiting for a core. */
  loopsMs({ cpuMs, nowMs }: Moment, silentThreads: number): number {
    const ms = nowMs - this.#outsideAtMs;
    if (ms <= STANDING_MS || (this.#outsideLooks < LOOKS_MIN && this.#idleLooks < LOOKS_IDLE)) return 0;
    // The thread that looks has its part, too.
    return cpuMs - this.#outsideCpuMs >= LOOPING_CPU_MS * (silentThreads + 1) ? ms : 0;
  }

  #turns(beats: number, nowMs: number): boolean {
    if (beats === this.#beats) return false;
    this.#beats = beats;
    this.restart(nowMs);
    return true;
  }

  /** What the process takes from the next look on counts: before it, the thread may have been at something else. */
  #leave(nowMs: number, cpuMs: number): void {
    this.#outsideAtMs = nowMs;
    this.#outsideCpuMs = cpuMs;
    this.#outsideLooks = 0;
  }
}
