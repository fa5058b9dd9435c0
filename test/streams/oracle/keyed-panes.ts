/**
 * Windows that each key has for itself, what is drawn of them, and how their panes are compared: key by key, since keys
 * have no order among each other.
 */
import fc from 'fast-check';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import type { WindowPlan } from '../../../src/streams/plan.ts';
import { SessionModel } from '../windows/session-model.ts';
import type { Result } from '../windows/window-run.ts';
import { CountModel, type KeyedPane } from './count-model.ts';
import { EVERY_MS, type PaneCase, type PaneEvent, play, streamOf } from './pane-case.ts';

const accumulations = fc.constantFrom('accumulating' as const, 'discarding' as const, 'retracting' as const);
const triggers = fc.constantFrom({ everyMs: EVERY_MS }, { everyCount: 2 }, { everyMs: EVERY_MS, everyCount: 3 });

const AGGREGATES: WindowDefinition['aggregates'] = {
  n: 'count',
  sum: { fn: 'sum', of: 'v' },
  low: { fn: 'min', of: 'v' },
  high: { fn: 'max', of: 'v' },
};

const windowsOf = (
  members: fc.Arbitrary<Pick<WindowDefinition, 'type' | 'gapMs' | 'count' | 'allowedLatenessMs'>>,
): fc.Arbitrary<WindowDefinition> =>
  fc.record({ members, accumulation: accumulations, trigger: triggers }).map(({ members: own, ...rest }) => ({
    ...{ name: 'w', key: ['k'], aggregates: AGGREGATES },
    ...own,
    ...rest,
  }));

export const WINDOWS = {
  session: windowsOf(
    fc.record({
      type: fc.constant('session' as const),
      gapMs: fc.constantFrom(30, 100),
      allowedLatenessMs: fc.constantFrom(0, 100, 1000),
    }),
  ),
  count: windowsOf(fc.record({ type: fc.constant('count' as const), count: fc.integer({ min: 1, max: 7 }) })),
  global: windowsOf(fc.constant({ type: 'global' as const })),
};

/** Sessions, which have a model of their own, driven by the watermark of one source. */
class SessionPanes {
  readonly rows: KeyedPane[] = [];
  readonly #model: SessionModel;
  readonly #outOfOrderMs: number;
  #watermark = Number.NEGATIVE_INFINITY;

  constructor({ outOfOrderMs, window }: PaneCase) {
    const plan = compilePlan([streamOf({ outOfOrderMs, window })], { epoch: 1, shards: 1 });
    this.#model = new SessionModel(plan.operators[0] as WindowPlan, false);
    this.#outOfOrderMs = outOfOrderMs;
  }

  batch(events: readonly PaneEvent[]): void {
    const given = events.map(({ at, k, v }) => ({ ts: at, key: k, value: v ?? 0 }));
    this.#say(this.#model.events(given, () => true, 0));
    const watermark = Math.max(...events.map(({ at }) => at)) - this.#outOfOrderMs - 1;
    if (watermark <= this.#watermark) return;
    this.#watermark = watermark;
    this.#say(this.#model.advance(watermark));
  }

  tick(nowMs: number): void {
    this.#say(this.#model.tick(nowMs));
  }

  #say(results: readonly Result[]): void {
    for (const { output: _output, ...row } of results) this.rows.push(row);
  }
}

export function modelled(given: PaneCase): readonly KeyedPane[] {
  const model = given.window.type === 'session' ? new SessionPanes(given) : new CountModel(given.window);
  play(given, model);
  return byKey(model.rows);
}

export function panesOf(lines: readonly ResultLine[]): readonly KeyedPane[] {
  const panes = lines.map(({ end, final, key, pane, retraction = false, start, timing, values }) => ({
    ...{ key: key['k'] as string, start, end, pane, timing, final, retraction },
    values: ['n', 'sum', 'low', 'high'].map((name) => values[name]),
  }));
  return byKey(panes);
}

/** Those of a key in order; members in one order, to be compared as texts. */
function byKey(rows: readonly KeyedPane[]): KeyedPane[] {
  return rows
    .map(({ end, final, key, pane, retraction, start, timing, values }) => ({
      ...{ key, start, end, pane, timing, final, retraction, values },
    }))
    .sort((a, b) => (a.key === b.key ? 0 : a.key < b.key ? -1 : 1));
}
