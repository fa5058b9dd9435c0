/**
 * A log that cannot be written is tried again, until it can.
 *
 * Role: called with every tick of the clock while the log refuses. One try at a time, and one a second: each one that
 * fails costs a write, and LMDB-js says so on stderr by itself. What is wrong is logged when it is new and once a minute
 * while it lasts: the disk that is full is often the one the log is written to.
 */
import type { EventLog } from '../log/port.ts';
import type { EngineLog } from './engine.ts';

const BETWEEN_TRIES_MS = 1000;
const BETWEEN_WARNINGS_MS = 60_000;

export class LogRecovery {
  readonly #eventLog: Pick<EventLog, 'recover'>;
  readonly #log: Pick<EngineLog, 'info' | 'warn'>;
  #trying = false;
  #triedMs = Number.NEGATIVE_INFINITY;
  #warnedMs = Number.NEGATIVE_INFINITY;
  #warnedOf = '';

  constructor(eventLog: Pick<EventLog, 'recover'>, log: Pick<EngineLog, 'info' | 'warn'>) {
    this.#eventLog = eventLog;
    this.#log = log;
  }

  /** `nowMs`: of a clock that nobody sets. Resolves when the try that it began, if any, is over. */
  async try(nowMs: number): Promise<void> {
    if (this.#trying || nowMs - this.#triedMs < BETWEEN_TRIES_MS) return;
    this.#trying = true;
    this.#triedMs = nowMs;
    try {
      await this.#eventLog.recover();
      this.#warnedOf = '';
      this.#log.info({}, 'the stream log takes records again');
    } catch (error) {
      this.#warn(error, nowMs);
    } finally {
      this.#trying = false;
    }
  }

  #warn(error: unknown, nowMs: number): void {
    const what = error instanceof Error ? error.message : String(error);
    if (what === this.#warnedOf && nowMs - this.#warnedMs < BETWEEN_WARNINGS_MS) return;
    this.#warnedOf = what;
    this.#warnedMs = nowMs;
    this.#log.warn({ err: error }, 'the stream log cannot take records');
  }
}
