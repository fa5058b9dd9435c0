/**
 * Alerts as operators: they take the results of a window, pattern or anomaly and say when one begins and when it ends.
 *
 * Role: the decision per key, in the shard that holds the key: `when` must hold for `consecutive` results in a row, then
 * the alert is raised; it is cleared when `clear` holds (hysteresis), or, where none is declared, when `when` does not.
 * Results: one when it is raised, one when it is cleared: `state`, `severity`, `message`, and the result's own values
 * under `values`. Grouping, silence and actions are the front-end thread's (`alert-book.ts`).
 * Invariant: early panes of a window decide like any other result; retractions, and outputs beside the main one (late
 * events, timeouts), decide nothing.
 */
import { compileScoped, type Environment, objectEnvironment, type ScopedExpression } from '../expressions/scoped.ts';
import { resultScope } from '../expressions/scopes.ts';
import { compileTemplate, type Template } from '../expressions/template.ts';
import type { Emitter, Keys, OperatorKind, OperatorStats, ResultRow, ShardOperator } from '../operator.ts';
import type { AlertPlan } from '../plan.ts';
import { evictIdlest } from '../state/evict-idle.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';

interface AlertState {
  raised: boolean;
  /** Results in a row for which `when` held. */
  held: number;
}

const codec: StateCodec<AlertState> = {
  encode: ({ held, raised }) => new Uint8Array([raised ? 1 : 0, Math.min(255, held)]),
  decode: (bytes) => ({ raised: bytes[0] === 1, held: bytes[1] ?? 0 }),
};

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

  result(row: ResultRow, columns: readonly string[], out: Emitter): void {
    if (row.retraction || row.output !== '') return;
    // A pattern or an anomaly is an event by itself: each one is told, and none is ever "over".
    const isEach = this.#when === null && this.#clear === null;
    const environment = environmentOf(row, columns, this.#keys);
    if (isEach && this.#plan.consecutive === 1) {
      this.#tell(row, columns, true, out, this.#message.render(environment));
      return;
    }
    const holds = this.#when === null || this.#when.test(environment);
    const state = this.#states.get(row.keyId) ?? { raised: false, held: 0 };
    const before = { ...state };
    state.held = holds ? Math.min(255, state.held + 1) : 0;
    if (!state.raised && state.held >= this.#plan.consecutive) state.raised = true;
    else if (state.raised && (this.#clear === null ? !holds : this.#clear.test(environment))) state.raised = false;
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
    return evictIdlest(this.#states, share);
  }

  stats(): OperatorStats {
    return { rows: this.#states.size, bytes: this.#states.byteLength, late: 0 };
  }
}

/** Names of two parts are members of the key, whatever values are named; `start` and `end` are values where these exist. */
function environmentOf(row: ResultRow, columns: readonly string[], keys: Keys): Environment {
  const names: Record<string, unknown> = { start: row.start, end: row.end };
  for (let i = 0; i < columns.length; i++) names[columns[i] as string] = row.values[i];
  const values = objectEnvironment(names);
  const key = objectEnvironment(row.keyId < 0 ? {} : JSON.parse(keys.json(row.keyId)));
  return { member: (path, slot) => (path.length > 1 ? key.member(path.slice(1), slot) : values.member(path, slot)) };
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
