/**
 * What one thread spends on decoding an event into columns with its key hash, by format, beside `JSON.parse` of the same
 * lines with its properties read into arrays. Variants take turns; CPU time is told, since other processes may want the
 * cores; ratios are what counts.
 *
 * Run: node dist/bench/micro/streams-decode.js [events, in thousands]
 */
import { Buffer } from 'node:buffer';
import { cpus } from 'node:os';
import { Packr } from 'msgpackr';
import { encodeColumns } from '../../src/streams/decode/column-format.ts';
import { decodeBatch } from '../../src/streams/decode/decode.ts';
import type { FieldType } from '../../src/streams/define/definition.ts';
import type { WireFormat } from '../../src/streams/engine/task.ts';
import type { Plan } from '../../src/streams/plan.ts';

const EVENTS = Number(process.argv[2] ?? 1000) * 1000;
const ROUNDS = 7;
const BATCH_EVENTS = 16_000;
const KEYS = 1000;
const PROVENANCE = { seq: 1, arrivalMs: 0, traceparent: '', correlationId: '' };

interface Event {
  readonly ts: number;
  readonly key: string;
  readonly value: number;
  readonly ok: boolean;
}
interface Variant {
  readonly name: string;
  /** Takes all events; how many there were. */
  readonly run: () => number;
}

function newPlan(): Plan {
  const field = (name: string, type: FieldType) => ({ name, type, optional: false });
  const stream = {
    index: 0,
    name: 'bench',
    fields: [field('ts', 'integer'), field('key', 'string'), field('value', 'number'), field('ok', 'boolean')],
    timestampField: 0,
    timestampUnit: 'ms',
    maxFutureMs: 0,
    dedupIdsMax: 1000,
    batchIdsMax: 0,
    dedupTtlMs: 1000,
  };
  const groups = [{ index: 0, inputs: [{ stream: 0, fields: [1] }], keyNames: ['key'] }];
  // Only what the decoder reads of a plan.
  return { epoch: 1, shards: 4, streams: [stream], groups, operators: [] } as unknown as Plan;
}

function newEvents(): Event[] {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: EVENTS }, (_, i) => ({
    ts: 1_700_000_000_000 + i,
    key: `k${Math.floor(random() * KEYS)}`,
    value: Math.round(random() * 10_000) / 100,
    ok: random() < 0.5,
  }));
}

function batchesOf<T>(events: readonly Event[], encode: (batch: readonly Event[]) => T): T[] {
  const batches: T[] = [];
  for (let at = 0; at < events.length; at += BATCH_EVENTS) batches.push(encode(events.slice(at, at + BATCH_EVENTS)));
  return batches;
}

function shared(bytes: Uint8Array): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes.length);
  new Uint8Array(buffer).set(bytes);
  return buffer;
}

function decoding(name: string, format: WireFormat, bodies: readonly Uint8Array[]): Variant {
  const plan = newPlan();
  const buffers = bodies.map(shared);
  const run = (): number => {
    let accepted = 0;
    for (const body of buffers) {
      const task = {
        kind: 'decode',
        epoch: 1,
        stream: 0,
        format,
        body,
        bodyAt: 0,
        bodyBytes: body.byteLength,
        contextBytes: 0,
        spare: null,
        looksOnly: false,
      } as const;
      accepted += decodeBatch(plan, { ...task, provenance: PROVENANCE, dedup: null }).accepted;
    }
    return accepted;
  };
  return { name, run };
}

/** The control: text, lines, objects, and the properties into the same kind of columns. */
function parsing(bodies: readonly Buffer[]): Variant {
  const run = (): number => {
    let accepted = 0;
    for (const body of bodies) {
      const lines = body.toString().split('\n');
      const ts = new Float64Array(lines.length);
      const value = new Float64Array(lines.length);
      const ok = new Uint8Array(lines.length);
      const key: string[] = [];
      for (const line of lines) {
        if (line === '') continue;
        const event = JSON.parse(line) as Event;
        ts[key.length] = event.ts;
        value[key.length] = event.value;
        ok[key.length] = event.ok ? 1 : 0;
        key.push(event.key);
      }
      accepted += key.length;
    }
    return accepted;
  };
  return { name: 'JSON.parse (control)', run };
}

/** The control of CloudEvents: the array as a whole, and what is in each. */
function parsingCloudEvents(bodies: readonly Buffer[]): Variant {
  const run = (): number => {
    let accepted = 0;
    for (const body of bodies) {
      const envelopes = JSON.parse(body.toString()) as { id: string; source: string; data: Event }[];
      const value = new Float64Array(envelopes.length);
      for (const [i, { data }] of envelopes.entries()) value[i] = data.value + data.ts + data.key.length;
      accepted += value.length;
    }
    return accepted;
  };
  return { name: 'cloudevents, JSON.parse', run };
}

const lineOf = ({ ts, key, value, ok }: Event): string => `${JSON.stringify({ ts, key, value, ok })}\n`;
const oddLineOf = ({ ts, key, value, ok }: Event, i: number): string => {
  const members = Object.entries({ ok, key, value, ts });
  // 24 orders: more than there are programs for.
  const order = [i % 4, Math.floor(i / 4) % 3, Math.floor(i / 12) % 2].map((at) => members.splice(at, 1)[0]);
  return `${JSON.stringify(Object.fromEntries([...order, ...members] as [string, unknown][]))}\n`;
};
const cloudEventOf = (data: Event, i: number): object => ({
  specversion: '1.0',
  id: `${i}`,
  source: '/b',
  type: 't',
  data,
});

function variants(): Variant[] {
  const events = newEvents();
  const packr = new Packr({ useRecords: false });
  const cloudEvents = batchesOf(events, (batch) => Buffer.from(JSON.stringify(batch.map(cloudEventOf))));
  const lines = batchesOf(events, (batch) => Buffer.from(batch.map(lineOf).join('')));
  return [
    parsing(lines),
    decoding('ndjson', 'ndjson', lines),
    decoding(
      'ndjson, any order',
      'ndjson',
      batchesOf(events, (batch) => Buffer.from(batch.map(oddLineOf).join(''))),
    ),
    decoding(
      'json',
      'json',
      batchesOf(events, (batch) => Buffer.from(JSON.stringify(batch))),
    ),
    decoding(
      'msgpack',
      'msgpack',
      batchesOf(events, (batch) => packr.pack(batch)),
    ),
    parsingCloudEvents(cloudEvents),
    decoding('cloudevents', 'cloudevents-batch', cloudEvents),
    decoding(
      'columns',
      'columns',
      batchesOf(events, (batch) => {
        const column = <K extends keyof Event>(name: K): Event[K][] => batch.map((event) => event[name]);
        return encodeColumns({ ts: column('ts'), key: column('key'), value: column('value'), ok: column('ok') });
      }),
    ),
  ];
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function measure(variant: Variant): number {
  const before = process.cpuUsage();
  const accepted = variant.run();
  const { user, system } = process.cpuUsage(before);
  if (accepted !== EVENTS) throw new Error(`${variant.name}: ${accepted} of ${EVENTS} events`);
  return ((user + system) * 1000) / EVENTS;
}

const all = variants();
const nsPerEvent = new Map<string, number[]>(all.map(({ name }) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  const turn = round % 2 === 0 ? all : [...all].reverse();
  for (const variant of turn) nsPerEvent.get(variant.name)?.push(measure(variant));
}
const control = median(nsPerEvent.get(all[0]?.name ?? '') ?? []);
console.log(
  `${cpus()[0]?.model}, Node ${process.version}, ${EVENTS} events, median of ${ROUNDS}, CPU time of one thread`,
);
for (const [name, times] of nsPerEvent) {
  const ns = median(times);
  const figures = `${ns.toFixed(0).padStart(5)} ns/event ${(1000 / ns).toFixed(1).padStart(6)} M events/s`;
  console.log(`${name.padEnd(24)} ${figures}   ${(control / ns).toFixed(1)} × control`);
}
