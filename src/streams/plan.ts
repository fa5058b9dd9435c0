/**
 * The compiled form of all streams of a node: what workers and the engine see. Structured-clonable, no member optional.
 *
 * Role: the seam between declaring (`define/`) and running (`decode/`, the operators, `engine/`). Streams and operators
 * are numbered; messages, memory and results speak of the numbers. `epoch` grows with each change.
 * Expressions stay texts here (checked already) and are compiled where they run.
 */
import type { Durability, FieldType } from './define/definition.ts';

export interface FieldPlan {
  readonly name: string;
  readonly type: FieldType;
  readonly optional: boolean;
}

export interface StreamPlan {
  readonly index: number;
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly fields: readonly FieldPlan[];
  /** Index of the timestamp's field; −1: arrival. */
  readonly timestampField: number;
  readonly timestampUnit: 's' | 'ms' | 'us' | 'ns' | 'iso';
  /** Default key, as field indexes. */
  readonly key: readonly number[];
  /** Of members that no field names, where events behind results are shown. */
  readonly keepUnknown: boolean;
  readonly outOfOrderMs: number;
  readonly idleAfterMs: number;
  readonly maxFutureMs: number;
  readonly durability: Durability;
  /** Parts by `key` that nodes run apart. */
  readonly partitions: number;
  readonly dedupIdsMax: number;
  /** Batch ids remembered. */
  readonly batchIdsMax: number;
  readonly dedupTtlMs: number;
  readonly keysMax: number;
  readonly stateBytesMax: number;
  readonly onFull: 'refuse' | 'evict-idle' | 'spill';
  readonly spillBytesMax: number;
  readonly pendingBytesMax: number;
}

/** Operators with the same inputs and key fields share one key table per shard. */
export interface GroupPlan {
  readonly index: number;
  /** One input, or left and right of a join. */
  readonly inputs: readonly { readonly stream: number; readonly fields: readonly number[] }[];
  /** Names of the key's members, for results. */
  readonly keyNames: readonly string[];
}

export interface AggregatePlan {
  readonly name: string;
  readonly fn:
    | 'count'
    | 'sum'
    | 'mean'
    | 'min'
    | 'max'
    | 'variance'
    | 'stddev'
    | 'first'
    | 'last'
    | 'distinct'
    | 'quantile'
    | 'top'
    | 'rate'
    | 'ewma'
    | 'collect'
    | 'custom';
  /** Expression; `''` for none. A bare field name is the common case. */
  readonly of: string;
  readonly where: string;
  readonly q: number;
  readonly relativeError: number;
  readonly limit: number;
  readonly alpha: number;
  readonly perMs: number;
  readonly module: string;
  readonly exportName: string;
}

interface OperatorBase {
  readonly index: number;
  readonly name: string;
  /** Stream it is declared on; its watermark drives it (the smaller one of both for joins). */
  readonly stream: number;
  readonly group: number;
  /** Operators that take its results, by index: anomalies and alerts. */
  readonly feeds: readonly number[];
  /** Same text: the state of an earlier plan's operator of this name can be kept. */
  readonly stateShape: string;
}

export interface WindowPlan extends OperatorBase {
  readonly kind: 'window';
  readonly type: 'tumbling' | 'hopping' | 'cumulating' | 'session' | 'count' | 'global';
  readonly sizeMs: number;
  readonly slideMs: number;
  readonly offsetMs: number;
  readonly gapMs: number;
  readonly count: number;
  readonly time: 'event' | 'processing';
  readonly where: string;
  readonly aggregates: readonly AggregatePlan[];
  readonly allowedLatenessMs: number;
  readonly sideOutput: boolean;
  readonly earlyMs: number;
  readonly earlyCount: number;
  readonly accumulation: 'discarding' | 'accumulating' | 'retracting';
  readonly top: { readonly by: string; readonly limit: number; readonly ties: boolean } | null;
  readonly retainRows: number;
}

export interface PatternStepPlan {
  readonly name: string;
  readonly where: string;
  readonly contiguity: 'next' | 'followedBy' | 'followedByAny' | 'notNext' | 'notFollowedBy';
  readonly min: number;
  /** Infinity: unbounded. */
  readonly max: number;
  readonly optional: boolean;
  readonly greedy: boolean;
  readonly inner: 'next' | 'followedBy' | 'followedByAny';
  readonly until: string;
}

export interface PatternPlan extends OperatorBase {
  readonly kind: 'pattern';
  readonly steps: readonly PatternStepPlan[];
  /** 0: no limit. */
  readonly withinMs: number;
  readonly skip: {
    readonly mode: 'noSkip' | 'skipToNext' | 'skipPastLast' | 'toFirst' | 'toLast';
    readonly step: string;
  };
  readonly select: readonly { readonly name: string; readonly expression: string }[];
  readonly timeouts: boolean;
  readonly time: 'event' | 'arrival';
}

export interface JoinPlan extends OperatorBase {
  readonly kind: 'join';
  readonly right: number;
  readonly type: 'interval' | 'window' | 'lookup';
  readonly lowerMs: number;
  readonly upperMs: number;
  readonly sizeMs: number;
  readonly outer: boolean;
  readonly where: string;
  readonly select: readonly { readonly name: string; readonly expression: string }[];
  readonly ttlMs: number;
}

export interface AnomalyPlan extends OperatorBase {
  readonly kind: 'anomaly';
  /** Operator whose results it takes; −1: the events. */
  readonly source: number;
  readonly value: string;
  readonly type: 'zscore' | 'ewma' | 'seasonal' | 'rate' | 'missing';
  readonly threshold: number;
  readonly alpha: number;
  readonly warmup: number;
  readonly seasonMs: number;
  readonly buckets: number;
  readonly maxPerSecond: number;
  readonly afterMs: number;
}

export interface AlertPlan extends OperatorBase {
  readonly kind: 'alert';
  readonly source: number;
  readonly when: string;
  /** `''`: cleared when `when` does not hold. */
  readonly clear: string;
  readonly consecutive: number;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly message: string;
  readonly groupBy: readonly string[];
  readonly silenceMs: number;
  readonly actions: readonly (
    | { readonly webhook: string; readonly headers: Readonly<Record<string, string>> }
    | { readonly stream: string }
  )[];
}

export interface ViewPlan extends OperatorBase {
  readonly kind: 'view';
  readonly where: string;
  readonly select: readonly { readonly name: string; readonly expression: string }[];
}

export type OperatorPlan = WindowPlan | PatternPlan | JoinPlan | AnomalyPlan | AlertPlan | ViewPlan;

export interface Plan {
  readonly epoch: number;
  readonly shards: number;
  readonly streams: readonly StreamPlan[];
  readonly groups: readonly GroupPlan[];
  readonly operators: readonly OperatorPlan[];
}
