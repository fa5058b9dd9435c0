/**
 * Appends to the log for an engine whose streams do not all wait for it.
 *
 * Role: records of a `memory` stream are applied before the log has them. When the log then cannot write them it would
 * give their numbers again, although state, sinks and dead letters have used them: so empty records take their places
 * before anything else is appended. A checkpoint is saved only when the log has all that it covers (`settled`), or
 * records that come under those numbers later would not be replayed. The same holds for records that were lost with
 * their process and have left dead letters, or notes that they do not count.
 */
import type { Appended, EventLog, LogRecord } from '../../log/port.ts';

/** Time of no stream: nothing follows from it. */
const NOTHING: LogRecord = { kind: 'time', stream: '', partition: '', tsMs: 0, arrivalMs: 0 };

export class LogWriter {
  readonly #log: EventLog;
  /** Newest record that nobody waits for. */
  #hastySeq = 0;
  #hasty: Promise<void> = Promise.resolve();

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** As `EventLog.append`. */
  append(record: LogRecord): Appended {
    this.#fill();
    return this.#log.append(record);
  }

  /** The record goes on without waiting until it is durable. */
  letGo({ durable, seq }: Appended): void {
    this.#hastySeq = seq;
    this.#hasty = durable;
    // Said by `settled`, to whom it matters.
    durable.catch(() => undefined);
  }

  /** Numbers up to this one are not given again. Throws as `append` does. */
  passOver(seq: number): void {
    while (this.#log.last < seq) this.letGo(this.#log.append(NOTHING));
  }

  #fill(): void {
    while (this.#log.last < this.#hastySeq) {
      this.letGo({ ...this.#log.append(NOTHING), seq: this.#hastySeq });
    }
  }

  /** Resolves when everything that was let go on is durable, or has lost its place. Rejects as `durable` does. */
  async settled(): Promise<void> {
    this.#fill();
    await this.#hasty;
  }
}
