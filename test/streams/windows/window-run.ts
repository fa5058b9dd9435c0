/**
 * A window operator with its keys and memory, driven step by step, and taken up anew between steps as another thread
 * would: by its images only.
 */
import { EventBatch } from '../../../src/streams/decode/event-batch.ts';
import { hashKey } from '../../../src/streams/decode/key-hash.ts';
import type {
  Evidence,
  OperatorKind,
  OperatorStats,
  ResultRow,
  ShardOperator,
  StateQuery,
} from '../../../src/streams/operator.ts';
import type { AggregatePlan, Plan, WindowPlan } from '../../../src/streams/plan.ts';
import { KeyTable } from '../../../src/streams/state/key-table.ts';
import { type MemoryImage, ShardMemory } from '../../../src/streams/state/memory.ts';
import { sessionWindowKind } from '../../../src/streams/windows/session-window.ts';
import { sliceWindowKind } from '../../../src/streams/windows/slice-window.ts';
import { aggregatePlan, windowPlan } from '../plan-parts.ts';

const NO_EVIDENCE: Evidence = { correlationIds: [], events: [], traces: [] };

export interface Event {
  readonly ts: number;
  readonly key: string;
  readonly value: number;
}

export interface Result {
  readonly key: string;
  readonly start: number;
  readonly end: number;
  readonly pane: number;
  readonly timing: string;
  readonly final: boolean;
  readonly retraction: boolean;
  readonly output: string;
  readonly values: readonly unknown[];
}

export interface Context {
  readonly events: readonly string[];
  readonly traces: readonly string[];
  readonly correlationIds: readonly string[];
}

export const kind = sliceWindowKind(new Map());
const sessions = sessionWindowKind(new Map());
const kindOf = ({ type }: WindowPlan): OperatorKind<WindowPlan> => (type === 'session' ? sessions : kind);

export const aggregate = (name: string, fn: AggregatePlan['fn'], of = ''): AggregatePlan =>
  aggregatePlan({ name, fn, of });

const encoder = new TextEncoder();

export function batchOf(plan: Plan, events: readonly Event[]): EventBatch {
  const texts = events.map(({ key }) => encoder.encode(key));
  const bytes = texts.reduce((sum, text) => sum + text.length, 0);
  const batch = EventBatch.allocate(plan, 0, Math.max(1, events.length), bytes + 8);
  let at = 0;
  for (const [row, { key, ts, value }] of events.entries()) {
    const text = texts[row] as Uint8Array;
    batch.ts[row] = ts;
    (batch.values[1] as Float64Array)[row] = value;
    (batch.at[0] as Uint32Array)[row] = at;
    (batch.length[0] as Uint32Array)[row] = text.length;
    (batch.hashes[0] as Uint32Array)[row] = hashKey([key]);
    batch.bytes.set(text, at);
    at += text.length;
  }
  batch.count = events.length;
  return batch;
}

const copyOf = ({ buffers, generation }: MemoryImage): MemoryImage => ({
  generation,
  buffers: buffers.map((buffer) => buffer.slice(0)),
});

export interface Image {
  readonly keys: MemoryImage;
  readonly windows: MemoryImage;
}

export class WindowRun {
  readonly plan: Plan;
  readonly contexts: (Context | null)[] = [];
  #keyMemory: ShardMemory;
  #memory: ShardMemory;
  #keys!: KeyTable;
  #operator!: ShardOperator;
  readonly #window: WindowPlan;
  #results: Result[] = [];
  #seq = 0;

  constructor(window: Partial<WindowPlan>) {
    this.plan = windowPlan(window);
    this.#keyMemory = KeyTable.create(this.plan, 0);
    this.#window = this.plan.operators[0] as WindowPlan;
    this.#memory = kindOf(this.#window).create(this.#window, this.plan);
    this.attach();
  }

  /** Goes on with the memory alone, as another thread would. */
  attach(): void {
    this.restore({ keys: this.#keyMemory.image(), windows: this.#memory.image() });
  }

  copy(): Image {
    return { keys: copyOf(this.#keyMemory.image()), windows: copyOf(this.#memory.image()) };
  }

  restore({ keys, windows }: Image): void {
    this.#keyMemory = new ShardMemory(keys);
    this.#memory = new ShardMemory(windows);
    this.#keys = new KeyTable(this.#keyMemory, this.plan, 0, hashKey);
    const services = { plan: this.plan, keys: this.#keys };
    this.#operator = kindOf(this.#window).attach(this.#window, this.#memory, services);
  }

  get stats(): OperatorStats {
    return this.#operator.stats();
  }

  get keyCount(): number {
    return this.#keys.size;
  }

  /** Bytes in blocks of the arenas: tables of units, rows' own, and the same of the panes where there are such. */
  get liveArenaBytes(): number[] {
    const buffers = this.#window.type === 'session' ? [6, 7] : [3, 4, 8, 9];
    return buffers.map((buffer) => new Uint32Array(this.#memory.buffer(buffer))[1] as number);
  }

  readonly #emitter = {
    emit: (row: ResultRow): void => {
      const { end, final, output, pane, retraction, start, timing } = row;
      const key = (JSON.parse(this.#keys.json(row.keyId)) as { key: string }).key;
      this.#results.push({ key, start, end, pane, timing, final, retraction, output, values: [...row.values] });
      // Read now: it is used again.
      const { correlationIds, events, traces } = row.evidence ?? NO_EVIDENCE;
      this.contexts.push(row.evidence === null ? null : { correlationIds, events, traces });
    },
  };

  #take(): Result[] {
    const results = this.#results;
    this.#results = [];
    return results;
  }

  events(
    events: readonly Event[],
    watermark: number,
    provenance: Partial<{ arrivalMs: number; traceparent: string; correlationId: string }> = {},
  ): Result[] {
    const batch = batchOf(this.plan, events);
    const rows = Uint32Array.from(events, (_, i) => i);
    const keys = new Uint32Array(events.length);
    this.#keys.internRows(batch, [0], batch.hashes[0] as Uint32Array, rows, events.length, keys);
    this.#seq += 1;
    this.#operator.events?.(
      {
        batch,
        side: 0,
        count: events.length,
        rows,
        keys,
        watermark,
        provenance: {
          seq: this.#seq,
          arrivalMs: 0,
          traceparent: '',
          correlationId: '',
          ...provenance,
        },
      },
      this.#emitter,
    );
    return this.#take();
  }

  /** Instead of `events`: those of a batch that was aggregated ahead. */
  partial(partial: SharedArrayBuffer, shard: number, shards: number, watermark: number): Result[] {
    this.#seq += 1;
    const context = { arrivalMs: 0, traceparent: '', correlationId: '' };
    const provenance = { seq: this.#seq, ...context };
    this.#operator.mergePartial?.(partial, { keys: this.#keys, shard, shards, watermark, provenance }, this.#emitter);
    return this.#take();
  }

  advance(watermark: number): Result[] {
    this.#operator.advance?.(watermark, this.#emitter);
    return this.#take();
  }

  tick(nowMs: number): Result[] {
    this.#operator.tick?.(nowMs, this.#emitter);
    return this.#take();
  }

  query(query: Partial<StateQuery>): Result[] {
    const all = {
      key: null,
      match: null,
      fromMs: Number.NEGATIVE_INFINITY,
      toMs: Number.POSITIVE_INFINITY,
      by: '',
      limit: 1e9,
    };
    this.#operator.query?.({ ...all, ...query }, this.#emitter);
    return this.#take();
  }

  evictIdle(share: number): number {
    return this.#operator.evictIdle?.(share) ?? 0;
  }

  sweep(): void {
    this.#keys.sweep();
  }
}
