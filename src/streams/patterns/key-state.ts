// HOT PATH
/**
 * What a pattern remembers of one key: events that wait for the watermark, partial matches, and matches that wait for
 * older partial matches to end.
 *
 * Invariants: `pending` is ordered by event time, then arrival; `partials` and `completed` are ordered by their first
 * event; no event of `pending` was matched yet.
 */
import type { KeptEvent, Taken } from './taken.ts';

/** Events of a key that wait for the watermark; past that the oldest is matched at once. */
export const PENDING_EVENTS_MAX = 65_536;
/** Partial matches of a key, with matches that wait; past that the oldest are dropped and counted. */
export const PARTIAL_MATCHES_MAX = 1024;
/** Events of one match; a partial match that would take more is dropped and counted. */
export const MATCH_EVENTS_MAX = 1024;

/** A match on its way: the events taken so far and what may come next. */
export class PartialMatch {
  readonly taken: Taken;
  /** How many events in a row its newest step took. */
  readonly count: number;
  /** Bit per position: steps that may take the next event; the bit after the last step's: only the end is missing. */
  waits: number;
  /** No event was seen since the newest one was taken. */
  fresh: boolean;

  constructor(taken: Taken, count: number, waits: number, fresh: boolean) {
    this.taken = taken;
    this.count = count;
    this.waits = waits;
    this.fresh = fresh;
  }
}

export class PatternState {
  pending: KeptEvent[] = [];
  partials: PartialMatch[] = [];
  completed: Taken[] = [];
  /** Events matched so far: the next one's ordinal. */
  fed = 0;
  /** Matches and timeouts given out so far: the next one's pane. */
  given = 0;
  /** Event time of the newest event matched out of `pending`: older ones are late whatever the watermark is. */
  floor = Number.NEGATIVE_INFINITY;

  /** Events, partial matches and matches held. */
  get held(): number {
    return this.pending.length + this.partials.length + this.completed.length;
  }

  /** Puts an event among those that wait. */
  add(event: KeptEvent): void {
    const pending = this.pending;
    let at = pending.length;
    if (at === 0 || (pending[at - 1] as KeptEvent).ts <= event.ts) {
      pending.push(event);
      return;
    }
    let low = 0;
    while (low < at) {
      const middle = (low + at) >>> 1;
      if ((pending[middle] as KeptEvent).ts <= event.ts) low = middle + 1;
      else at = middle;
    }
    pending.splice(low, 0, event);
  }

  /** When something of this key is due: an event to be matched, or a partial match whose time is over. */
  due(withinMs: number): number {
    let time = this.pending.length === 0 ? Infinity : (this.pending[0] as KeptEvent).ts;
    if (withinMs === 0) return time;
    for (let i = 0; i < this.partials.length; i++) {
      const end = (this.partials[i] as PartialMatch).taken.first.ts + withinMs;
      if (end < time) time = end;
    }
    return time;
  }
}
