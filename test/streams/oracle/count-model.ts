/**
 * Every pane of a count window or the global window, as lists of the values of each key.
 *
 * Role: a model of the rules. A count window ends with its n-th event, in order of arrival; the global window never does.
 * Both fire early when so many events have come since they fired last, and at a tick that begins a period of the trigger
 * if any has; the first tick only says which period it is. `discarding` forgets the values it has told, `retracting`
 * takes back what it said last, as it said it. Watermarks mean nothing to them.
 */
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { PaneEvent } from './pane-case.ts';

/** A row of a pane. */
export interface KeyedPane {
  readonly key: string;
  readonly start: number | null;
  readonly end: number | null;
  readonly pane: number;
  readonly timing: string;
  readonly final: boolean;
  readonly retraction: boolean;
  /** Events, sum, least, highest. */
  readonly values: readonly unknown[];
}

interface Open {
  count: number;
  first: number;
  last: number;
  values: number[];
  news: number;
  panes: number;
  said: KeyedPane | null;
}

export class CountModel {
  readonly rows: KeyedPane[] = [];
  readonly #window: WindowDefinition;
  readonly #open = new Map<string, Open>();
  #period = Number.NaN;

  constructor(window: WindowDefinition) {
    this.#window = window;
  }

  batch(events: readonly PaneEvent[]): void {
    const { count = Number.POSITIVE_INFINITY, trigger: { everyCount = Number.POSITIVE_INFINITY } = {} } = this.#window;
    for (const { at, k, v } of events) {
      const known = this.#open.get(k);
      const open = known ?? { count: 0, first: at, last: at, values: [], news: 0, panes: 0, said: null };
      this.#open.set(k, open);
      open.count += 1;
      open.news += 1;
      open.first = Math.min(open.first, at);
      open.last = Math.max(open.last, at);
      open.values.push(v ?? 0);
      if (open.count >= count) {
        this.#fire(k, open, 'on-time', true);
        this.#open.delete(k);
      } else if (open.news >= everyCount) this.#fire(k, open, 'early', false);
    }
  }

  tick(nowMs: number): void {
    const period = Math.floor(nowMs / (this.#window.trigger?.everyMs ?? Number.POSITIVE_INFINITY));
    const isNext = period > this.#period;
    this.#period = period;
    if (!isNext) return;
    for (const [key, open] of this.#open) if (open.news > 0) this.#fire(key, open, 'early', false);
  }

  #fire(key: string, open: Open, timing: string, final: boolean): void {
    const { accumulation, type } = this.#window;
    const { first, last, panes, said, values } = open;
    const bounds = type === 'global' ? { start: null, end: null } : { start: first, end: last };
    if (said !== null) this.rows.push({ ...said, timing, final: false, retraction: true });
    const sum = values.reduce((a, b) => a + b, 0);
    const told = [values.length, sum, Math.min(...values), Math.max(...values)];
    const pane: KeyedPane = { key, ...bounds, pane: panes, timing, final, retraction: false, values: told };
    this.rows.push(pane);
    if (accumulation === 'retracting') open.said = pane;
    if (accumulation === 'discarding') open.values = [];
    open.panes += 1;
    open.news = 0;
  }
}
