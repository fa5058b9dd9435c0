/**
 * Count windows and the global window.
 *
 * A count window closes with its n-th event of a key, in order of arrival; watermarks mean nothing to it and nothing is
 * ever late. Its bounds are the times of its earliest and its latest event. The global window never closes: it tells
 * what it holds when its trigger says so, and not at all without one; its bounds are unbounded.
 * Role: one open row per key (`keyed-rows.ts`), which one is in `SharedKeyedStates`.
 * Buffers: 0–4 keyed states · from 5 rows.
 */
import { Packr } from 'msgpackr';
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
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';
import type { ShardMemory } from '../state/memory.ts';
import { createKeyedRows, KeyedRows, type KeyedRowsLayout } from './keyed-rows.ts';
import { Ranking } from './ranking.ts';

/** What the newest pane said, where it may have to be taken back. */
interface Said {
  readonly start: number;
  readonly end: number;
  readonly values: readonly unknown[];
}

interface Open {
  row: number;
  /** Events of the window, those a discarding firing has forgotten included. */
  count: number;
  firstTs: number;
  lastTs: number;
  /** Id of its first event: two windows of a key may have the same bounds, but no event in common. */
  origin: string;
  panes: number;
  news: number;
  said: Said | null;
}

const ROWS: KeyedRowsLayout = { base: 5, head: 0 };

const packr = new Packr({ useRecords: false });

const codec: StateCodec<Open> = {
  encode: ({ count, firstTs, lastTs, news, origin, panes, row, said }) =>
    packr.pack([row, count, firstTs, lastTs, panes, news, said, origin]),
  decode(bytes) {
    const [row, count, firstTs, lastTs, panes, news, said, origin] = packr.unpack(bytes) as [
      number,
      number,
      number,
      number,
      number,
      number,
      Said | null,
      string,
    ];
    return { row, count, firstTs, lastTs, origin, panes, news, said };
  },
};

export function countWindowKind(reducers: ReadonlyMap<string, Reducer>): OperatorKind<WindowPlan> {
  return {
    create: (window, plan) =>
      createKeyedRows(
        SharedKeyedStates.create()
          .image()
          .buffers.map(({ byteLength }) => byteLength),
        ROWS.head,
        compileAggregates(window.aggregates, plan.streams[window.stream]?.fields ?? [], reducers),
      ),
    attach: (window, memory, services) => new CountWindow(window, memory, services, reducers),
  };
}

class CountWindow implements ShardOperator {
  readonly columns: readonly string[];
  readonly #plan: WindowPlan;
  readonly #keys: Keys;
  readonly #rows: KeyedRows;
  readonly #states: SharedKeyedStates<Open>;

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
    this.#rows = new KeyedRows(window, fields, memory, aggregates, ROWS);
    this.#states = new SharedKeyedStates(memory, keys, codec);
  }

  events(input: OperatorInput, out: Emitter): void {
    const rows = this.#rows;
    const { batch, count, provenance } = input;
    rows.begin(input);
    for (let i = 0; i < count; i++) {
      const row = input.rows[i] as number;
      if (!rows.wanted(input, row)) continue;
      const ts = this.#plan.time === 'processing' ? provenance.arrivalMs : (batch.ts[row] as number);
      this.#take(input, row, input.keys[i] as number, ts, out);
    }
    rows.flush();
    this.#states.flush();
  }

  #take(input: OperatorInput, row: number, keyId: number, ts: number, out: Emitter): void {
    const states = this.#states;
    const { count, earlyCount, type } = this.#plan;
    const open = states.get(keyId) ?? {
      row: this.#rows.take(),
      count: 0,
      firstTs: ts,
      lastTs: ts,
      origin: `${input.provenance.seq}:${row}`,
      panes: 0,
      news: 0,
      said: null,
    };
    this.#rows.add(open.row, input, row);
    open.count += 1;
    open.news += 1;
    open.firstTs = Math.min(open.firstTs, ts);
    open.lastTs = Math.max(open.lastTs, ts);
    if (type === 'count' && open.count >= count) {
      this.#fire(keyId, open, 'on-time', true, out);
      this.#rows.give(open.row);
      states.delete(keyId);
      return;
    }
    if (earlyCount > 0 && open.news >= earlyCount) this.#fire(keyId, open, 'early', false, out);
    states.put(keyId, open, Number.POSITIVE_INFINITY);
  }

  tick(nowMs: number, out: Emitter): void {
    const { earlyMs } = this.#plan;
    if (earlyMs === 0 || !this.#rows.periodBegins(nowMs, earlyMs)) return;
    const states = this.#states;
    for (const keyId of [...states.keys()]) {
      const open = states.get(keyId) as Open;
      if (open.news === 0) continue;
      this.#fire(keyId, open, 'early', false, out);
      states.put(keyId, open, Number.POSITIVE_INFINITY);
    }
    this.#rows.flush();
    states.flush();
  }

  #fire(keyId: number, open: Open, timing: 'early' | 'on-time', final: boolean, out: Emitter): void {
    const { accumulation } = this.#plan;
    const { result } = this.#rows;
    if (open.said !== null) {
      const { end, start, values: said } = open.said;
      this.#show(keyId, open, timing, false);
      // Under the bounds it had: with them it has its name.
      result.start = start;
      result.end = end;
      result.pane = open.panes - 1;
      result.retraction = true;
      result.failed = null;
      const { values } = result;
      result.values = [...said];
      out.emit(result);
      result.values = values;
      open.said = null;
    }
    this.#show(keyId, open, timing, final);
    out.emit(result);
    open.panes += 1;
    open.news = 0;
    const { end, start, values } = result;
    if (accumulation === 'retracting') open.said = { start, end, values: [...values] };
    if (accumulation === 'discarding' && !final) this.#rows.clear(open.row);
  }

  #show(keyId: number, open: Open, timing: 'early' | 'on-time', final: boolean): void {
    const { result } = this.#rows;
    const global = this.#plan.type === 'global';
    result.keyId = keyId;
    result.start = global ? Number.NEGATIVE_INFINITY : open.firstTs;
    result.end = global ? Number.POSITIVE_INFINITY : open.lastTs;
    result.origin = open.origin;
    result.pane = open.panes;
    result.timing = timing;
    result.final = final;
    result.retraction = false;
    result.output = '';
    this.#rows.tell(open.row, result.end - result.start);
    result.evidence = this.#rows.evidenceOf(open.row);
  }

  query({ by, fromMs, key, limit, toMs }: StateQuery, out: Emitter): void {
    const ranking = by === '' ? null : new Ranking(limit, false, (keyId) => this.#keys.json(keyId));
    const column = this.columns.indexOf(by);
    let given = 0;
    for (const keyId of key === null ? this.#states.keys() : [this.#keys.find(key)]) {
      if (given >= limit) return;
      const open = keyId < 0 ? undefined : this.#states.get(keyId);
      if (open === undefined) continue;
      if (this.#plan.type !== 'global' && (open.lastTs < fromMs || open.firstTs >= toMs)) continue;
      this.#show(keyId, open, 'early', false);
      if (ranking !== null) {
        ranking.add(this.#rows.result.values[column], 0, keyId);
        continue;
      }
      out.emit(this.#rows.result);
      given += 1;
    }
    ranking?.take((_handle, keyId) => {
      this.#show(keyId, this.#states.get(keyId) as Open, 'early', false);
      out.emit(this.#rows.result);
    });
  }

  evictIdle(share: number): number {
    const states = this.#states;
    const idle = states.idlest(Math.ceil(states.size * share));
    for (const keyId of idle) {
      this.#rows.give((states.get(keyId) as Open).row);
      states.delete(keyId);
    }
    this.#rows.flush();
    states.flush();
    return idle.length;
  }

  stats(): OperatorStats {
    return { rows: this.#rows.rows, bytes: this.#states.byteLength + this.#rows.byteLength, late: this.#rows.late };
  }
}
