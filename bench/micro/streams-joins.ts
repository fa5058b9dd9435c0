/**
 * What it costs a join to keep an event until it expires: a row in its key's block, against the key's events encoded as
 * a whole after each batch; the same of events that do not come in order of time; and what ways of copying its texts into shared memory cost.
 *
 * Run: node dist/bench/micro/streams-joins.js [rounds] [part of the names]
 * Each variant runs in turn in every round; the median of the rounds is shown, in CPU time.
 */
import { Packr } from 'msgpackr';
import { EventBatch } from '../../src/streams/decode/event-batch.ts';
import { JoinState } from '../../src/streams/joins/join-state.ts';
import { RowLayout } from '../../src/streams/joins/row-layout.ts';
import type { FieldPlan, Plan, StreamPlan } from '../../src/streams/plan.ts';
import { SharedKeyedStates } from '../../src/streams/state/keyed-states.ts';

const EVENTS = 200_000;
const BATCH = 1000;
/** Event time an event is held for, of which each event takes 1. */
const HELD_MS = 20_000;
const DISORDER_MS = 10_000;
const TEXT_BYTES = 100;
const FIELDS: readonly FieldPlan[] = [
  { name: 'n', type: 'number', optional: false },
  { name: 'text', type: 'string', optional: false },
];
const KEYS = { retain: () => undefined, release: () => undefined };
const NO_CONTEXT = new Uint8Array(0);

const STREAM = { index: 0, name: 's', fields: FIELDS } as unknown as StreamPlan;
const PLAN = { streams: [STREAM], groups: [], operators: [] } as unknown as Plan;

/** Events of a batch are up to `disorderMs` behind the newest one before them. */
function batchFrom(first: number, disorderMs: number): EventBatch {
  const batch = EventBatch.allocate(PLAN, 0, BATCH, BATCH * TEXT_BYTES);
  batch.bytes.fill(120);
  for (let row = 0; row < BATCH; row++) {
    const backMs = disorderMs === 0 ? 0 : ((first + row) * 7927) % disorderMs;
    batch.ts[row] = first + row - backMs;
    (batch.values[0] as Float64Array)[row] = row;
    (batch.at[1] as Uint32Array)[row] = row * TEXT_BYTES;
    (batch.length[1] as Uint32Array)[row] = TEXT_BYTES;
  }
  batch.count = BATCH;
  return batch;
}

const batchesOf = (disorderMs: number): EventBatch[] =>
  Array.from({ length: EVENTS / BATCH }, (_, i) => batchFrom(i * BATCH, disorderMs));
const inOrder = batchesOf(0);
const disordered = batchesOf(DISORDER_MS);
const keyOf = (ts: number, keys: number): number => (ts * 7919) % keys;

function inRows(keys: number, batches = inOrder): void {
  const layout = new RowLayout(FIELDS, ['n', 'text']);
  const state = new JoinState(JoinState.create(), KEYS as never, [layout, layout], true);
  const rows = state.sides[0];
  for (const [seq, batch] of batches.entries()) {
    state.beginTurn();
    for (let row = 0; row < BATCH; row++) {
      const ts = batch.ts[row] as number;
      const keyId = keyOf(seq * BATCH + row, keys);
      state.insert(keyId, 0, rows.placeOf(state.block(keyId, 0), ts), batch, row, seq, NO_CONTEXT);
      state.settle(keyId, rows.tsAt(state.block(keyId, 0), 0) + HELD_MS);
    }
    const watermark = seq * BATCH;
    for (let keyId = state.firstDue(watermark); keyId >= 0; keyId = state.firstDue(watermark)) {
      const block = state.block(keyId, 0);
      state.drop(keyId, 0, rows.firstFrom(block, watermark - HELD_MS + 1));
      state.settle(keyId, rows.tsAt(state.block(keyId, 0), 0) + HELD_MS);
    }
  }
}

type Held = readonly [ts: number, seq: number, row: number, n: number, text: string | null];

function encoded(keys: number): void {
  const packr = new Packr({ useRecords: false, moreTypes: false });
  const codec = {
    encode: (held: Held[]): Uint8Array => packr.pack(held),
    decode: (bytes: Uint8Array): Held[] => packr.unpack(bytes) as Held[],
  };
  const states = new SharedKeyedStates<Held[]>(SharedKeyedStates.create(), KEYS as never, codec);
  for (const [seq, batch] of inOrder.entries()) {
    for (let row = 0; row < BATCH; row++) {
      const ts = batch.ts[row] as number;
      const keyId = keyOf(ts, keys);
      const held = states.get(keyId) ?? [];
      held.push([ts, seq, row, (batch.values[0] as Float64Array)[row] as number, batch.text(1, row)]);
      states.put(keyId, held, (held[0] as Held)[0] + HELD_MS);
    }
    states.flush();
    for (const keyId of states.due(seq * BATCH)) {
      const held = states.get(keyId) ?? [];
      while (held.length > 0 && (held[0] as Held)[0] + HELD_MS <= seq * BATCH) held.shift();
      if (held.length === 0) states.delete(keyId);
      else states.put(keyId, held, (held[0] as Held)[0] + HELD_MS);
    }
    states.flush();
  }
}

const from = new Uint8Array(new SharedArrayBuffer(2 ** 22));
const to = new Uint8Array(new SharedArrayBuffer(2 ** 24));
const source = new DataView(from.buffer);
const target = new DataView(to.buffer);

/** Begins where no word does. */
function copying(length: number, copy: (begin: number, length: number, at: number) => void): void {
  for (let i = 0; i < EVENTS; i++) copy((i * 293) % 4_000_000, length, (i * 131) % 16_000_000);
}

function byBytes(begin: number, length: number, at: number): void {
  for (let i = 0; i < length; i++) to[at + i] = from[begin + i] as number;
}

function byFour(begin: number, length: number, at: number): void {
  let i = 0;
  for (; i < length - 3; i += 4) target.setInt32(at + i, source.getInt32(begin + i, true), true);
  for (; i < length; i++) to[at + i] = from[begin + i] as number;
}

const bySet = (begin: number, length: number, at: number): void => to.set(from.subarray(begin, begin + length), at);

const variants: (readonly [name: string, run: () => void])[] = [
  ...[100, 10_000, EVENTS].flatMap((keys) => [
    [`${keys} keys, rows in blocks`, (): void => inRows(keys)] as const,
    [`${keys} keys, encoded per batch`, (): void => encoded(keys)] as const,
  ]),
  ...[10, 100, 10_000].map(
    (keys) =>
      [`${keys} keys, in rows, ${DISORDER_MS / 1000} s of disorder`, (): void => inRows(keys, disordered)] as const,
  ),
  ...[10, 60, 120, 250, 500].flatMap((length) => [
    [`${length} bytes one by one`, (): void => copying(length, byBytes)] as const,
    [`${length} bytes four by four`, (): void => copying(length, byFour)] as const,
    [`${length} bytes by set(subarray)`, (): void => copying(length, bySet)] as const,
  ]),
];
const rounds = Number(process.argv[2] ?? 5);
const namesOnly = process.argv[3] ?? '';
const chosen = variants.filter(([name]) => name.includes(namesOnly));
const found = chosen.map((): number[] => []);
for (let round = 0; round <= rounds; round++) {
  for (const [i, [, run]] of chosen.entries()) {
    const before = process.cpuUsage();
    run();
    const { system, user } = process.cpuUsage(before);
    if (round > 0) (found[i] as number[]).push(((user + system) * 1000) / EVENTS);
  }
}
for (const [i, [name]] of chosen.entries()) {
  const sorted = (found[i] as number[]).toSorted((a, b) => a - b);
  console.log(`${name.padEnd(36)} ${(sorted[sorted.length >> 1] as number).toFixed(0).padStart(6)} ns per event`);
}
