/**
 * RxJS: `groupBy` on key and window, with a duration that ends groups, and `reduce`, over JSON.parse of each line.
 *
 * Role: what one writes with the library most used for streams of events in Node. Its own windows go by the clock, so
 * event time has to be brought in: a subject tells groups when their window is over.
 */
import { concat, filter, from, groupBy, map, mergeMap, type Observable, of, reduce, Subject, scan } from 'rxjs';
import { type EventRow, eventChunks } from './data.ts';
import { addResult, createTotals, type Job, p99Position, type Totals } from './job.ts';
import { type Peer, tooManyGroups } from './peer.ts';
import { parseLines } from './peer-map.ts';

interface Group {
  readonly start: number;
  last: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  /** For the quantile; empty otherwise. */
  readonly values: number[];
}

const emptyGroup = (start: number): Group => ({
  start,
  last: start,
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  values: [],
});

function withEvent(group: Group, { ts, value }: EventRow): Group {
  group.last = ts;
  group.count++;
  group.sum += value;
  if (value < group.min) group.min = value;
  if (value > group.max) group.max = value;
  return group;
}

function tell(totals: Totals, { count, max, min, start, sum, values }: Group): void {
  const sorted = values.sort((a, b) => a - b);
  const p99 = sorted.length === 0 ? 0 : (sorted[p99Position(sorted.length)] as number);
  addResult(totals, start, count, sum, min, max, p99);
}

interface Window {
  readonly start: number;
  readonly over: Subject<void>;
}

interface Placed {
  readonly window: Window;
  readonly event: EventRow;
}

/** The windows that are open: made when their first event comes, over when time has passed their end. */
function openWindows({ sizeMs, slideMs }: Job): (event: EventRow) => readonly Window[] {
  let open: Window[] = [];
  let newest = Number.NEGATIVE_INFINITY;
  return ({ ts }) => {
    const latest = ts - (ts % slideMs);
    if (latest === newest) return open;
    for (const { over, start } of open) if (start + sizeMs <= latest) over.next();
    open = open.filter(({ start }) => start + sizeMs > latest);
    const known = open.at(-1)?.start ?? latest - sizeMs;
    for (let start = known + slideMs; start <= latest; start += slideMs) open.push({ start, over: new Subject() });
    newest = latest;
    return open;
  };
}

function windowed(events: Observable<EventRow>, job: Job): Observable<Group> {
  const windowsOf = openWindows(job);
  const withValues = job.name === 'p99';
  // Groups know their window by the event that opened them: the latest one placed.
  let opening: Window | null = null;
  const placed =
    job.sizeMs === job.slideMs
      ? events.pipe(map((event): Placed => ({ window: windowsOf(event)[0] as Window, event })))
      : events.pipe(mergeMap((event) => from(windowsOf(event).map((window): Placed => ({ window, event })))));
  return placed.pipe(
    groupBy(
      ({ event, window }) => {
        opening = window;
        return `${event.key}|${window.start}`;
      },
      { duration: () => (opening as Window).over },
    ),
    mergeMap((group) =>
      group.pipe(
        reduce(
          (state, { event }) => {
            if (withValues) state.values.push(event.value);
            return withEvent(state, event);
          },
          emptyGroup((opening as Window).start),
        ),
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
    if (open === null) return { open: withEvent(emptyGroup(event.ts), event), done: null };
    if (event.ts - open.last < gapMs) return { open: withEvent(open, event), done: null };
    return { open: withEvent(emptyGroup(event.ts), event), done: open };
  };
  return events.pipe(
    groupBy(({ key }) => key),
    mergeMap((group) => concat(group, of(null)).pipe(scan(next, { open: null, done: null } as SessionState))),
    map(({ done }) => done),
    filter((done) => done !== null),
  );
}

const HOP_EVENTS_MAX = 20_000;

export const rxjs: Peer = {
  name: 'rxjs over JSON.parse',
  input: 'ndjson',
  refuses: tooManyGroups,
  // Sixty groups per event: a few seconds' worth.
  eventsMax: ({ events, name }) => (name === 'hop' ? Math.min(events, HOP_EVENTS_MAX) : events),
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
