/**
 * Anomalies as operators: values of events, or of a window's results, go through a detector per key.
 *
 * Role: gives each key its detector and time order. Of events, values come as they arrive; of a window, on-time results
 * in order of their windows. `missing` watches the watermark, and the clock while the whole stream is silent: a key that
 * was seen and is silent for `afterMs` of event time is told once, until it is seen again, be it in the same batch
 * (`silences.ts`).
 * Results: `value`, `expected`, `score`, `kind`; start and end of the event (the same) or of the window.
 */
import { Packr } from 'msgpackr';
import { eventId, evidenceOfEvent } from '../event-context.ts';
import { compileRow, type RowExpression } from '../expressions/row.ts';
import {
  type Emitter,
  newResultRow,
  type OperatorInput,
  type OperatorKind,
  type OperatorStats,
  type ResultRow,
  type ShardOperator,
} from '../operator.ts';
import type { AnomalyPlan, Plan } from '../plan.ts';
import { evictIdlest } from '../state/evict-idle.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import type { StateCodec } from '../state/keyed-states-port.ts';
import { createDetector, type DetectorState, detect, type Verdict } from './detectors.ts';
import { goOn, see } from './silences.ts';

const packr = new Packr({ useRecords: false });

/** An earlier version kept no more than the last time. */
const BEFORE_ALL = Number.NEGATIVE_INFINITY;

const codec: StateCodec<DetectorState> = {
  encode({ ahead, count, lastTs, lastValue, mean, sinceTs, spread }) {
    const runs = Number.isNaN(sinceTs) ? [] : [sinceTs, ahead];
    return packr.pack([count, mean, spread, lastTs, lastValue, ...runs]);
  },
  decode(bytes) {
    const [count, mean, spread, lastTs, lastValue, sinceTs = BEFORE_ALL, ahead = []] = packr.unpack(bytes) as [
      number[],
      number[],
      number[],
      number,
      number,
      number?,
      number[]?,
    ];
    return { count, mean, spread, lastTs, lastValue, sinceTs, ahead };
  },
};

const COLUMNS = ['value', 'expected', 'score', 'kind'] as const;

export const anomalyKind: OperatorKind<AnomalyPlan> = {
  create: () => SharedKeyedStates.create(),
  attach: (anomaly, memory, { keys, plan }) => new Anomaly(anomaly, plan, new SharedKeyedStates(memory, keys, codec)),
};

class Anomaly implements ShardOperator {
  readonly columns = COLUMNS;
  readonly #plan: AnomalyPlan;
  readonly #states: SharedKeyedStates<DetectorState>;
  /** Null: values come from results. */
  readonly #value: RowExpression | null;
  readonly #row: ResultRow = newResultRow([0, 0, 0, '']);

  constructor(anomaly: AnomalyPlan, plan: Plan, states: SharedKeyedStates<DetectorState>) {
    this.#plan = anomaly;
    this.#states = states;
    const fields = plan.streams[anomaly.stream]?.fields ?? [];
    this.#value = anomaly.source < 0 && anomaly.value !== '' ? compileRow(anomaly.value, fields) : null;
  }

  events({ batch, count, keys, provenance, rows, watermark }: OperatorInput, out: Emitter): void {
    if (this.#plan.source >= 0) return;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const value = this.#value === null ? 0 : this.#value.number(batch, row);
      if (Number.isNaN(value)) continue;
      const ts = batch.ts[row] as number;
      const verdict = this.#judge(keys[i] as number, value, ts, watermark);
      if (verdict === null) continue;
      this.#row.origin = eventId(provenance, row);
      const evidence = evidenceOfEvent(batch, row, provenance);
      this.#tell(keys[i] as number, value, verdict, this.#plan.type, ts, ts, evidence, out);
    }
    this.#states.flush();
  }

  result(row: ResultRow, columns: readonly string[], out: Emitter): void {
    if (row.retraction || row.output !== '' || row.timing !== 'on-time') return;
    const value = numberOf(row.values[columns.indexOf(this.#plan.value)], this.#plan.type);
    if (Number.isNaN(value)) return;
    const verdict = this.#judge(row.keyId, value, row.start, Number.NEGATIVE_INFINITY);
    if (verdict !== null) {
      this.#row.origin = row.origin;
      this.#tell(row.keyId, value, verdict, this.#plan.type, row.start, row.end, row.evidence, out);
    }
    this.#states.flush();
  }

  /** Null when the value is none to tell of. Timers are the times of what was seen: `afterMs` may change. */
  #judge(keyId: number, value: number, ts: number, watermark: number): Verdict | null {
    const known = this.#states.get(keyId);
    const state = known ?? createDetector(this.#plan);
    if (this.#plan.type === 'missing') {
      const isTold = known !== undefined && this.#states.timer(keyId) === Number.POSITIVE_INFINITY;
      const { lastTs } = state;
      see(state, this.#plan.afterMs, ts, value, watermark, isTold);
      // What comes late has been overtaken: the key is not seen again by it.
      this.#states.put(keyId, state, isTold && state.lastTs === lastTs ? Number.POSITIVE_INFINITY : state.lastTs);
      return null;
    }
    const verdict = detect(this.#plan, state, value, ts);
    this.#states.put(keyId, state, Number.POSITIVE_INFINITY);
    return verdict?.anomalous === true ? verdict : null;
  }

  advance(watermark: number, out: Emitter): void {
    if (this.#plan.type === 'missing') this.#tellMissing(watermark, out);
  }

  silent(timeMs: number, out: Emitter): void {
    if (this.#plan.type === 'missing') this.#tellMissing(timeMs, out);
  }

  #tellMissing(untilMs: number, out: Emitter): void {
    const { afterMs } = this.#plan;
    for (const keyId of this.#states.due(untilMs - afterMs)) {
      const state = this.#states.get(keyId);
      if (state === undefined) continue;
      this.#row.origin = '';
      let isSeen = true;
      while (isSeen && state.lastTs <= untilMs - afterMs) {
        const { lastTs, lastValue } = state;
        const verdict = { anomalous: true, expected: lastTs, score: 1 };
        this.#tell(keyId, lastValue, verdict, 'missing', lastTs, lastTs + afterMs, null, out);
        isSeen = goOn(state);
      }
      this.#states.put(keyId, state, isSeen ? state.lastTs : Number.POSITIVE_INFINITY);
    }
    this.#states.flush();
  }

  #tell(
    keyId: number,
    value: number,
    { expected, score }: Verdict,
    kind: string,
    start: number,
    end: number,
    evidence: ResultRow['evidence'],
    out: Emitter,
  ): void {
    const row = this.#row;
    row.keyId = keyId;
    row.start = start;
    row.end = end;
    row.values = [value, expected, score, kind];
    row.evidence = evidence;
    out.emit(row);
  }

  evictIdle(share: number): number {
    return evictIdlest(this.#states, share);
  }

  stats(): OperatorStats {
    return { rows: this.#states.size, bytes: this.#states.byteLength, late: 0 };
  }
}

/** NaN for none. Where only the presence of a value counts, texts and lists count as well. */
function numberOf(value: unknown, type: AnomalyPlan['type']): number {
  if (typeof value === 'number') return value;
  return type === 'missing' && value !== null && value !== undefined ? 0 : Number.NaN;
}
