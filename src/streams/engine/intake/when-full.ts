/**
 * What becomes of a batch while its stream holds as much state as it may and its policy is `refuse`.
 *
 * It is refused, but one batch at a time is considered, so that the stream does not stay full because time stands
 * still:
 * (1) its earliest event is logged as a sign of time, which makes none of its events late; windows that close by it may
 * make room, and then the batch is taken. (2) When the stream has been full for `FULL_PATIENCE_MS`, the batch is set
 * aside: its events are counted as rejected and kept as one dead letter, none is applied, and its time counts as that
 * of any batch.
 *
 * Role: decides before a record is logged; the log then says what happened, so a replay does not decide again. How long
 * a stream has been full is measured from the first batch that found it so, and begins anew with a start.
 * Invariant: state does not grow by either.
 */
import type { Accepted } from '../../sources/port.ts';
import type { EventsRecord } from '../engine.ts';
import { StreamRefusal } from '../port.ts';

/** Of the arrival clock. Long enough for ticks, other partitions and batches on their way to make room. */
export const FULL_PATIENCE_MS = 10_000;

export interface FullPorts {
  /** Why the stream has no room; `''` when it has. */
  full(): string;
  /** Time of the batch's earliest event; Infinity when none of them can be taken. Nothing is remembered of it. */
  earliest(): Promise<number>;
  /** Logs that a source partition has come to this time, unless it has before; resolves when that is applied. */
  timeIs(tsMs: number): Promise<void>;
  append(record: EventsRecord): Promise<Accepted>;
}

export class WhenFull {
  #sinceMs: number | null = null;
  #looking = false;

  /** A batch came and there was room. */
  hadRoom(): void {
    this.#sinceMs = null;
  }

  /** Rejects with `StreamRefusal` when the batch is to be sent again later. */
  async take(record: EventsRecord, nowMs: number, retryAfterMs: number, ports: FullPorts): Promise<Accepted> {
    this.#sinceMs ??= nowMs;
    if (this.#looking) throw new StreamRefusal('full', ports.full(), retryAfterMs);
    this.#looking = true;
    try {
      const earliest = await ports.earliest();
      // Poison only: there is nothing to hold.
      if (earliest === Number.POSITIVE_INFINITY) return await ports.append(record);
      await ports.timeIs(earliest);
      const reason = ports.full();
      if (reason === '') {
        this.hadRoom();
        return await ports.append(record);
      }
      if (nowMs - this.#sinceMs < FULL_PATIENCE_MS) throw new StreamRefusal('full', reason, retryAfterMs);
      return await ports.append({ ...record, setAside: reason });
    } finally {
      this.#looking = false;
    }
  }
}
