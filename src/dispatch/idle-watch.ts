/**
 * Looks after threads while there is no call: a tool may have answered and left a loop behind that never ends.
 *
 * Role: the supervisor's slow timer. It reads one word per worker each second, keeps no process alive, and tells of a
 * thread whose loop stood still over several looks. A task of the live streams may keep a thread for as long as it needs:
 * those have a watch of their own. A thread that never had a call has shown no beat yet, and nothing is left there.
 */
import type { Flights, WorkerLoad } from './flights.ts';
import type { Moment } from './pulse.ts';

export const IDLE_LOOK_MS = 1000;

export class IdleWatch {
  readonly #flights: Flights;
  readonly #callerIndex: number;
  readonly #standing: (load: WorkerLoad) => void;
  #timer: NodeJS.Timeout | null = null;

  constructor(flights: Flights, callerIndex: number, standing: (load: WorkerLoad) => void) {
    this.#flights = flights;
    this.#callerIndex = callerIndex;
    this.#standing = standing;
  }

  /** `look` is called once in a while until `stop`. */
  start(look: () => void): void {
    if (this.#timer === null) this.#timer = setInterval(look, IDLE_LOOK_MS).unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Only while there is no call. */
  look(at: Moment): void {
    const { board, loads } = this.#flights;
    let silent = 0;
    for (const load of loads) {
      if (this.#isWatched(load) && load.pulse.lookIdle(board.beats(load.worker.index), at)) silent += 1;
    }
    if (silent === 0) return;
    for (const load of loads) {
      if (!this.#isWatched(load) || load.pulse.loopsMs(at, silent) === 0) continue;
      if (board.streamTasks(load.worker.index) === 0) this.#standing(load);
    }
  }

  #isWatched(load: WorkerLoad | null): load is WorkerLoad {
    return load !== null && load.worker.index !== this.#callerIndex && load.epoch !== -1 && !load.ending;
  }
}
