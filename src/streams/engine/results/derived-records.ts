/**
 * The newest batches that were made of results, as their streams were given them: the evidence behind results of such a
 * stream.
 *
 * Role: these batches are not in the log. They are kept by reference, so that nothing is copied or written for it;
 * after a start there are those that its replay makes again. For each line the operator of the result is known: with
 * that, and the bounds and the key in the event, the original result is found.
 * Bounds: `DERIVED_BYTES_MAX` of bodies and `RECORDS_MAX` of them (a short body may hold a block of 8 KiB); the oldest
 * go first.
 */
import { columnNames } from '../../expressions/result-columns.ts';
import type { Plan } from '../../plan.ts';
import type { EventsRecord } from '../engine.ts';
import type { ResultPlace } from '../port.ts';
import type { DerivedBatch, LinesOf } from './derived-body.ts';
import { DERIVED_BYTES_MAX } from './derived-limits.ts';

const RECORDS_MAX = 2048;

export interface DerivedRecord {
  readonly record: EventsRecord;
  readonly contextBytes: number;
  readonly from: readonly LinesOf[];
  /** By which operators are numbered. */
  readonly plan: Plan;
}

export class DerivedRecords {
  /** By number, oldest first. */
  readonly #records = new Map<number, DerivedRecord>();
  #bytes = 0;

  /** A number that a record was refused under is given again: what was made of that one is not there any more. */
  add(seq: number, { contextBytes, from, record }: DerivedBatch, plan: Plan): void {
    this.#drop(seq);
    this.#records.set(seq, { record, contextBytes, from, plan });
    this.#bytes += record.body.byteLength;
    for (const oldest of this.#records.keys()) {
      if (this.#bytes <= DERIVED_BYTES_MAX && this.#records.size <= RECORDS_MAX) return;
      this.#drop(oldest);
    }
  }

  #drop(seq: number): void {
    this.#bytes -= this.#records.get(seq)?.record.body.byteLength ?? 0;
    this.#records.delete(seq);
  }

  /** Null: it is kept no more. */
  of(seq: number): DerivedRecord | null {
    return this.#records.get(seq) ?? null;
  }
}

/** Of the event on a line. A member counts where the event has it, not a value or member of the key of its name. */
export function resultBehind({ from, plan }: DerivedRecord, line: number, text: string): ResultPlace | null {
  const operator = plan.operators[from.findLast(({ first }) => first <= line)?.operator ?? -1];
  if (operator === undefined) return null;
  const event = JSON.parse(text) as Record<string, unknown>;
  const values = columnNames(plan, operator);
  const keyNames = plan.groups[operator.group]?.keyNames ?? [];
  const members = keyNames.filter((name) => !values.includes(name));
  const own = (name: string): boolean => !values.includes(name) && !keyNames.includes(name);
  return {
    stream: plan.streams[operator.stream]?.name ?? '',
    name: operator.name,
    key: Object.fromEntries(members.map((name) => [name, event[name] ?? null])),
    ...(own('start') && { start: event['start'] as number | null }),
    ...(own('end') && { end: event['end'] as number | null }),
    ...(own('pane') && { pane: event['pane'] as number }),
  };
}
