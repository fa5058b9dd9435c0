/**
 * What one thread spends on keyed windows when the columns of the events are given: keys interned, rows found, aggregated,
 * windows closed, results made and dropped. No decoding, no log, no lines of JSON.
 *
 * Run: node dist/bench/micro/streams-windows.js [rounds] [keys, 0: all] [start of the names]
 * Each variant runs in turn in every round; the median of the rounds is shown, in CPU time, so that others on the machine
 * disturb it less; the first quarter of the events, in which memory grows, is not in it. Aggregates: count, sum, min, max;
 * p99: a quantile as well.
 * Control: the same tumbling windows in a Map of objects by key text, the texts given.
 */
import { EventBatch } from '../../src/streams/decode/event-batch.ts';
import { hashKey } from '../../src/streams/decode/key-hash.ts';
import type { Emitter, OperatorInput, ShardOperator } from '../../src/streams/operator.ts';
import type { Plan, WindowPlan } from '../../src/streams/plan.ts';
import { KeyTable } from '../../src/streams/state/key-table.ts';
import { sessionWindowKind } from '../../src/streams/windows/session-window.ts';
import { sliceWindowKind } from '../../src/streams/windows/slice-window.ts';
import { randomFrom } from '../../test/random.ts';
import { aggregatePlan, FLAT, windowPlan } from '../../test/streams/plan-parts.ts';

const BATCH = 10_000;

interface Variant {
  readonly name: string;
  readonly keys: number;
  readonly events: number;
  /** Events per second of event time. */
  readonly rate: number;
  readonly disorderMs: number;
  /** Each hundredth event is up to so much late; allowed. */
  readonly lateMs?: number;
  readonly window: Partial<WindowPlan>;
  readonly control?: boolean;
}

function batchesOf(plan: Plan, { disorderMs, events, keys, lateMs = 0, rate }: Variant): EventBatch[] {
  const random = randomFrom(7);
  const names = Array.from({ length: keys }, (_, i) => `sensor-${i}`);
  const hashes = Uint32Array.from(names, (name) => hashKey([name]));
  const encoded = names.map((name) => new TextEncoder().encode(name));
  const batches: EventBatch[] = [];
  for (let done = 0; done < events; done += BATCH) {
    const batch = EventBatch.allocate(plan, 0, BATCH, BATCH * 16);
    for (let row = 0; row < BATCH; row++) {
      const key = Math.floor(random() * keys);
      const bytes = encoded[key] as Uint8Array;
      const backMs = lateMs > 0 && row % 100 === 99 ? lateMs : disorderMs;
      batch.ts[row] = 1_700_000_000_000 + ((done + row) * 1000) / rate - random() * backMs;
      batch.values[1]![row] = random() * 100;
      batch.at[0]![row] = row * 16;
      batch.length[0]![row] = bytes.length;
      batch.bytes.set(bytes, row * 16);
      batch.hashes[0]![row] = hashes[key] as number;
    }
    batch.count = BATCH;
    batches.push(batch);
  }
  return batches;
}

class Sink implements Emitter {
  results = 0;
  emit(): void {
    this.results += 1;
  }
}

function run(plan: Plan, batches: readonly EventBatch[], variant: Variant): { ns: number; results: number } {
  const operator = plan.operators[0] as WindowPlan;
  const kind = operator.type === 'session' ? sessionWindowKind(new Map()) : sliceWindowKind(new Map());
  const keys = new KeyTable(KeyTable.create(plan, 0), plan, 0, hashKey);
  const windows: ShardOperator = kind.attach(operator, kind.create(operator, plan), { plan, keys });
  const rows = Uint32Array.from({ length: BATCH }, (_, i) => i);
  const ids = new Uint32Array(BATCH);
  const sink = new Sink();
  let watermark = Number.NEGATIVE_INFINITY;
  const warm = batches.length >> 2;
  let begun = process.cpuUsage();
  for (let i = 0; i < batches.length; i++) {
    if (i === warm) begun = process.cpuUsage();
    const batch = batches[i] as EventBatch;
    keys.internRows(batch, [0], batch.hashes[0] as Uint32Array, rows, BATCH, ids);
    const input: OperatorInput = {
      batch,
      side: 0,
      count: BATCH,
      rows,
      keys: ids,
      watermark,
      provenance: { seq: i + 1, arrivalMs: 0, traceparent: '', correlationId: '' },
    };
    windows.events?.(input, sink);
    watermark = (batch.ts[BATCH - 2] as number) - variant.disorderMs - 1;
    windows.advance?.(watermark, sink);
    keys.sweep();
  }
  const { user, system } = process.cpuUsage(begun);
  const ns = (user + system) * 1000;
  return { ns: ns / ((batches.length - warm) * BATCH), results: sink.results };
}

interface Row {
  n: number;
  sum: number;
  low: number;
  high: number;
}

/** The control: closes its windows when the first event of a later one comes, whatever is late. */
function runMap(
  batches: readonly EventBatch[],
  { window: { sizeMs = 60_000 } }: Variant,
): { ns: number; results: number } {
  const texts = batches.map((batch) => Array.from({ length: BATCH }, (_, row) => batch.text(0, row) as string));
  let rows = new Map<string, Row>();
  let open = Number.NEGATIVE_INFINITY;
  let results = 0;
  const warm = batches.length >> 2;
  let begun = process.cpuUsage();
  for (let i = 0; i < batches.length; i++) {
    if (i === warm) begun = process.cpuUsage();
    const { ts, values } = batches[i] as EventBatch;
    for (let row = 0; row < BATCH; row++) {
      const window = Math.floor((ts[row] as number) / sizeMs);
      if (window > open) {
        results += rows.size;
        rows = new Map();
        open = window;
      }
      const value = (values[1] as Float64Array)[row] as number;
      const text = texts[i]?.[row] as string;
      let found = rows.get(text);
      if (found === undefined) {
        found = { n: 0, sum: 0, low: value, high: value };
        rows.set(text, found);
      }
      found.n += 1;
      found.sum += value;
      if (value < found.low) found.low = value;
      if (value > found.high) found.high = value;
    }
  }
  const { user, system } = process.cpuUsage(begun);
  return { ns: ((user + system) * 1000) / ((batches.length - warm) * BATCH), results };
}

const HOP: Partial<WindowPlan> = { type: 'hopping', sizeMs: 60_000, slideMs: 1000 };
/** The gap is twice the mean time between two events of a key: about every seventh event ends a session. */
const session = (keys: number, rate: number): Variant => ({
  name: 'session',
  keys,
  events: 3_000_000,
  rate,
  disorderMs: 0,
  window: { type: 'session', gapMs: Math.max(2, (2000 * keys) / rate) },
});
/** A key has some 400 sessions that may still change. */
const lateSession = (keys: number): Variant => ({
  ...session(keys, 10_000),
  name: 'session, 1 % late',
  events: 400_000,
  lateMs: 300 * keys,
  window: { type: 'session', gapMs: (2000 * keys) / 10_000, allowedLatenessMs: 300 * keys },
});
const P99 = [...FLAT, aggregatePlan({ name: 'p99', fn: 'quantile', of: 'value', q: 0.99 })];
const p99 = (keys: number, rate: number, sizeMs: number): Variant => ({
  name: `p99 tumbling ${sizeMs / 1000} s`,
  keys,
  events: 3_000_000,
  rate,
  disorderMs: 0,
  window: { sizeMs, slideMs: sizeMs, aggregates: P99 },
});

const ALL: readonly Variant[] = [
  session(1000, 100_000),
  session(100_000, 100_000),
  lateSession(10),
  lateSession(100),
  p99(100, 100_000, 1000),
  p99(1000, 100_000, 1000),
  p99(1000, 100_000, 10_000),
  p99(100_000, 100_000, 1000),
  { name: 'tumbling 60 s', keys: 1000, events: 3_000_000, rate: 100_000, disorderMs: 0, window: {} },
  { name: 'tumbling 1 s', keys: 1000, events: 3_000_000, rate: 100_000, disorderMs: 0, window: { sizeMs: 1000 } },
  {
    name: 'control: Map, 1 s',
    keys: 1000,
    events: 3_000_000,
    rate: 100_000,
    disorderMs: 0,
    window: { sizeMs: 1000 },
    control: true,
  },
  { name: 'hop 60 s / 1 s', keys: 1000, events: 3_000_000, rate: 10_000, disorderMs: 0, window: HOP },
  { name: 'hop 60 s / 1 s', keys: 1000, events: 3_000_000, rate: 100_000, disorderMs: 0, window: HOP },
  {
    name: 'tumbling 1 s, 2 s late',
    keys: 1000,
    events: 3_000_000,
    rate: 100_000,
    disorderMs: 2000,
    window: { sizeMs: 1000 },
  },
  { name: 'tumbling 60 s', keys: 100_000, events: 3_000_000, rate: 20_000, disorderMs: 0, window: {} },
  { name: 'tumbling 1 s', keys: 100_000, events: 3_000_000, rate: 200_000, disorderMs: 0, window: { sizeMs: 1000 } },
  {
    name: 'control: Map, 1 s',
    keys: 100_000,
    events: 3_000_000,
    rate: 200_000,
    disorderMs: 0,
    window: { sizeMs: 1000 },
    control: true,
  },
  { name: 'hop 60 s / 1 s', keys: 100_000, events: 3_000_000, rate: 200_000, disorderMs: 0, window: HOP },
  { name: 'tumbling 60 s', keys: 1_000_000, events: 3_000_000, rate: 50_000, disorderMs: 0, window: {} },
];

const rounds = Number(process.argv[2] ?? 3);
const keysOnly = Number(process.argv[3] ?? 0);
const namesOnly = process.argv[4] ?? '';
const VARIANTS = ALL.filter(({ keys, name }) => (keysOnly === 0 || keys === keysOnly) && name.startsWith(namesOnly));
console.log(`node ${process.version}; ${BATCH} events a batch; count, sum, min, max; median of ${rounds} rounds`);
const figures = VARIANTS.map(() => [] as number[]);
const results: number[] = [];
const made = new Map<string, EventBatch[]>();
for (let round = 0; round < rounds; round++) {
  for (const [i, variant] of VARIANTS.entries()) {
    const plan = windowPlan({ sizeMs: 60_000, ...variant.window });
    const id = `${variant.keys}/${variant.rate}/${variant.disorderMs}/${variant.lateMs}`;
    const batches = made.get(id) ?? batchesOf(plan, variant);
    made.set(id, batches);
    const { ns, results: count } = variant.control ? runMap(batches, variant) : run(plan, batches, variant);
    figures[i]?.push(ns);
    results[i] = count;
  }
}
for (const [i, { keys, name }] of VARIANTS.entries()) {
  const ns = (figures[i] as number[]).sort((a, b) => a - b)[rounds >> 1] as number;
  const rate = (1000 / ns).toFixed(1).padStart(6);
  console.log(
    `${name.padEnd(24)} ${String(keys).padStart(9)} keys ${rate} M ev/s ${ns.toFixed(1).padStart(7)} ns ${results[i]} results`,
  );
}
