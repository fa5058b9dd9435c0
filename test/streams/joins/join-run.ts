/**
 * A join driven as a shard drives it: batches of either side with the watermark before each, then `advance`.
 *
 * Each call can be made by an operator that was attached anew, over a copy of the memory. Events are told by their names.
 */
import { joinKind } from '../../../src/streams/joins/join.ts';
import type { Emitter, ResultRow, ShardOperator } from '../../../src/streams/operator.ts';
import type { JoinPlan, Plan, StreamPlan } from '../../../src/streams/plan.ts';
import { copyOfImage, ShardMemory } from '../../../src/streams/state/memory.ts';
import { batchOf, type Event, fieldsOf, planOf } from '../expressions/rows.ts';
import { KeyRegistry } from '../keyed-states/key-registry.ts';

export const FIELDS = fieldsOf({ name: 'string', note: 'string', n: 'number', hot: 'boolean' });

export type JoinEvent = Event & { readonly key: number; readonly name: string };

export interface Told {
  readonly key: number;
  readonly start: number;
  readonly end: number;
  /** Names of left and right event; the second `''` for none. */
  readonly names: readonly [string, string];
  readonly values: readonly unknown[];
  readonly traces: readonly string[];
}

export const joinPlan = (parts: Partial<JoinPlan> & Pick<JoinPlan, 'type'>): JoinPlan => ({
  kind: 'join',
  index: 0,
  name: 'j',
  stream: 0,
  right: 1,
  group: 0,
  feeds: [],
  stateShape: '',
  lowerMs: 0,
  upperMs: 0,
  sizeMs: 0,
  ttlMs: 0,
  outer: false,
  where: '',
  select: [
    { name: 'left', expression: 'left.note' },
    { name: 'right', expression: 'right.note' },
    { name: 'sum', expression: 'left.n + right.n' },
    { name: 'hot', expression: 'right.hot' },
    { name: 'apart', expression: 'right.ts - left.ts' },
  ],
  ...parts,
});

export class JoinRun implements Emitter {
  readonly keys = new KeyRegistry();
  readonly told: Told[] = [];
  /** Called with each result as it is emitted. */
  onRow: ((row: ResultRow) => void) | null = null;
  memory: ShardMemory;
  operator: ShardOperator;
  readonly #join: JoinPlan;
  readonly #plan: Plan;
  readonly #isAnew: boolean;
  readonly #names = new Map<string, string>();
  #seq = 0;

  constructor(join: JoinPlan, isAnew = false) {
    const plan = planOf(FIELDS);
    this.#join = join;
    this.#plan = { ...plan, streams: [...plan.streams, { ...(plan.streams[0] as StreamPlan), index: 1, name: 'r' }] };
    this.#isAnew = isAnew;
    this.memory = joinKind.create(join, this.#plan);
    this.operator = this.#attach();
  }

  emit(row: ResultRow): void {
    this.onRow?.(row);
    const [left = '', right] = row.evidence?.events ?? [];
    this.told.push({
      key: row.keyId,
      start: row.start,
      end: row.end,
      names: [this.#names.get(left) ?? left, right === undefined ? '' : (this.#names.get(right) ?? right)],
      values: [...row.values],
      traces: [...(row.evidence?.traces ?? [])],
    });
  }

  /** `seq`: of the record; those of derived events are no whole numbers. */
  events(side: number, events: readonly JoinEvent[], { seq = 0, traceparent = '' } = {}): void {
    this.#renew();
    this.#seq += 1;
    const number = seq === 0 ? this.#seq : seq;
    for (const [row, { name }] of events.entries()) this.#names.set(`${number}:${row}`, name);
    const input = {
      batch: batchOf(FIELDS, events, this.#plan),
      side,
      count: events.length,
      rows: Uint32Array.from(events, (_, row) => row),
      keys: Uint32Array.from(events, ({ key }) => key),
      watermark: 0,
      provenance: { seq: number, source: 's', partition: '0', arrivalMs: 0, traceparent, correlationId: '' },
    };
    this.operator.events?.(input, this);
  }

  advance(watermark: number): void {
    this.#renew();
    this.operator.advance?.(watermark, this);
  }

  /** Contents of all buffers. */
  bytes(): Uint8Array[] {
    return this.memory.image().buffers.map((buffer) => new Uint8Array(buffer).slice());
  }

  #renew(): void {
    if (!this.#isAnew) return;
    this.memory = new ShardMemory(copyOfImage(this.memory.image()));
    this.operator = this.#attach();
  }

  #attach(): ShardOperator {
    return joinKind.attach(this.#join, this.memory, { plan: this.#plan, keys: this.keys });
  }
}
