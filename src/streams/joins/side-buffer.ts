/**
 * Events of one side of a join that may still find a partner, of one key, in order of event time.
 *
 * Only the fields the join's expressions name are kept. Plain data, so that the state's codec can write it.
 */
import type { OwnContext } from '../event-context.ts';

/** One event: time, id, what it carries with it, values by position in the side's field list, whether it has found a partner. */
export interface Held {
  readonly ts: number;
  readonly id: string;
  readonly context: OwnContext;
  readonly values: readonly unknown[];
  matched: boolean;
}

/** Index of the first one whose time is not before `ts`. */
export function firstFrom(held: readonly Held[], ts: number): number {
  let low = 0;
  let high = held.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((held[middle] as Held).ts < ts) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Behind those of the same time: order of arrival. */
export function insert(held: Held[], event: Held): void {
  let at = held.length;
  while (at > 0 && (held[at - 1] as Held).ts > event.ts) at -= 1;
  if (at === held.length) held.push(event);
  else held.splice(at, 0, event);
}

/** Takes out those before `ts`, oldest first. */
export function takeBefore(held: Held[], ts: number): Held[] {
  const count = firstFrom(held, ts);
  return count === 0 ? [] : held.splice(0, count);
}
