/**
 * RxJS: `groupBy` on the window, with a duration that ends it, `groupBy` on the key, and `reduce`, over JSON.parse of
 * each line.
 *
 * Role: what one writes with the library most used for streams of events in Node. Its own windows go by the clock, so
 * event time has to be brought in: a subject per window says that it is over. (One duration per key and window instead
 * takes quadratic time: groups that end leave the list of listeners one by one.)
 */
import { concat, filter, from, groupBy, map, mergeMap, type Observable, of, reduce, Subject, scan } from 'rxjs';
import { type EventRow, eventChunks } from './data.ts';
import { addResult, createTotals, type Job, p99Position, type Totals } from './job.ts';
import { type Peer, tooManyGroups } from './peer.ts';
import { type Group, groupOf, parseLines } from './peer-map.ts';

function withEvent(group: Group, { ts, value }: EventRow): Group {
  group.last = ts;
  group.count++;
  group.sum += value;
  if (value < group.min) group.min = value;
  if (value > group.max) group.max = value;
  return group;
}

function tell(totals: Totals, { count, max, min, seen, start, sum, values }: Group): void {
  const sorted = values.sort((a, b) => a - b);
  const p99 = sorted.length === 0 ? 0 : (sorted[p99Position(sorted.length)] as number);
  addResult(totals, start, count, sum, min, max, seen === null ? p99 : seen.size);
}

interface Placed {
  readonly start: number;
  readonly event: EventRow;
}

/** Ends windows whose end time has passed: told per window, so that nobody else has to listen. */
class Clock {
  readonly #job: Job;
  readonly #over = new Map<number, Subject<void>>();
  #newest = Number.NEGATIVE_INFINITY;

  constructor(job: Job) {
    this.#job = job;
  }

  /** Start of the newest window the event belongs to. */
  advance({ ts }: EventRow): number {
    const { sizeMs, slideMs } = this.#job;
    const newest = ts - (ts % slideMs);
    if (newest === this.#newest) return newest;
    this.#newest = newest;
    for (const [start, over] of this.#over) {
      if (start + sizeMs > newest) continue;
      this.#over.delete(start);
      over.next();
    }
    return newest;
  }

  over(start: number): Observable<void> {
    const over = new Subject<void>();
    this.#over.set(start, over);
    return over;
  }
}

/** Grouped by window, and within a window by key: a window that ends ends its groups. */
function windowed(events: Observable<EventRow>, job: Job): Observable<Group> {
  const { sizeMs, slideMs } = job;
  const clock = new Clock(job);
  const withValues = job.name === 'p99';
  const withSet = job.name === 'distinct';
  const placed =
    sizeMs === slideMs
      ? events.pipe(map((event): Placed => ({ start: clock.advance(event), event })))
      : events.pipe(
          mergeMap((event) => {
            const newest = clock.advance(event);
            return from(
              Array.from({ length: sizeMs / slideMs }, (_, i): Placed => ({ start: newest - i * slideMs, event })),
            );
          }),
        );
  const withValue = (state: Group, { event }: Placed): Group => {
    if (withValues) state.values.push(event.value);
    state.seen?.add(event.value);
    return withEvent(state, event);
  };
  return placed.pipe(
    groupBy(({ start }) => start, { duration: ({ key }) => clock.over(key) }),
    mergeMap((window) =>
      window.pipe(
        groupBy(({ event }) => event.key),
        mergeMap((group) => group.pipe(reduce(withValue, groupOf(window.key, withSet)))),
      ),
    ),
  );
}

interface SessionState {
  readonly open: Group | null;
  readonly done: Group | null;
}

/** Per key: a session is done when the next event is too far away, or when there is none. */
function sessions(events: Observable<EventRow>, { gapMs }: Job): Observable<Group> {
  const next = ({ open }: SessionState, event: EventRow | null): SessionState => {
    if (event === null) return { open: null, done: open };
    if (open === null) return { open: withEvent(groupOf(event.ts), event), done: null };
    if (event.ts - open.last < gapMs) return { open: withEvent(open, event), done: null };
    return { open: withEvent(groupOf(event.ts), event), done: open };
  };
  return events.pipe(
    groupBy(({ key }) => key),
    mergeMap((group) => concat(group, of(null)).pipe(scan(next, { open: null, done: null } as SessionState))),
    map(({ done }) => done),
    filter((done) => done !== null),
  );
}

const HOP_EVENTS_MAX = 20_000;
const MANY_KEYS = 10_000;
const MANY_KEYS_EVENTS_MAX = 200_000;

/**
 * A few seconds' worth. A hop makes sixty groups per event, and a window that ends with many keys takes time in the
 * square of their number, as each group that completes is taken out of a list.
 */
function eventsMax({ events, keys, name }: Job): number {
  if (name === 'hop') return Math.min(events, HOP_EVENTS_MAX);
  return keys > MANY_KEYS ? Math.min(events, MANY_KEYS_EVENTS_MAX) : events;
}

export const rxjs: Peer = {
  name: 'rxjs over JSON.parse',
  input: 'ndjson',
  refuses: tooManyGroups,
  eventsMax,
  prepare(job) {
    const chunks = eventChunks(job);
    return {
      run() {
        const totals = createTotals();
        const source = new Subject<EventRow>();
        const results = job.name === 'session' ? sessions(source, job) : windowed(source, job);
        results.subscribe((group) => tell(totals, group));
        parseLines(chunks, (event) => source.next(event));
        source.complete();
        return totals;
      },
    };
  },
};
