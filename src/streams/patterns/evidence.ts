/**
 * The events behind a match, as results show them: ids, trace contexts and correlation ids, the newest ones.
 *
 * Role: read when a match is given out, so that most events never have their context parsed. An event's own context
 * (that of a CloudEvent) comes before that of its batch.
 */
import { contextTexts, readContext } from '../event-context.ts';
import { EVIDENCE_MAX, type Evidence } from '../operator.ts';
import type { Taken } from './taken.ts';

export function evidenceOf(taken: Taken): Evidence {
  const events: string[] = [];
  const traces: string[] = [];
  const correlationIds: string[] = [];
  for (let link: Taken | null = taken; link !== null && events.length < EVIDENCE_MAX; link = link.parent) {
    const { context, correlationId, row, seq, traceparent } = link.event;
    const own = readContext(context);
    events.push(`${seq}:${row}`);
    note(traces, own.traceparent, traceparent);
    note(correlationIds, own.correlationId, correlationId);
  }
  return { events: events.reverse(), traces: traces.reverse(), correlationIds: correlationIds.reverse() };
}

function note(texts: string[], own: string, ofBatch: string): void {
  for (const text of contextTexts(own === '' ? ofBatch : own)) {
    if (text !== '' && texts.length < EVIDENCE_MAX && !texts.includes(text)) texts.push(text);
  }
}
