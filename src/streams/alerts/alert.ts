/**
 * Alerts as operators: they take the results of a window, pattern or anomaly and say when one begins and when it ends.
 *
 * Role: the decision per key, in the shard that holds the key: `when` must hold for `consecutive` results in a row, then
 * the alert is raised; it is cleared when `clear` holds (hysteresis), or, where none is declared, when `when` does not.
 * Results: one when it is raised, one when it is cleared: `state`, `severity`, `message`, and the result's own values
 * under `values`. Grouping, silence and actions are the front-end thread's (`alert-book.ts`).
 * Where there is no room for all keys, those with a raised alert go last; then the alert is cleared, with that for a reason.
 * Invariant: early panes of a window decide like any other result; retractions, and outputs beside the main one (late
 * events, timeouts), decide nothing.
 */
import { compileScoped, type Environment, objectEnvironment, type ScopedExpression } from '../expressions/scoped.ts';
import { resultScope } from '../expressions/scopes.ts';
import { compileTemplate, type Template } from '../expressions/template.ts';
import {
  type Emitter,
  type Keys,
  newResultRow,
  type OperatorKind,
  type OperatorStats,
  type ResultRow,
  type ShardOperator,
} from '../operator.ts';
import type { AlertPlan } from '../plan.ts';
import { forget, idlestOf } from '../state/evict-idle.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';

interface AlertState {
  raised: boolean;
  /** Results in a row for which `when` held. */
  held: number;
  /** Of the result that it was raised by. */
  start: number;
  end: number;
  pane: number;
}

const RAISED_BYTES = 22;

/** Raised or not, results in a row; where it is raised bounds and pane, which earlier versions do without. */
const codec: StateCodec<AlertState> = {
  encode({ end, held, pane, raised, start }) {
    const bytes = Buffer.alloc(raised ? RAISED_BYTES : 2);
    bytes[0] = raised ? 1 : 0;
    bytes[1] = Math.min(255, held);
    if (!raised) return bytes;
    bytes.writeDoubleLE(start, 2);
    bytes.writeDoubleLE(end, 10);
    bytes.writeUInt32LE(pane, 18);
    return bytes;
  },
  decode(encoded) {
    const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
    const state = { ...NEW, raised: bytes[0] === 1, held: bytes[1] ?? 0 };
    if (bytes.length < RAISED_BYTES) return state;
    return { ...state, start: bytes.readDoubleLE(2), end: bytes.readDoubleLE(10), pane: bytes.readUInt32LE(18) };
  },
};

const WHY_EVICTED = 'its key was let go, since the stream has no room for more: whether it goes on is not known';

const NEW: AlertState = { raised: false, held: 0, start: Infinity, end: Infinity, pane: 0 };
/** In the id of the result that ends it, so that this is not that of its beginning. */
const EVICTED = 'evicted';

const COLUMNS = ['state', 'severity', 'message', 'values'] as const;

export const alertKind: OperatorKind<AlertPlan> = {
  create: () => SharedKeyedStates.create(),
  attach: (plan, memory, { keys }) => new Alert(plan, new SharedKeyedStates(memory, keys, codec), keys),
};

class Alert implements ShardOperator {
  readonly columns = COLUMNS;
  readonly #plan: AlertPlan;
  readonly #states: SharedKeyedStates<AlertState>;
  readonly #keys: Keys;
  readonly #when: ScopedExpression | null;
  readonly #clear: ScopedExpression | null;
  readonly #message: Template;

  constructor(plan: AlertPlan, states: SharedKeyedStates<AlertState>, keys: Keys) {
    const scope = anyScope();
    this.#plan = plan;
    this.#states = states;
    this.#keys = keys;
    this.#when = plan.when === '' ? null : compileScoped(plan.when, scope, 'boolean');
    this.#clear = plan.clear === '' ? null : compileScoped(plan.clear, scope, 'boolean');
    this.#message = compileTemplate(plan.message === '' ? plan.name : plan.message, scope);
  }

  /** A pattern or an anomaly is an event by itself: each one is told, and none is ever "over". */
  get #isEach(): boolean {
    return this.#when === null && this.#clear === null;
  }

  result(row: ResultRow, columns: readonly string[], out: Emitter): void {
    if (row.retraction || row.output !== '') return;
    const isEach = this.#isEach;
    const environment = environmentOf(row, columns, this.#keys);
    if (isEach && this.#plan.consecutive === 1) {
      this.#tell(row, columns, true, out, this.#message.render(environment));
      return;
    }
    const state = this.#states.get(row.keyId) ?? { ...NEW };
    const before = { ...state };
    const holds = this.#when === null || this.#when.test(environment);
    const ends = before.raised && (this.#clear === null ? !holds : this.#clear.test(environment));
    // Whether it goes on cannot be seen in a value that could not be had.
    if (environment.hasMissed) return;
    state.held = holds ? Math.min(255, state.held + 1) : 0;
    if (!state.raised && state.held >= this.#plan.consecutive) {
      state.raised = true;
      state.start = row.start;
      state.end = row.end;
      state.pane = row.pane;
    } else if (ends) state.raised = false;
    if (state.raised || state.held > 0) this.#states.put(row.keyId, state, Number.POSITIVE_INFINITY);
    else if (before.raised || before.held > 0) this.#states.delete(row.keyId);
    this.#states.flush();
    if (state.raised !== before.raised || (isEach && state.raised)) {
      this.#tell(row, columns, state.raised, out, this.#message.render(environment));
    }
  }

  #tell(row: ResultRow, columns: readonly string[], raised: boolean, out: Emitter, message: string): void {
    const values: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) values[columns[i] as string] = row.values[i];
    out.emit({
      ...row,
      final: true,
      values: [raised ? 'raised' : 'cleared', this.#plan.severity, message, values],
    });
  }

  evictIdle(share: number): number {
    return forget(
      this.#states,
      idlestOf(this.#states, share, (keyId) => !this.#isOpen(keyId)),
    );
  }

  evictLast(share: number, out: Emitter): number {
    const { name, severity } = this.#plan;
    const open = idlestOf(this.#states, share, (keyId) => this.#isOpen(keyId));
    for (const keyId of open) {
      const { end, pane, start } = this.#states.get(keyId) as AlertState;
      const row = newResultRow(['cleared', severity, `${name}: ${WHY_EVICTED}`, {}]);
      out.emit({ ...row, keyId, start, end, pane, origin: EVICTED });
    }
    return forget(this.#states, open);
  }

  /** Its beginning was told, and its end is waited for. */
  #isOpen(keyId: number): boolean {
    return !this.#isEach && this.#states.get(keyId)?.raised === true;
  }

  stats(): OperatorStats {
    return { rows: this.#states.size, bytes: this.#states.byteLength, late: 0 };
  }
}

/** `hasMissed`: a value was looked at that the result is without, as code of a reducer threw. */
interface ResultEnvironment extends Environment {
  readonly hasMissed: boolean;
}

/** Names of two parts are members of the key, whatever values are named; `start` and `end` are values where these exist. */
function environmentOf(row: ResultRow, columns: readonly string[], keys: Keys): ResultEnvironment {
  const names: Record<string, unknown> = { start: row.start, end: row.end };
  for (let i = 0; i < columns.length; i++) names[columns[i] as string] = row.values[i];
  const values = objectEnvironment(names);
  const key = objectEnvironment(row.keyId < 0 ? {} : JSON.parse(keys.json(row.keyId)));
  const environment = {
    hasMissed: false,
    member(path: readonly string[], slot: number): ReturnType<Environment['member']> {
      if (path.length > 1) return key.member(path.slice(1), slot);
      if (row.failed !== null && Object.hasOwn(row.failed, path[0] ?? '')) environment.hasMissed = true;
      return values.member(path, slot);
    },
  };
  return environment;
}

/** Names and types were checked against the source's columns when the plan was compiled: a value may be named as a bound is. */
function anyScope(): ReturnType<typeof resultScope> {
  const scope = resultScope(null, new Map());
  return {
    ...scope,
    resolve: ([name, member, ...rest]) =>
      member === undefined || (name === 'key' && rest.length === 0) ? 'any' : undefined,
  };
}
