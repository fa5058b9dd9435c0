// HOT PATH
/**
 * Results of sessions: what one says now, what it takes back, and events that came too late.
 *
 * Role: told by `session-window.ts` which session fires and how. Counts the panes, and remembers what was said where it
 * may have to be taken back. The aggregates of a session must have been given all its events.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { Emitter, ResultRow } from '../operator.ts';
import type { WindowPlan } from '../plan.ts';
import type { KeyedRows } from './keyed-rows.ts';
import type { OpenSessions } from './open-sessions.ts';

export class SessionFiring {
  readonly #plan: WindowPlan;
  readonly #rows: KeyedRows;
  readonly #open: OpenSessions;

  constructor(plan: WindowPlan, rows: KeyedRows, open: OpenSessions) {
    this.#plan = plan;
    this.#rows = rows;
    this.#open = open;
  }

  fire(key: number, session: number, timing: ResultRow['timing'], final: boolean, out: Emitter): void {
    const { accumulation } = this.#plan;
    if (accumulation === 'discarding' && this.#open.newsOf(session) === 0) return;
    this.retract(key, session, timing, out);
    this.show(key, session, timing, final);
    out.emit(this.#rows.result);
    if (accumulation === 'retracting') this.#open.keepSaid(session, this.#rows.result);
    this.#open.told(session);
    if (accumulation === 'discarding') this.#rows.clear(session);
  }

  /** Takes back what a session's last firing said. `timing`: of what takes its place. */
  retract(key: number, session: number, timing: ResultRow['timing'], out: Emitter): void {
    if (this.#plan.accumulation !== 'retracting') return;
    const said = this.#open.takeSaid(session);
    if (said === null) return;
    const { result } = this.#rows;
    const { values } = result;
    result.keyId = key;
    result.start = said.start;
    result.end = said.end;
    result.pane = said.pane;
    result.timing = timing;
    result.final = false;
    result.retraction = true;
    result.output = '';
    result.evidence = null;
    result.failed = null;
    result.values = said.values;
    out.emit(result);
    result.values = values;
    result.retraction = false;
  }

  /** Makes the operator's result what a session says now. */
  show(key: number, session: number, timing: ResultRow['timing'], final: boolean): void {
    const { result } = this.#rows;
    const start = this.#open.startOf(session);
    const end = this.#open.endOf(session);
    result.keyId = key;
    result.start = start;
    result.end = end;
    result.pane = this.#open.panesOf(session);
    result.timing = timing;
    result.final = final;
    result.retraction = false;
    result.output = '';
    this.#rows.tell(session, end - start);
    result.evidence = this.#rows.evidenceOf(session);
  }

  /** An event that came too late, as a result of that output. */
  late(key: number, ts: number, batch: EventBatch, row: number, out: Emitter): void {
    const { result } = this.#rows;
    const { values } = result;
    result.keyId = key;
    result.start = ts;
    result.end = ts;
    result.pane = this.#rows.late;
    result.timing = 'late';
    result.final = true;
    result.output = 'late';
    result.failed = null;
    result.values = batch.fieldValues(row);
    result.evidence = this.#rows.evidenceOfEvent(row);
    out.emit(result);
    result.output = '';
    result.values = values;
  }
}
