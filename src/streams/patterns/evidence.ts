/**
 * The events behind a match, as results show them: ids, trace contexts and correlation ids, the newest ones.
 *
 * Role: read when a match is given out, so that most events never have their context parsed. An event's own context
 * (that of a CloudEvent) comes before that of its batch.
 */
import { EVIDENCE_MAX, type Evidence } from '../operator.ts';
import type { KeptEvent, Taken } from './taken.ts';

interface OwnContext {
  readonly id?: unknown;
  readonly traceparent?: unknown;
  readonly correlationId?: unknown;
}

export function evidenceOf(taken: Taken): Evidence {
  const events: string[] = [];
  const traces: string[] = [];
  const correlationIds: string[] = [];
  for (let link: Taken | null = taken; link !== null && events.length < EVIDENCE_MAX; link = link.parent) {
    const { event } = link;
    const own = ownContext(event);
    events.push(textOr(own.id, `${event.seq}:${event.row}`));
    const trace = textOr(own.traceparent, event.traceparent);
    if (trace !== '' && !traces.includes(trace)) traces.push(trace);
    const correlationId = textOr(own.correlationId, event.correlationId);
    if (correlationId !== '' && !correlationIds.includes(correlationId)) correlationIds.push(correlationId);
  }
  return { events: events.reverse(), traces: traces.reverse(), correlationIds: correlationIds.reverse() };
}

function textOr(value: unknown, otherwise: string): string {
  return typeof value === 'string' && value !== '' ? value : otherwise;
}

/** The decoder writes contexts: they are JSON objects. */
function ownContext({ context }: KeptEvent): OwnContext {
  return context === '' ? {} : (JSON.parse(context) as OwnContext);
}
