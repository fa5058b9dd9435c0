/**
 * Session windows: an event opens [ts, ts + gap); windows of one key that overlap become one.
 *
 * Two events exactly a gap apart are two sessions (ends are exclusive). A session fires when the watermark reaches its
 * end − 1, and is kept for the allowed lateness; an event is late when the session it would be part of, merged with what
 * it touches, is past that. A session that fired and then grows fires again: at once when it still is behind the
 * watermark, when its new end is reached otherwise. With `retracting`, what an earlier firing said is taken back first,
 * under the bounds it had.
 * Role: state per key is the list of its open sessions, by start; aggregates are rows (`keyed-rows.ts`).
 * Source of the rules: Flink's session windows (merging window assigner).
 */
import { compileAggregates } from '../aggregates/compile.ts';
import type { Reducer } from '../aggregates/reducer.ts';
import type {
  Emitter,
  Keys,
  OperatorInput,
  OperatorKind,
  OperatorStats,
  ShardOperator,
  ShardServices,
  StateQuery,
} from '../operator.ts';
import type { WindowPlan } from '../plan.ts';
import type { ShardMemory } from '../state/memory.ts';
import { createKeyedRows, KeyedRows } from './keyed-rows.ts';
import { type Session, sessionCodec } from './session-codec.ts';

export function sessionWindowKind(reducers: ReadonlyMap<string, Reducer>): OperatorKind<WindowPlan> {
  return {
    create: (window, plan) =>
      createKeyedRows(compileAggregates(window.aggregates, plan.streams[window.stream]?.fields ?? [], reducers)),
    attach: (window, memory, services) => new SessionWindow(window, memory, services, reducers),
  };
}

class SessionWindow implements ShardOperator {
  readonly columns: readonly string[];
  readonly #plan: WindowPlan;
  readonly #keys: Keys;
  readonly #rows: KeyedRows<Session[]>;

  constructor(
    window: WindowPlan,
    memory: ShardMemory,
    { keys, plan }: ShardServices,
    reducers: ReadonlyMap<string, Reducer>,
  ) {
    const fields = plan.streams[window.stream]?.fields ?? [];
    const aggregates = compileAggregates(window.aggregates, fields, reducers);
    this.#plan = window;
    this.#keys = keys;
    this.columns = aggregates.columns;
    this.#rows = new KeyedRows(window, fields, memory, keys, aggregates, sessionCodec);
  }

  events(input: OperatorInput, out: Emitter): void {
    const rows = this.#rows;
    const { batch, count, provenance } = input;
    const processing = this.#plan.time === 'processing';
    const watermark = processing ? rows.watermark : Math.max(rows.watermark, input.watermark);
    rows.begin(input);
    for (let i = 0; i < count; i++) {
      const row = input.rows[i] as number;
      if (!rows.wanted(input, row)) continue;
      const ts = processing ? provenance.arrivalMs : (batch.ts[row] as number);
      this.#take(input, row, input.keys[i] as number, ts, watermark, out);
    }
    this.#fireOverdue(input, watermark, out);
    rows.flush();
  }

  #take(input: OperatorInput, row: number, keyId: number, ts: number, watermark: number, out: Emitter): void {
    const { allowedLatenessMs, earlyCount, gapMs, sideOutput } = this.#plan;
    const sessions = this.#rows.states.get(keyId) ?? [];
    const first = firstTouching(sessions, ts);
    let end = first;
    let until = ts + gapMs;
    while (end < sessions.length && (sessions[end] as Session).start < ts + gapMs) {
      until = Math.max(until, (sessions[end] as Session).end);
      end += 1;
    }
    if (until - 1 + allowedLatenessMs <= watermark) {
      this.#rows.countLate();
      if (sideOutput) this.#emitLate(keyId, ts, out);
      return;
    }
    const session = this.#merged(sessions, first, end, ts, keyId, out);
    this.#rows.add(session.row, input, row);
    session.news += 1;
    if (earlyCount > 0 && session.news >= earlyCount && !session.fired) this.#fire(keyId, session, 'early', false, out);
    const { states } = this.#rows;
    // A timer that is too early costs a look when it is due; moving it with every event costs more.
    states.put(keyId, sessions, Math.min(states.timer(keyId), this.#timer(sessions)));
  }

  /** The session of an event: a new one, or those from `first` to `end` made one. */
  #merged(sessions: Session[], first: number, end: number, ts: number, keyId: number, out: Emitter): Session {
    const { gapMs } = this.#plan;
    const kept = sessions[first];
    if (kept === undefined || first === end) {
      const session = {
        start: ts,
        end: ts + gapMs,
        row: this.#rows.take(),
        panes: 0,
        news: 0,
        fired: false,
        said: null,
      };
      sessions.splice(first, 0, session);
      return session;
    }
    for (let i = first + 1; i < end; i++) {
      const other = sessions[i] as Session;
      // Two results become one: what the second said no longer holds.
      this.#retract(keyId, other, out);
      this.#rows.absorb(kept.row, other.row);
      kept.end = Math.max(kept.end, other.end);
      kept.panes = Math.max(kept.panes, other.panes);
      kept.news += other.news;
    }
    sessions.splice(first + 1, end - first - 1);
    kept.start = Math.min(kept.start, ts);
    const grown = Math.max(kept.end, ts + gapMs);
    if (grown > kept.end) kept.fired = false;
    kept.end = grown;
    return kept;
  }

  #retract(keyId: number, session: Session, out: Emitter): void {
    const { said } = session;
    if (said === null || this.#plan.accumulation !== 'retracting') return;
    const result = this.#rows.result;
    result.keyId = keyId;
    result.start = said.start;
    result.end = said.end;
    result.pane = said.pane;
    result.timing = 'late';
    result.final = false;
    result.retraction = true;
    result.output = '';
    result.evidence = null;
    const { values } = result;
    result.values = [...said.values];
    out.emit(result);
    result.values = values;
    result.retraction = false;
    session.said = null;
  }

  /** Late events that were allowed in changed sessions the watermark has passed. */
  #fireOverdue({ count, keys }: OperatorInput, watermark: number, out: Emitter): void {
    if (this.#plan.allowedLatenessMs === 0) return;
    for (let i = 0; i < count; i++) {
      const keyId = keys[i] as number;
      const sessions = this.#rows.states.get(keyId);
      if (sessions === undefined) continue;
      for (const session of sessions) {
        if (session.news === 0 || session.end - 1 > watermark) continue;
        this.#fire(keyId, session, 'late', false, out);
        session.fired = true;
        this.#rows.states.put(keyId, sessions, this.#timer(sessions));
      }
    }
  }

  #timer(sessions: readonly Session[]): number {
    let due = Number.POSITIVE_INFINITY;
    for (const { end, fired } of sessions) {
      due = Math.min(due, fired ? end - 1 + this.#plan.allowedLatenessMs : end - 1);
    }
    return due;
  }

  advance(watermark: number, out: Emitter): void {
    if (this.#plan.time === 'event') this.#advance(watermark, out);
  }

  tick(nowMs: number, out: Emitter): void {
    const { earlyMs, time } = this.#plan;
    if (time === 'processing') this.#advance(nowMs, out);
    if (earlyMs === 0 || !this.#rows.periodBegins(nowMs, earlyMs)) return;
    const { states } = this.#rows;
    for (const keyId of [...states.keys()]) {
      const sessions = states.get(keyId) as Session[];
      const changed = sessions.filter(({ fired, news }) => news > 0 && !fired);
      for (const session of changed) this.#fire(keyId, session, 'early', false, out);
      if (changed.length > 0) states.put(keyId, sessions, this.#timer(sessions));
    }
    this.#rows.flush();
  }

  #advance(watermark: number, out: Emitter): void {
    const rows = this.#rows;
    const { allowedLatenessMs } = this.#plan;
    rows.watermark = Math.max(rows.watermark, watermark);
    for (const keyId of rows.states.due(watermark)) {
      const sessions = rows.states.get(keyId);
      if (sessions === undefined) continue;
      const open: Session[] = [];
      for (const session of sessions) {
        const over = session.end - 1 + allowedLatenessMs <= watermark;
        if (!session.fired && session.end - 1 <= watermark) {
          this.#fire(keyId, session, 'on-time', over, out);
          session.fired = true;
        }
        if (over) rows.give(session.row);
        else open.push(session);
      }
      if (open.length === 0) rows.states.delete(keyId);
      else rows.states.put(keyId, open, this.#timer(open));
    }
    rows.flush();
  }

  #fire(keyId: number, session: Session, timing: 'early' | 'on-time' | 'late', final: boolean, out: Emitter): void {
    const { accumulation } = this.#plan;
    if (accumulation === 'discarding' && session.news === 0) return;
    this.#retract(keyId, session, out);
    this.#show(keyId, session, timing, final);
    const { result } = this.#rows;
    out.emit(result);
    if (accumulation === 'retracting') {
      const { end, start, pane } = result;
      session.said = { start, end, pane, values: [...result.values] };
    }
    session.panes += 1;
    session.news = 0;
    if (accumulation === 'discarding') this.#rows.clear(session.row);
  }

  #show(keyId: number, session: Session, timing: 'early' | 'on-time' | 'late', final: boolean): void {
    const { result } = this.#rows;
    result.keyId = keyId;
    result.start = session.start;
    result.end = session.end;
    result.pane = session.panes;
    result.timing = timing;
    result.final = final;
    result.retraction = false;
    result.output = '';
    this.#rows.valuesOf(session.row, session.end - session.start, result.values);
    result.evidence = this.#rows.evidenceOf(session.row);
  }

  #emitLate(keyId: number, ts: number, out: Emitter): void {
    const { result } = this.#rows;
    result.keyId = keyId;
    result.start = ts;
    result.end = ts;
    result.pane = this.#rows.late;
    result.timing = 'late';
    result.final = true;
    result.output = 'late';
    result.values.fill(null);
    result.evidence = null;
    out.emit(result);
    result.output = '';
  }

  query({ fromMs, key, limit, toMs }: StateQuery, out: Emitter): void {
    let given = 0;
    for (const keyId of key === null ? this.#rows.states.keys() : [this.#keys.find(key)]) {
      for (const session of (keyId < 0 ? undefined : this.#rows.states.get(keyId)) ?? []) {
        if (session.end <= fromMs || session.start >= toMs || given >= limit) continue;
        this.#show(keyId, session, session.fired ? 'on-time' : 'early', false);
        out.emit(this.#rows.result);
        given += 1;
      }
    }
  }

  evictIdle(share: number): number {
    const { states } = this.#rows;
    const idle = states.idlest(Math.ceil(states.size * share));
    for (const keyId of idle) {
      for (const { row } of states.get(keyId) as Session[]) this.#rows.give(row);
      states.delete(keyId);
    }
    this.#rows.flush();
    return idle.length;
  }

  stats(): OperatorStats {
    return { rows: this.#rows.rows, bytes: this.#rows.byteLength, late: this.#rows.late };
  }
}

/** First session that ends after `ts`. */
function firstTouching(sessions: readonly Session[], ts: number): number {
  let at = sessions.length;
  while (at > 0 && (sessions[at - 1] as Session).end > ts) at -= 1;
  return at;
}
