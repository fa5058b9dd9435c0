/** Batches for tests: events as plain objects, written into columns as a decoder does. */
import { ABSENT, EventBatch } from '../../../src/streams/decode/event-batch.ts';
import type { FieldPlan, Plan } from '../../../src/streams/plan.ts';
import { streamPlan } from '../plan-parts.ts';

export type Event = Readonly<Record<string, string | number | boolean | null | undefined>> & { readonly ts: number };

export function fieldsOf(types: Readonly<Record<string, FieldPlan['type']>>): FieldPlan[] {
  return Object.entries(types).map(([name, type]) => ({ name, type, optional: true }));
}

export function planOf(fields: readonly FieldPlan[]): Plan {
  return { epoch: 1, shards: 1, streams: [streamPlan({ fields })], groups: [], operators: [] };
}

export function batchOf(
  fields: readonly FieldPlan[],
  events: readonly Event[],
  plan: Plan = planOf(fields),
): EventBatch {
  const encoder = new TextEncoder();
  const texts: Uint8Array[] = [];
  let used = 0;
  const placed = (text: string): [number, number] => {
    const bytes = encoder.encode(text);
    texts.push(bytes);
    used += bytes.length;
    return [used - bytes.length, bytes.length];
  };
  const strings: [number, number, number, number][] = [];
  const numbers: [number, number, number][] = [];
  events.forEach((event, row) => {
    fields.forEach((field, index) => {
      const value = event[field.name] ?? null;
      if (field.type !== 'string') numbers.push([index, row, value === null ? Number.NaN : Number(value)]);
      else strings.push([index, row, ...(value === null ? ([0, ABSENT] as const) : placed(String(value)))]);
    });
  });
  const batch = EventBatch.allocate(plan, 0, Math.max(1, events.length), used);
  for (const [field, row, value] of numbers) (batch.values[field] as Float64Array)[row] = value;
  for (const [field, row, at, length] of strings) {
    (batch.at[field] as Uint32Array)[row] = at;
    (batch.length[field] as Uint32Array)[row] = length;
  }
  events.forEach((event, row) => {
    batch.ts[row] = event.ts;
  });
  let at = 0;
  for (const text of texts) {
    batch.bytes.set(text, at);
    at += text.length;
  }
  batch.count = events.length;
  return batch;
}
