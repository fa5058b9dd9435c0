/**
 * A pattern operator driven as a shard drives it: batches with a watermark before each, then `advance`.
 *
 * Each call can be made by an operator that was attached anew, over a copy of the memory. Results are told by the names
 * of their events, which are found by the ids of their evidence.
 */
import type { Emitter, Evidence, ResultRow, StateQuery } from '../../../src/streams/operator.ts';
import { type PatternOperator, patternKind } from '../../../src/streams/patterns/operator.ts';
import type { FieldPlan, PatternPlan, Plan } from '../../../src/streams/plan.ts';
import { ShardMemory } from '../../../src/streams/state/memory.ts';
import { batchOf, type Event, planOf } from '../expressions/rows.ts';
import { KeyRegistry } from '../keyed-states/key-registry.ts';

export type KeyedEvent = Event & { readonly key: number; readonly name: string };

export interface Given {
  readonly key: number;
  readonly output: string;
  readonly start: number;
  readonly end: number;
  readonly pane: number;
  readonly values: readonly unknown[];
  readonly names: string;
  readonly evidence: Evidence | null;
}

export function patternPlan(parts: Partial<PatternPlan> & Pick<PatternPlan, 'steps'>): PatternPlan {
  return {
    kind: 'pattern',
    index: 0,
    name: 'p',
    stream: 0,
    group: 0,
    feeds: [],
    stateShape: '',
    withinMs: 0,
    skip: { mode: 'noSkip', step: '' },
    select: [],
    timeouts: true,
    time: 'event',
    ...parts,
  };
}

export class ShardRun implements Emitter {
  readonly keys = new KeyRegistry();
  readonly given: Given[] = [];
  readonly rows: ResultRow[] = [];
  memory: ShardMemory;
  operator: PatternOperator;
  watermark = Number.NEGATIVE_INFINITY;
  readonly #pattern: PatternPlan;
  readonly #plan: Plan;
  readonly #fields: readonly FieldPlan[];
  readonly #anew: boolean;
  readonly #names = new Map<string, string>();
  #seq = 0;

  constructor(pattern: PatternPlan, fields: readonly FieldPlan[], anew = false) {
    this.#pattern = pattern;
    this.#fields = fields;
    this.#plan = planOf(fields);
    this.#anew = anew;
    this.memory = patternKind.create(pattern, this.#plan);
    this.operator = this.#attach();
  }

  emit(row: ResultRow): void {
    this.rows.push({ ...row });
    const names = row.evidence?.events.map((id) => this.#names.get(id) ?? id).join(' ') ?? '';
    const { keyId, output, start, end, pane, values, evidence } = row;
    this.given.push({ key: keyId, output, start, end, pane, values: [...values], names, evidence });
  }

  events(events: readonly KeyedEvent[], texts: { traceparent?: string; correlationId?: string } = {}): void {
    this.#renew();
    this.#seq += 1;
    for (const [row, { name }] of events.entries()) this.#names.set(`${this.#seq}:${row}`, name);
    this.operator.events(
      {
        batch: batchOf(this.#fields, events, this.#plan),
        side: 0,
        count: events.length,
        rows: Uint32Array.from(events, (_, row) => row),
        keys: Uint32Array.from(events, ({ key }) => key),
        watermark: this.watermark,
        provenance: {
          seq: this.#seq,
          arrivalMs: 0,
          traceparent: texts.traceparent ?? '',
          correlationId: texts.correlationId ?? '',
        },
      },
      this,
    );
  }

  advance(watermark: number): void {
    this.#renew();
    this.watermark = Math.max(this.watermark, watermark);
    this.operator.advance(this.watermark, this);
  }

  query(query: Partial<StateQuery> = {}): ResultRow[] {
    this.#renew();
    const rows: ResultRow[] = [];
    const all = { key: null, match: null, fromMs: Number.NEGATIVE_INFINITY, toMs: Infinity, by: '', limit: 100 };
    this.operator.query({ ...all, ...query }, { emit: (row) => rows.push({ ...row }) });
    return rows;
  }

  /** Contents of all buffers. */
  bytes(): Uint8Array[] {
    return this.memory.image().buffers.map((buffer) => new Uint8Array(buffer).slice());
  }

  #renew(): void {
    if (!this.#anew) return;
    const { generation, buffers } = this.memory.image();
    const copies = buffers.map((buffer) => {
      const copy = new SharedArrayBuffer(buffer.byteLength);
      new Uint8Array(copy).set(new Uint8Array(buffer));
      return copy;
    });
    this.memory = new ShardMemory({ generation, buffers: copies });
    this.operator = this.#attach();
  }

  #attach(): PatternOperator {
    const services = { plan: this.#plan, keys: this.keys };
    return patternKind.attach(this.#pattern, this.memory, services) as PatternOperator;
  }
}
