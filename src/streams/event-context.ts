/**
 * What an event carries with it beside its fields: trace context and correlation id, its own or those of its batch.
 *
 * Role: read by operators where a result names the event, so that most events never have their context parsed. An
 * event's own context (that of a CloudEvent, or of the result it was made of) comes before that of its batch.
 * An event made of a result has all contexts of the result, at most `EVIDENCE_MAX`, as one text: `CONTEXT_SEPARATOR`
 * stands between them. A CloudEvents attribute and a header cannot have that character.
 */
import type { EventBatch } from './decode/event-batch.ts';
import { EVIDENCE_MAX, type Evidence, type Provenance } from './operator.ts';

export const CONTEXT_SEPARATOR = '\u001f';
/** Longer texts do not go on into events made of results: half an id would be another id. */
const CARRIED_TEXT_MAX = 256;

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

/** What an event made of a result has of it. */
export function contextOfResult({ correlationIds, traces }: Omit<Evidence, 'events'>): OwnContext {
  if (correlationIds.length === 0 && traces.length === 0) return NO_CONTEXT;
  return { traceparent: carried(traces), correlationId: carried(correlationIds) };
}

const carried = (texts: readonly string[]): string =>
  texts
    .filter(({ length }) => length <= CARRIED_TEXT_MAX)
    .slice(0, EVIDENCE_MAX)
    .join(CONTEXT_SEPARATOR);

/** As `readContext` takes it; `''` for nothing. Without line feeds. */
export function writeContext({ correlationId, traceparent }: OwnContext): string {
  if (traceparent === '' && correlationId === '') return '';
  return JSON.stringify({ traceparent, correlationid: correlationId });
}

export const isSeveral = ({ correlationId, traceparent }: OwnContext): boolean =>
  traceparent.includes(CONTEXT_SEPARATOR) || correlationId.includes(CONTEXT_SEPARATOR);

/** The contexts in a text of an event. */
export function contextTexts(text: string): readonly string[] {
  if (text === '') return NONE;
  return text.includes(CONTEXT_SEPARATOR) ? text.split(CONTEXT_SEPARATOR).slice(0, EVIDENCE_MAX) : [text];
}

/** A result of one event. */
export function evidenceOfEvent(batch: EventBatch, row: number, provenance: Provenance): Evidence {
  const { correlationId, traceparent } = contextOf(batch, row, provenance);
  return evidenceOf(eventId(provenance, row), traceparent, correlationId);
}

/** Of one event and its texts, `''` for none. */
export function evidenceOf(event: string, traceparent: string, correlationId: string): Evidence {
  return {
    events: [event],
    traces: contextTexts(traceparent),
    correlationIds: contextTexts(correlationId),
  };
}

/** Distinct contexts in texts of events, without empty ones. */
export function distinctTexts(texts: readonly string[]): readonly string[] {
  const distinct: string[] = [];
  for (const text of texts) {
    for (const each of contextTexts(text)) {
      if (each !== '' && distinct.length < EVIDENCE_MAX && !distinct.includes(each)) distinct.push(each);
    }
  }
  return distinct;
}
