/**
 * Plain JavaScript: a Map from key and window to an object, over rows or over JSON.parse of each line.
 *
 * Role: what one writes without a library; different values are a Set per group. A hop puts each event into every window it belongs to.
 */
import { type EventRow, eventChunks, eventRows } from './data.ts';
import { addResult, createTotals, type Job, p99Position, type Totals } from './job.ts';
import { type Peer, type PeerRun, tooManyGroups } from './peer.ts';

export interface Group {
  readonly start: number;
  /** Time of the newest event; sessions only. */
  last: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  /** For the quantile; empty otherwise. */
  readonly values: number[];
  /** Different values; null where they are not counted. */
  readonly seen: Set<number> | null;
}

interface Sink {
  take(event: EventRow): void;
  end(): Totals;
}

export const groupOf = (start: number, withSet = false): Group => ({
  start,
  last: start,
  count: 0,
  sum: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
  values: [],
  seen: withSet ? new Set() : null,
});

function add(group: Group, value: number): void {
  group.count++;
  group.sum += value;
  if (value < group.min) group.min = value;
  if (value > group.max) group.max = value;
}

function tell(totals: Totals, group: Group): void {
  const { seen, values } = group;
  const p99 = values.length === 0 ? 0 : (values.sort((a, b) => a - b)[p99Position(values.length)] as number);
  addResult(totals, group.start, group.count, group.sum, group.min, group.max, seen === null ? p99 : seen.size);
}

/** One Map of keys per window; windows close when time has passed their end. */
function windowSink(job: Job): Sink {
  const { sizeMs, slideMs } = job;
  const withValues = job.name === 'p99';
  const withSet = job.name === 'distinct';
  const totals = createTotals();
  const windows = new Map<number, Map<string, Group>>();
  let nextEnd = Number.NEGATIVE_INFINITY;
  const close = (until: number): void => {
    for (const [start, groups] of windows) {
      if (start + sizeMs > until) continue;
      for (const group of groups.values()) tell(totals, group);
      windows.delete(start);
    }
  };
  const put = (start: number, { key, value }: EventRow): void => {
    let groups = windows.get(start);
    if (groups === undefined) {
      groups = new Map();
      windows.set(start, groups);
    }
    let group = groups.get(key);
    if (group === undefined) {
      group = groupOf(start, withSet);
      groups.set(key, group);
    }
    add(group, value);
    if (withValues) group.values.push(value);
    group.seen?.add(value);
  };
  return {
    take(event) {
      const newest = event.ts - (event.ts % slideMs);
      if (newest >= nextEnd) {
        close(newest);
        nextEnd = newest + slideMs;
      }
      for (let start = newest; start > event.ts - sizeMs; start -= slideMs) put(start, event);
    },
    end() {
      close(Number.POSITIVE_INFINITY);
      return totals;
    },
  };
}

function sessionSink({ gapMs }: Job): Sink {
  const totals = createTotals();
  const open = new Map<string, Group>();
  return {
    take({ key, ts, value }) {
      let group = open.get(key);
      if (group === undefined || ts - group.last >= gapMs) {
        if (group !== undefined) tell(totals, group);
        group = groupOf(ts);
        open.set(key, group);
      }
      group.last = ts;
      add(group, value);
    },
    end() {
      for (const group of open.values()) tell(totals, group);
      return totals;
    },
  };
}

const sinkOf = (job: Job): Sink => (job.name === 'session' ? sessionSink(job) : windowSink(job));

/** Decodes and parses each line of the chunks. */
export function parseLines(chunks: readonly Uint8Array[], take: (event: EventRow) => void): void {
  const decoder = new TextDecoder();
  for (const chunk of chunks) {
    const text = decoder.decode(chunk);
    for (let from = 0; from < text.length; ) {
      const to = text.indexOf('\n', from);
      take(JSON.parse(text.slice(from, to)) as EventRow);
      from = to + 1;
    }
  }
}

/** Sixty updates per event: a few seconds' worth. */
const HOP_EVENTS_MAX = 200_000;

const eventsMax = ({ events, name }: Job): number => (name === 'hop' ? Math.min(events, HOP_EVENTS_MAX) : events);

export const mapOverJson: Peer = {
  name: 'Map over JSON.parse',
  input: 'ndjson',
  refuses: tooManyGroups,
  eventsMax,
  prepare(job): PeerRun {
    const chunks = eventChunks(job);
    return {
      run() {
        const sink = sinkOf(job);
        parseLines(chunks, sink.take);
        return sink.end();
      },
    };
  },
};

export const mapOverRows: Peer = {
  name: 'Map over rows',
  input: 'rows',
  refuses: tooManyGroups,
  eventsMax,
  prepare(job): PeerRun {
    const rows = eventRows(job);
    return {
      run() {
        const sink = sinkOf(job);
        for (const row of rows) sink.take(row);
        return sink.end();
      },
    };
  },
};
