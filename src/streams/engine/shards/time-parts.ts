/**
 * Time that closes very many windows goes on in parts, so that their results are never all in memory.
 *
 * Role: between the pipeline and `ShardSet`. By one event, or one tick, an hour of windows of every key may close. Where
 * that could be many results, shards are asked how far time may go, all of them go that far, the results are given out,
 * and so on until what is left is few enough for the step itself.
 * Numbers: results of a part have one of their own, in front of their record's and behind all that came before it, so
 * that sinks know their place between two parts (`recordOfPart`).
 * Invariant: where a step is cut depends on the state before it alone, so a replay cuts it at the same places: shards
 * are asked whenever an upper bound of what they count is too much, and cut only by what they count.
 * Bounds: `RESULTS_AT_ONCE` of each shard, or those of one window, in each of the first eighth of the parts there may be
 * of a record, twice as many in each of the next eighth, and so on. There may be 65,535 parts of each of the first 2^28
 * records, half as many of as many more, and so on down to 255; between later ones there is no room for numbers.
 */
import { TICK } from '../../feeds.ts';
import { BETWEEN_RECORDS } from '../../operator.ts';
import type { Plan } from '../../plan.ts';
import { WindowGeometry } from '../../windows/geometry.ts';
import type { Held, Step } from '../task.ts';
import type { RoundOutcome } from './round-outcome.ts';

/** Of one shard: of all of them, about as much memory as is used again at once (`lines/line-memory.ts`). */
export const RESULTS_AT_ONCE = 8 * 1024;
const BITS_MAX = 16;
const BITS_MIN = 8;
/** Of the whole numbers that are their own, without those between records. */
const SEQ_BITS = 53 - Math.log2(BETWEEN_RECORDS);
const SIZES = 8;

export type TimeStep = Extract<Step, { kind: 'advance' | 'tick' }>;

interface Windows {
  readonly stream: number;
  readonly geometry: WindowGeometry;
}

/** What is asked for of `ShardSet`. */
export interface PartedShards {
  held(stream: number): Held;
  round(steps: readonly Step[], rows: number): Promise<RoundOutcome>;
}

/** The record that results of this number follow from: of the log, or made of results. */
export const recordOfPart = (seq: number): number => Math.ceil(seq * BETWEEN_RECORDS) / BETWEEN_RECORDS;

/** Numbers that parts of the record may have, and its own; 0: none. */
function placesOf(record: number): number {
  const bits = Math.min(BITS_MAX, SEQ_BITS - Math.ceil(Math.log2(record + 1)));
  return bits < BITS_MIN ? 0 : 2 ** bits;
}

/** By what time goes on in a step; null: by nothing. Events bring what an earlier step of time was left out with. */
export function timeOf(step: Step): TimeStep | null {
  if (step.kind === 'advance' || step.kind === 'tick') return step;
  if (step.kind !== 'events') return null;
  const { seq, stream, watermark } = step;
  return { kind: 'advance', seq, stream, watermark };
}

const streamOf = (step: TimeStep): number => (step.kind === 'tick' ? TICK : step.stream);
/** A tick is the watermark of windows of processing time. */
const untilOf = (step: TimeStep): number => (step.kind === 'tick' ? step.nowMs - 1 : step.watermark);

export class TimeParts {
  readonly #shards: PartedShards;
  readonly #resultsMax: number;
  /** By stream, and `TICK`: windows that close by its time. */
  readonly #windows = new Map<number, readonly Windows[]>();
  /** Likewise: how far it has come. */
  readonly #reached = new Map<number, number>();

  constructor({ operators, streams }: Plan, shards: PartedShards, resultsMax: number) {
    this.#shards = shards;
    this.#resultsMax = resultsMax;
    const windows = operators.flatMap((plan) => {
      if (plan.kind !== 'window' || !SLICED.has(plan.type)) return [];
      return [{ time: plan.time, stream: plan.stream, geometry: new WindowGeometry(plan) }];
    });
    for (const { index } of streams) {
      this.#windows.set(
        index,
        windows.filter(({ stream, time }) => time === 'event' && stream === index),
      );
    }
    this.#windows.set(
      TICK,
      windows.filter(({ time }) => time === 'processing'),
    );
  }

  /**
   * The step, the next one that time goes on by, may have more results than may come at once. `rows`: events that come
   * with it and are in no shard yet.
   */
  mayBeLong(step: TimeStep, rows: number): boolean {
    const windows = this.#windows.get(streamOf(step)) ?? [];
    if (windows.length === 0) return false;
    const until = untilOf(step);
    const from = this.#reached.get(streamOf(step)) ?? Number.NEGATIVE_INFINITY;
    this.#reached.set(streamOf(step), Math.max(from, until));
    const most = this.#mostOf(windows);
    return windows.some(({ geometry, stream }) => {
      const closing = geometry.lastFired(until) - geometry.lastFired(from);
      const { keys } = this.#shards.held(stream);
      const results = keys === 0 ? rows * geometry.slicesMax : closing * (keys + rows);
      return closing > 1 && results > most;
    });
  }

  /** Time was left out: what that would have closed comes with the next step. */
  missed(): void {
    this.#reached.clear();
  }

  /** Of what comes before the record's last results. `part`: from 1 on. */
  seqOf(record: number, part: number): number {
    return record - (1 - part / placesOf(record)) / BETWEEN_RECORDS;
  }

  /** What is to be applied before the step, under this number of its record; null: the step itself can be. */
  async next(step: TimeStep, part: number): Promise<TimeStep | null> {
    const places = placesOf(step.seq);
    if (part >= places) return null;
    const [stream, until] = [streamOf(step), untilOf(step)];
    const most = this.#mostOf(this.#windows.get(stream) ?? []);
    const resultsMax = most * 2 ** Math.floor((part * SIZES) / places);
    const { reports } = await this.#shards.round([{ kind: 'reach', stream, until, resultsMax }], 1);
    const reach = reports.reduce((least, { reach }) => Math.min(least, reach ?? least), Number.POSITIVE_INFINITY);
    if (!(reach < until)) return null;
    const seq = this.seqOf(step.seq, part);
    return step.kind === 'tick' ? { ...step, seq, nowMs: reach + 1 } : { ...step, seq, watermark: reach };
  }

  /** For each of these windows. */
  #mostOf(windows: readonly Windows[]): number {
    return Math.ceil(this.#resultsMax / windows.length);
  }
}

const SLICED: ReadonlySet<string> = new Set(['tumbling', 'hopping', 'cumulating']);
