/**
 * The newest results of an operator, as a resource shows them.
 *
 * Role: chooses what of open and closed results is shown where there are more than `NEWEST_ROWS`. An update of the resource
 * says that something has closed, while every key may be open: neither hides the other. Each may have half of the rows,
 * and what the other one leaves.
 * Order: by the end of the window, the newest first; what has no end is open and comes before. Of closed results those
 * are taken that were given out last; of open ones, which all change, those a query gives. `truncated` says that there
 * are more, which `window_query` finds.
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
