/**
 * The newest results of an operator, as a resource shows them.
 *
 * Role: chooses among open and closed results when there are more than `NEWEST_ROWS`. An update of the resource
 * announces closed results, while every key may have an open one: neither may hide the other. So each kind gets half of
 * the rows, and whatever the other leaves free.
 * Order: by the end of the window, newest first; results without an end are open and come before all others. Closed
 * results are those given out last; open ones, all of which change, are those that a query returns. `truncated` says
 * that there are more, which `window_query` finds.
 */
import type { ResultLine, Streams, WindowAnswer } from '../engine/port.ts';

export const NEWEST_ROWS = 100;

/** Rejects with `StreamRefusal` for names that are not there. */
export async function newestResults(streams: Streams, stream: string, name: string): Promise<WindowAnswer> {
  const range = { key: null, fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY, by: '' };
  const query = { stream, name, ...range, limit: NEWEST_ROWS };
  const opened = await streams.query({ ...query, include: 'open' });
  const closed = await streams.query({ ...query, include: 'closed' });
  // What closed meanwhile is in both.
  const ids = new Set(closed.rows.map(({ id }) => id));
  const open = opened.rows.filter(({ id }) => !ids.has(id));
  const openRows = Math.min(open.length, Math.max(NEWEST_ROWS / 2, NEWEST_ROWS - closed.rows.length));
  const rows = [...open.toSorted(byEnd).slice(0, openRows), ...closed.rows.slice(0, NEWEST_ROWS - openRows)];
  const truncatedBy = new Set([...opened.truncatedBy, ...closed.truncatedBy]);
  if (open.length + closed.rows.length > rows.length) truncatedBy.add('limit');
  return {
    rows: rows.sort(byEnd),
    watermark: closed.watermark,
    truncated: truncatedBy.size > 0,
    truncatedBy: [...truncatedBy].sort(),
    unanswered: opened.unanswered,
  };
}

const byEnd = (a: ResultLine, b: ResultLine): number => endOf(b) - endOf(a);

const endOf = ({ end }: ResultLine): number => end ?? Number.MAX_VALUE;
