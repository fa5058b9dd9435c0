/**
 * Random cases: window definitions of every kind the oracle knows, and events that come disordered, twice, late, too far
 * ahead, from keys some of which are much busier than others, over one or more partitions.
 *
 * Role: what an engine and the oracle are run against, with fast-check's shrinking. Every case ends with events far in
 * the future from each partition, so that all windows of interest close; those last events' own windows stay open.
 * Values are multiples of 1/8: sums are exact whatever their order, unless `fractions` asks for rounding.
 */
import fc from 'fast-check';
import type {
  AggregateDefinition,
  JoinDefinition,
  SchemaDefinition,
  StreamDefinition,
  WindowDefinition,
} from '../../../src/streams/define/definition.ts';
import type { OracleBatch, OracleCase, OracleEvent } from './case.ts';

export interface CaseShape {
  readonly eventsMax: number;
  readonly types: readonly WindowDefinition['type'][];
  readonly fractions: boolean;
}

export const CASE_SHAPE: CaseShape = {
  eventsMax: 120,
  types: ['tumbling', 'hopping', 'cumulating', 'session'],
  fractions: false,
};

/** Event times of a case are about here; windows begin on other multiples when a case is moved below 0. */
const EPOCH_MS = 1_700_000_000_000;
const MAX_FUTURE_MS = 50_000;
/** Ahead of all else, so that every window of interest closes. */
const CLOSING_MS = 1_000_000;
const SCHEMA: SchemaDefinition = {
  fields: { at: 'integer', key: 'string', city: 'string', n: 'integer', v: { type: 'number', optional: true } },
  timestamp: { field: 'at' },
  key: ['key'],
};
const KEYS = ['a', 'b', 'c', 'd', 'ä"\\', ''];
const CITIES = ['Oslo', 'Bergen', 'Tromsø'];

/** An event before it is put into a batch: progress of the clock, how late it is, and what it says. */
interface Draft {
  readonly aheadMs: number;
  readonly lateMs: number;
  readonly key: string;
  readonly city: string;
  readonly n: number;
  readonly v: number | null;
  readonly fate: 'plain' | 'repeat' | 'future';
  readonly partition: number;
  /** The batch ends behind it. */
  readonly cut: boolean;
}

const conditions = fc.constantFrom(
  'v > 0',
  'n >= 3 && n < 40',
  'city == "Oslo"',
  'city in ["Oslo", "Bergen"] || n % 2 == 0',
  '!(n < 10)',
  'city != "Bergen" && (v > -5 || n <= 20)',
);
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: 2 });

function aggregateOf(accumulation: WindowDefinition['accumulation']): fc.Arbitrary<AggregateDefinition> {
  const names =
    accumulation === 'discarding'
      ? ['sum', 'min', 'max']
      : ['sum', 'mean', 'min', 'max', 'variance', 'stddev', 'first', 'last', 'distinct', 'quantile'];
  const over = fc
    .record({
      fn: fc.constantFrom(...names),
      of: fc.constantFrom('v', 'n', 'n * 2 + 1'),
      q: fc.constantFrom(0.25, 0.5, 0.75, 0.9, 0.99),
      where: maybe(conditions),
    })
    .map(({ q, where, ...rest }) => ({
      ...rest,
      ...(rest.fn === 'quantile' ? { q } : {}),
      ...(where === undefined ? {} : { where }),
    }));
  return fc.oneof({ weight: 1, arbitrary: fc.constant('count' as const) }, { weight: 5, arbitrary: over });
}

const step = fc.constantFrom(100, 250, 500);

function sizesOf(type: WindowDefinition['type']): fc.Arbitrary<Partial<WindowDefinition>> {
  const times = fc.integer({ min: 1, max: 8 });
  if (type === 'session') return step.map((gapMs) => ({ gapMs }));
  if (type === 'tumbling') return fc.tuple(step, times).map(([one, n]) => ({ sizeMs: one * n }));
  if (type === 'cumulating') return fc.tuple(step, times).map(([slideMs, n]) => ({ slideMs, sizeMs: slideMs * n }));
  // Also sizes the slide does not divide: slices are then shorter than the slide.
  return fc
    .tuple(step, times, fc.constantFrom(0, 0.5))
    .map(([slideMs, n, part]) => ({ slideMs, sizeMs: slideMs * (n + part) }));
}

export function windowArbitrary(shape: CaseShape = CASE_SHAPE): fc.Arbitrary<WindowDefinition> {
  const rest = fc.record({
    type: fc.constantFrom(...shape.types),
    accumulation: fc.constantFrom(
      'accumulating' as const,
      'accumulating' as const,
      'retracting' as const,
      'discarding' as const,
    ),
    allowedLatenessMs: fc.constantFrom(0, 0, 100, 1000),
    offsetMs: fc.constantFrom(0, 0, 50),
    key: fc.constantFrom<(string[] | undefined)[]>(undefined, ['key'], ['key', 'city'], ['n'], []),
    where: maybe(conditions),
    best: fc.option(fc.record({ limit: fc.integer({ min: 1, max: 4 }), ties: fc.boolean() }), {
      nil: undefined,
      freq: 2,
    }),
  });
  return rest.chain(({ type, accumulation, best, offsetMs, key, where, ...others }) =>
    fc.tuple(sizesOf(type), fc.array(aggregateOf(accumulation), { minLength: 1, maxLength: 4 })).map(
      ([sizes, aggregates]): WindowDefinition => ({
        name: 'w',
        type,
        ...sizes,
        ...(type === 'session' || offsetMs === 0 ? {} : { offsetMs }),
        ...(key === undefined ? {} : { key }),
        ...(where === undefined ? {} : { where }),
        ...(best === undefined || type === 'session' || accumulation === 'discarding'
          ? {}
          : { top: { by: 'events', ...best } }),
        aggregates: Object.fromEntries([['events', 'count'], ...aggregates.map((each, i) => [`a${i}`, each])]),
        accumulation,
        ...others,
      }),
    ),
  );
}

function draftArbitrary(fractions: boolean): fc.Arbitrary<Draft> {
  const eighth = fc.integer({ min: -200, max: 400 }).map((n) => n / 8);
  const value = fractions ? fc.oneof(eighth, fc.double({ min: -1e6, max: 1e6, noNaN: true })) : eighth;
  return fc.record({
    aheadMs: fc.oneof(fc.constantFrom(0, 0, 1), fc.integer({ min: 0, max: 150 }), fc.constantFrom(900, 2500)),
    lateMs: fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      { weight: 2, arbitrary: fc.integer({ min: 0, max: 300 }) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 4000 }) },
    ),
    // Half of all events are of one key.
    key: fc.oneof({ weight: 3, arbitrary: fc.constant('a') }, { weight: 3, arbitrary: fc.constantFrom(...KEYS) }),
    city: fc.constantFrom(...CITIES),
    n: fc.integer({ min: 0, max: 50 }),
    v: fc.option(value, { freq: 10 }),
    fate: fc.constantFrom<Draft['fate'][]>(...Array<'plain'>(8).fill('plain'), 'repeat', 'future'),
    partition: fc.nat(2),
    cut: fc.boolean(),
  });
}

export function caseArbitrary(shape: CaseShape = CASE_SHAPE): fc.Arbitrary<OracleCase> {
  const setting = fc.record({
    window: windowArbitrary(shape),
    drafts: fc.array(draftArbitrary(shape.fractions), { minLength: 1, maxLength: shape.eventsMax, size: 'max' }),
    outOfOrderMs: fc.constantFrom(0, 50, 300),
    partitions: fc.integer({ min: 1, max: 3 }),
    withIds: fc.boolean(),
    startMs: fc.constantFrom(EPOCH_MS, EPOCH_MS, 0, -700),
  });
  return setting.map(({ window, drafts, outOfOrderMs, partitions, withIds, startMs }) => {
    const stream: StreamDefinition = {
      name: 's',
      schema: SCHEMA,
      time: { outOfOrderMs, idleAfterMs: 0, maxFutureMs: MAX_FUTURE_MS },
      durability: 'memory',
      windows: [window],
    };
    return { streams: [stream], steps: batchesOf(drafts, partitions, withIds, startMs) };
  });
}

function batchesOf(
  drafts: readonly Draft[],
  partitions: number,
  withIds: boolean,
  startMs: number,
  streams: readonly string[] = ['s'],
): OracleBatch[] {
  const batches: OracleBatch[] = [];
  let clockMs = startMs;
  let events: OracleEvent[] = [];
  const past: OracleEvent[] = [];
  const finish = (draft: Draft): void => {
    const stream = streams[draft.n % streams.length] as string;
    const partition = `p${draft.partition % partitions}`;
    batches.push({ stream, partition, source: 'case', arrivalMs: clockMs, events });
    events = [];
  };
  drafts.forEach((draft, i) => {
    clockMs += draft.aheadMs;
    const ahead = draft.fate === 'future' ? 10 * MAX_FUTURE_MS : 0;
    const { city, key, n, v } = draft;
    const fields = { at: clockMs - draft.lateMs + ahead, key, city, n, v };
    const again = draft.fate === 'repeat' && withIds ? past[n % Math.max(1, past.length)] : undefined;
    const event = again ?? { fields, id: withIds ? `e${i}` : '' };
    if (draft.fate !== 'future') past.push(event);
    events.push(event);
    if (draft.cut || i === drafts.length - 1) finish(draft);
  });
  for (let partition = 0; partition < partitions; partition++) {
    clockMs += CLOSING_MS;
    for (const stream of streams) {
      const fields = { key: 'end', city: 'Oslo', n: 4, v: 1, at: clockMs };
      const event = { fields, id: withIds ? `end${partition}` : '' };
      const at = { stream, partition: `p${partition}`, source: 'case', arrivalMs: clockMs };
      batches.push({ ...at, events: [event] });
    }
  }
  return batches;
}

/** Two streams and one join of the left one with the right one. */
export function joinCaseArbitrary(eventsMax = 60): fc.Arbitrary<OracleCase> {
  const join = fc.record({
    type: fc.constantFrom('interval' as const, 'window' as const, 'lookup' as const),
    kind: fc.constantFrom('inner' as const, 'left' as const),
    lowerMs: fc.constantFrom(-500, -100, 0, 50),
    spanMs: fc.constantFrom(0, 100, 700),
    sizeMs: fc.constantFrom(100, 500),
    where: maybe(fc.constantFrom('left.n + right.n < 60', 'right.v > 0 || left.city == right.city')),
    ttlMs: fc.constantFrom(0, 0, 600),
    keys: fc.constantFrom<string[][]>(['key'], ['key', 'city']),
  });
  const setting = fc.record({
    join,
    drafts: fc.array(draftArbitrary(false), { minLength: 1, maxLength: eventsMax, size: 'max' }),
    outOfOrderMs: fc.constantFrom(0, 50, 300),
    startMs: fc.constantFrom(EPOCH_MS, 0, -700),
  });
  return setting.map(
    ({ drafts, join: { keys, lowerMs, sizeMs, spanMs, ttlMs, where, ...rest }, outOfOrderMs, startMs }) => {
      const times: Partial<JoinDefinition> = {
        interval: { lowerMs, upperMs: lowerMs + spanMs },
        window: { sizeMs },
        lookup: { ttlMs },
      }[rest.type];
      const select = { n: 'left.n', v: 'left.v', m: 'right.n', w: 'right.v', apart: 'right.at - left.at' };
      const condition = where === undefined ? {} : { where };
      const on = { left: keys, right: keys };
      const joins: JoinDefinition[] = [{ name: 'j', with: 'r', on, select, ...rest, ...times, ...condition }];
      const time = { outOfOrderMs, idleAfterMs: 0, maxFutureMs: MAX_FUTURE_MS };
      const left: StreamDefinition = { name: 's', schema: SCHEMA, time, durability: 'memory', joins };
      const right: StreamDefinition = { name: 'r', schema: SCHEMA, time, durability: 'memory' };
      return { streams: [left, right], steps: batchesOf(drafts, 1, false, startMs, ['s', 'r']) };
    },
  );
}

/** One case by its seed. */
export function randomCase(seed: number, shape: CaseShape = CASE_SHAPE): OracleCase {
  return fc.sample(caseArbitrary(shape), { seed, numRuns: 1 })[0] as OracleCase;
}
