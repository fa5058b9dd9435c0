/**
 * Parts of plans with every member at rest: no bounds, no options, nothing late. Tests and benches name what they are about.
 */
import type { AggregatePlan, FieldPlan, Plan, StreamPlan, WindowPlan } from '../../src/streams/plan.ts';

/** Fields that the windows of tests are about. */
export const KEY_AND_VALUE: readonly FieldPlan[] = [
  { name: 'key', type: 'string', optional: false },
  { name: 'value', type: 'number', optional: false },
];

export function streamPlan(own: Partial<StreamPlan> & Pick<StreamPlan, 'fields'>): StreamPlan {
  return {
    index: 0,
    name: 's',
    title: '',
    description: '',
    timestampField: -1,
    timestampUnit: 'ms',
    key: [],
    keepUnknown: true,
    outOfOrderMs: 0,
    idleAfterMs: 0,
    maxFutureMs: 0,
    durability: 'memory',
    partitions: 1,
    dedupIdsMax: 0,
    batchIdsMax: 0,
    dedupTtlMs: 0,
    keysMax: 0,
    stateBytesMax: 0,
    spillBytesMax: 0,
    onFull: 'refuse',
    pendingBytesMax: 0,
    ...own,
  };
}

export function aggregatePlan(own: Partial<AggregatePlan> & Pick<AggregatePlan, 'fn'>): AggregatePlan {
  return {
    name: own.fn,
    of: '',
    where: '',
    q: 0.5,
    relativeError: 0.01,
    limit: 10,
    alpha: 0.3,
    perMs: 1000,
    module: '',
    exportName: '',
    ...own,
  };
}

/** Aggregates that need no more than their row. */
export const FLAT: readonly AggregatePlan[] = [
  aggregatePlan({ name: 'n', fn: 'count' }),
  aggregatePlan({ name: 'sum', fn: 'sum', of: 'value' }),
  aggregatePlan({ name: 'low', fn: 'min', of: 'value' }),
  aggregatePlan({ name: 'high', fn: 'max', of: 'value' }),
];

/** One stream of keys and values, and one window over it. */
export function windowPlan(own: Partial<WindowPlan>): Plan {
  const operator: WindowPlan = {
    kind: 'window',
    index: 0,
    name: 'w',
    stream: 0,
    group: 0,
    feeds: [],
    stateShape: '',
    type: 'tumbling',
    sizeMs: 10,
    slideMs: own.sizeMs ?? 10,
    offsetMs: 0,
    gapMs: 0,
    count: 0,
    time: 'event',
    where: '',
    aggregates: FLAT,
    allowedLatenessMs: 0,
    sideOutput: false,
    earlyMs: 0,
    earlyCount: 0,
    accumulation: 'accumulating',
    top: null,
    retainRows: 0,
    ...own,
  };
  return {
    epoch: 1,
    shards: 1,
    streams: [streamPlan({ fields: KEY_AND_VALUE, key: [0] })],
    groups: [{ index: 0, inputs: [{ stream: 0, fields: [0] }], keyNames: ['key'] }],
    operators: [operator],
  };
}
