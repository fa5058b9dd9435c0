// HOT PATH
/**
 * Session windows: an event opens [ts, ts + gap); windows of one key that overlap become one.
 *
 * Two events exactly a gap apart are two sessions (ends are exclusive). A session fires when the watermark reaches its
 * end − 1, and is kept for the allowed lateness; an event is late when the session it would be part of, merged with what
 * it touches, is past that. A session that fired and then grows fires again: at once when it still is behind the
 * watermark, when its new end is reached otherwise. With `retracting`, what an earlier firing said is taken back first,
 * under the bounds it had and with the timing of what takes its place. In processing time a tick is the watermark up to the millisecond before it.
 * Role: which session an event belongs to, and what may end it; sessions are kept in `open-sessions.ts`, results are made
 * in `session-firing.ts`. Events are given to their rows in chunks (`RowAggregates.addRows`): what looks at aggregates has
 * to `#settle` those before.
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
import {
  OpenSessions,
  SESSION_BYTES,
  SESSION_END,
  SESSION_FIRED,
  SESSION_NEWS,
  SESSION_ROWS,
  SESSION_START,
} from './open-sessions.ts';
import { Ranking } from './ranking.ts';
import { ROW_FLAGS } from './row-store.ts';
import { SessionFiring } from './session-firing.ts';

const CHUNK = 512;

export function sessionWindowKind(reducers: ReadonlyMap<string, Reducer>): OperatorKind<WindowPlan> {
  return {
    create: (window, plan) =>
      createKeyedRows(
        SESSION_BYTES,
        SESSION_ROWS.head,
        compileAggregates(window.aggregates, plan.streams[window.stream]?.fields ?? [], reducers),
      ),
    attach: (window, memory, services) => new SessionWindow(window, memory, services, reducers),
  };
}

class SessionWindow implements ShardOperator {
  readonly columns: readonly string[];
  readonly #plan: WindowPlan;
  readonly #keys: Keys;
  readonly #rows: KeyedRows;
  readonly #open: OpenSessions;
  readonly #firing: SessionFiring;
  /** Events whose session is known and that it has not been given: index of its aggregates, row of the batch. */
  readonly #ats = new Uint32Array(CHUNK);
  readonly #events = new Uint32Array(CHUNK);
  #pending = 0;
  /** Sessions behind the watermark that have had events in this batch, and their keys. */
  readonly #overdue = new Map<number, number>();
  /** What ends at or before it (exclusive end − 1) is late in this batch. */
  #gone = Number.NEGATIVE_INFINITY;
  /** Sessions of one key that are looked at. */
  readonly #some: number[] = [];

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
    this.#rows = new KeyedRows(window, fields, memory, aggregates, SESSION_ROWS);
    this.#open = new OpenSessions(memory, keys, this.#rows);
    this.#firing = new SessionFiring(window, this.#rows, this.#open);
  }

  events(input: OperatorInput, out: Emitter): void {
    const rows = this.#rows;
    const { batch, count, provenance } = input;
    const { allowedLatenessMs, earlyCount, time } = this.#plan;
    const processing = time === 'processing';
    const watermark = processing ? rows.watermark : Math.max(rows.watermark, input.watermark);
    const isAhead = watermark > rows.watermark;
    // A clock that was set back, or another node's, makes nothing late.
    const arrivalMs = Math.max(provenance.arrivalMs, rows.watermark + 1);
    this.#gone = Math.max(rows.forgotten, watermark - allowedLatenessMs);
    rows.begin(input);
    for (let i = 0; i < count; i++) {
      const row = input.rows[i] as number;
      if (!rows.wanted(input, row)) continue;
      const key = input.keys[i] as number;
      const ts = processing ? arrivalMs : (batch.ts[row] as number);
      let session = this.#extended(key, ts, watermark);
      if (session === 0) session = this.#placed(input, row, key, ts, watermark, out);
      if (session === 0) continue;
      if (this.#pending === CHUNK) this.#settle(input);
      rows.note(session, row);
      this.#ats[this.#pending] = rows.at(session);
      this.#events[this.#pending] = row;
      this.#pending += 1;
      if (earlyCount > 0) this.#fireCounted(input, key, session, out);
    }
    this.#settle(input);
    if (isAhead || this.#overdue.size > 0) this.#fireOverdue(input, isAhead, watermark, out);
    rows.flush();
  }

  /** Gives events to their rows. */
  #settle({ batch }: OperatorInput): void {
    const { aggregates, store } = this.#rows;
    if (this.#pending > 0) aggregates.addRows(store, this.#ats, batch, this.#events, this.#pending);
    this.#pending = 0;
  }

  /** The newest session of the key with this event counted in; 0 where it takes more than that. */
  #extended(key: number, ts: number, watermark: number): number {
    const { newest } = this.#open;
    const { rows, step, stride, words } = this.#rows.store;
    const session = key < newest.length ? (newest[key] as number) : 0;
    const at = session * stride;
    const end = rows[at + SESSION_END] as number;
    if (session === 0 || ts < (rows[at + SESSION_START] as number) || ts >= end) return 0;
    const until = ts + this.#plan.gapMs;
    const word = session * step;
    if (until > end) {
      if (until - 1 <= this.#gone) return 0;
      if (((words[word + ROW_FLAGS] as number) & SESSION_FIRED) !== 0) return 0;
      rows[at + SESSION_END] = until;
      if (until - 1 <= watermark) this.#overdue.set(session, key);
    } else {
      if (end - 1 <= this.#gone) return 0;
      if (end - 1 <= watermark) this.#overdue.set(session, key);
    }
    words[word + SESSION_NEWS] = (words[word + SESSION_NEWS] as number) + 1;
    return session;
  }

  /** The session of any event: the one it opens, or those it touches made one; 0 when it is late. */
  #placed(input: OperatorInput, event: number, key: number, ts: number, watermark: number, out: Emitter): number {
    const { gapMs, sideOutput } = this.#plan;
    const open = this.#open;
    const touched = this.#some;
    touched.length = 0;
    let until = ts + gapMs;
    let newer = 0;
    let row = open.newestOf(key);
    for (; row !== 0 && open.startOf(row) >= ts + gapMs; row = open.older(row)) newer = row;
    for (; row !== 0 && open.endOf(row) > ts; row = open.older(row)) {
      until = Math.max(until, open.endOf(row));
      touched.push(row);
    }
    if (until - 1 <= this.#gone) {
      this.#rows.countLate();
      if (sideOutput) this.#firing.late(key, ts, input.batch, event, out);
      return 0;
    }
    const isOverdue = until - 1 <= watermark;
    let session = touched.pop() ?? 0;
    if (session === 0) {
      session = this.#rows.take();
      open.begin(session, ts, until);
      open.link(key, session, newer);
    } else this.#grow(input, key, session, newer, ts, until, isOverdue, out);
    if (isOverdue) this.#overdue.set(session, key);
    open.count(session);
    open.arm(key, this.#dueOf(session));
    return session;
  }

  /** Makes the sessions touched, which are newer, part of this one, and this one as long as that and the event ask for. */
  #grow(
    input: OperatorInput,
    key: number,
    kept: number,
    newer: number,
    ts: number,
    until: number,
    isOverdue: boolean,
    out: Emitter,
  ): void {
    const open = this.#open;
    const touched = this.#some;
    let fired = open.fired(kept);
    let end = open.endOf(kept);
    if (touched.length > 0) this.#settle(input);
    for (let other = touched.pop(); other !== undefined; other = touched.pop()) {
      // Two results become one: what the second said no longer holds, whenever the one is told.
      this.#firing.retract(key, other, isOverdue ? 'late' : 'early', out);
      fired = fired && open.fired(other);
      end = Math.max(end, open.endOf(other));
      open.unlink(key, other, touched.at(-1) ?? newer);
      open.join(kept, other);
      // Its row may be another session's in a moment.
      this.#overdue.delete(other);
      this.#rows.absorb(kept, other);
    }
    open.markFired(kept, fired && until === end);
    open.bound(kept, Math.min(open.startOf(kept), ts), until);
  }

  #fireCounted(input: OperatorInput, key: number, session: number, out: Emitter): void {
    if (this.#open.newsOf(session) < this.#plan.earlyCount || this.#open.fired(session)) return;
    this.#settle(input);
    this.#firing.fire(key, session, 'early', false, out);
  }

  /** The key's sessions, from the oldest on. Good until the next call. */
  #ofKey(key: number): readonly number[] {
    const some = this.#some;
    some.length = 0;
    for (let row = this.#open.newestOf(key); row !== 0; row = this.#open.older(row)) some.push(row);
    return some.length > 1 ? some.reverse() : some;
  }

  /**
   * Allowed late events have changed sessions that the watermark has passed: these fire again, key by key in order of
   * the events, from the oldest session on. `isAhead`: the watermark has passed some that have not been looked at yet.
   */
  #fireOverdue({ count, keys }: OperatorInput, isAhead: boolean, watermark: number, out: Emitter): void {
    const overdue = this.#overdue;
    const byKey = new Map<number, number[]>();
    if (this.#plan.allowedLatenessMs > 0) {
      for (let i = 0; isAhead && i < count; i++) {
        const key = keys[i] as number;
        if (!byKey.has(key)) byKey.set(key, this.#ofKey(key).slice());
      }
      if (!isAhead) for (const [session, key] of overdue) addTo(byKey, key, session);
    }
    overdue.clear();
    for (let i = 0; i < count && byKey.size > 0; i++) {
      const key = keys[i] as number;
      const sessions = byKey.get(key);
      if (sessions === undefined) continue;
      byKey.delete(key);
      this.#fireLate(key, sessions, watermark, out);
    }
  }

  #fireLate(key: number, sessions: number[], watermark: number, out: Emitter): void {
    const open = this.#open;
    sessions.sort((a, b) => open.startOf(a) - open.startOf(b));
    let told = false;
    for (const session of sessions) {
      // It may have grown since.
      if (open.newsOf(session) === 0 || open.endOf(session) - 1 > watermark) continue;
      this.#firing.fire(key, session, 'late', false, out);
      open.markFired(session, true);
      told = true;
    }
    if (told) this.#rearm(key);
  }

  /** When a session has to be looked at. */
  #dueOf(session: number): number {
    const last = this.#open.endOf(session) - 1;
    return this.#open.fired(session) ? last + this.#plan.allowedLatenessMs : last;
  }

  #rearm(key: number): void {
    let due = Number.POSITIVE_INFINITY;
    for (let row = this.#open.newestOf(key); row !== 0; row = this.#open.older(row)) {
      due = Math.min(due, this.#dueOf(row));
    }
    this.#open.rearm(key, due);
  }

  advance(watermark: number, out: Emitter): void {
    if (this.#plan.time === 'event') this.#advance(watermark, out);
  }

  tick(nowMs: number, out: Emitter): void {
    const { earlyMs, time } = this.#plan;
    if (time === 'processing') this.#advance(nowMs - 1, out);
    if (earlyMs === 0 || !this.#rows.periodBegins(nowMs, earlyMs)) return;
    const open = this.#open;
    for (const key of open.keys()) {
      for (const session of this.#ofKey(key)) {
        if (open.newsOf(session) > 0 && !open.fired(session)) this.#firing.fire(key, session, 'early', false, out);
      }
    }
    this.#rows.flush();
  }

  #advance(watermark: number, out: Emitter): void {
    const rows = this.#rows;
    rows.watermark = Math.max(rows.watermark, watermark);
    rows.forgotten = Math.max(rows.forgotten, rows.watermark - this.#plan.allowedLatenessMs);
    const due = this.#open.due(watermark);
    for (let i = 0; i < due.length; i++) this.#look(due[i] as number, watermark, out);
    rows.flush();
  }

  /** Fires and forgets what a key's sessions are due for. */
  #look(key: number, watermark: number, out: Emitter): void {
    const open = this.#open;
    const { allowedLatenessMs } = this.#plan;
    const sessions = this.#ofKey(key);
    let left = false;
    for (let i = 0; i < sessions.length; i++) {
      const session = sessions[i] as number;
      const last = open.endOf(session) - 1;
      const over = last + allowedLatenessMs <= watermark;
      if (last <= watermark && !open.fired(session)) {
        this.#firing.fire(key, session, 'on-time', over, out);
        open.markFired(session, true);
      }
      if (over) this.#forget(key, session, sessions[i + 1] ?? 0);
      else left = true;
    }
    if (left) this.#rearm(key);
  }

  #forget(key: number, session: number, newer: number): void {
    this.#open.unlink(key, session, newer);
    this.#open.forgetSaid(session);
    this.#rows.give(session);
  }

  query({ by, fromMs, key, limit, toMs }: StateQuery, out: Emitter): void {
    const open = this.#open;
    const ranking = by === '' ? null : new Ranking(limit, false, (keyId) => this.#keys.json(keyId));
    const column = this.columns.indexOf(by);
    let given = 0;
    for (const keyId of key === null ? open.keys() : [this.#keys.find(key)]) {
      if (keyId < 0) continue;
      for (const session of this.#ofKey(keyId)) {
        if (open.endOf(session) <= fromMs || open.startOf(session) >= toMs) continue;
        if (given >= limit) return;
        this.#show(keyId, session);
        if (ranking !== null) {
          ranking.add(this.#rows.result.values[column], session, keyId);
          continue;
        }
        out.emit(this.#rows.result);
        given += 1;
      }
    }
    ranking?.take((session, keyId) => {
      this.#show(keyId, session);
      out.emit(this.#rows.result);
    });
  }

  #show(keyId: number, session: number): void {
    this.#firing.show(keyId, session, this.#open.fired(session) ? 'on-time' : 'early', false);
  }

  evictIdle(share: number): number {
    const idle = this.#open.idlest(Math.ceil(this.#open.size * share));
    for (const key of idle) {
      const sessions = this.#ofKey(key);
      for (let i = 0; i < sessions.length; i++) this.#forget(key, sessions[i] as number, sessions[i + 1] ?? 0);
    }
    this.#rows.flush();
    return idle.length;
  }

  stats(): OperatorStats {
    const bytes = this.#open.byteLength + this.#rows.byteLength;
    return { rows: this.#rows.rows, bytes, late: this.#rows.late };
  }
}

function addTo(byKey: Map<number, number[]>, key: number, session: number): void {
  const sessions = byKey.get(key);
  if (sessions === undefined) byKey.set(key, [session]);
  else sessions.push(session);
}
