/**
 * What an event carries with it beside its fields: trace context and correlation id, its own or those of its batch.
 *
 * Role: read by operators where a result names the event, so that most events never have their context parsed. An
 * event's own context (that of a CloudEvent) comes before that of its batch.
 */
import type { EventBatch } from './decode/event-batch.ts';
import type { Evidence, Provenance } from './operator.ts';

/** Own texts; `''` for none. */
export interface OwnContext {
  readonly traceparent: string;
  readonly correlationId: string;
}

export const NO_CONTEXT: OwnContext = { traceparent: '', correlationId: '' };

const NONE: readonly string[] = [];

/** From the text the decoder wrote: a JSON object of CloudEvents attributes, or `''`. */
export function readContext(json: string): OwnContext {
  if (json === '') return NO_CONTEXT;
  const { correlationid, traceparent } = JSON.parse(json) as { correlationid?: unknown; traceparent?: unknown };
  return { traceparent: textOr(traceparent), correlationId: textOr(correlationid) };
}

const textOr = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Of the event, or else of its batch. */
export function contextOf(batch: EventBatch, row: number, { correlationId, traceparent }: Provenance): OwnContext {
  const own = readContext(batch.context(row));
  return {
    traceparent: own.traceparent === '' ? traceparent : own.traceparent,
    correlationId: own.correlationId === '' ? correlationId : own.correlationId,
  };
}

export function eventId({ seq }: Provenance, row: number): string {
  return `${seq}:${row}`;
}

/** A result of one event. */
export function evidenceOfEvent(batch: EventBatch, row: number, provenance: Provenance): Evidence {
  const { correlationId, traceparent } = contextOf(batch, row, provenance);
  return {
    events: [eventId(provenance, row)],
    traces: traceparent === '' ? NONE : [traceparent],
    correlationIds: correlationId === '' ? NONE : [correlationId],
  };
}

/** Distinct texts, without empty ones. */
export function distinctTexts(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].filter((text) => text !== '');
}
