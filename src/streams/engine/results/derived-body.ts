/**
 * Results of one stream as a body of events for another, with the contexts the events bring.
 *
 * Role: between the fan-out, which collects them, and the engine, which gives them to their stream as one batch. Where
 * all have the same single context it is the batch's, as if they had come in with it; otherwise one line for each event
 * stands behind the events.
 */
import { isSeveral, NO_CONTEXT, type OwnContext, writeContext } from '../../event-context.ts';
import type { EventsRecord } from '../engine.ts';

/** Lines from `first` on are results of one operator. */
export interface LinesOf {
  readonly operator: number;
  readonly first: number;
}

export interface DerivedEvents {
  readonly lines: string[];
  /** With rising `first`. */
  readonly from: LinesOf[];
  /** Of each line. */
  readonly contexts: OwnContext[];
}

export interface DerivedBatch {
  readonly record: EventsRecord;
  readonly contextBytes: number;
  readonly from: readonly LinesOf[];
}

/** `arrivalMs`: of the record they follow from, so that a replay stamps the same. */
export function recordOf(stream: string, arrivalMs: number, events: DerivedEvents): DerivedBatch {
  const { body, contextBytes, ofAll } = bodyOf(events);
  const origin = { source: 'stream', partition: '', position: '', batchId: '', setAside: '', unread: '' };
  const record = { kind: 'events', stream, format: 'ndjson', arrivalMs, ...origin, ...ofAll, body } as const;
  return { record, contextBytes, from: events.from };
}

interface DerivedBody {
  readonly body: Buffer;
  /** At the end of the body. */
  readonly contextBytes: number;
  readonly ofAll: OwnContext;
}

function bodyOf({ contexts, lines }: DerivedEvents): DerivedBody {
  const events = `${lines.join('\n')}\n`;
  const { correlationId, traceparent } = contexts[0] ?? NO_CONTEXT;
  const alike = contexts.every((each) => each.correlationId === correlationId && each.traceparent === traceparent);
  const ofAll = { traceparent, correlationId };
  if (alike && !isSeveral(ofAll)) return { body: Buffer.from(events), contextBytes: 0, ofAll };
  const behind = Buffer.from(`${contexts.map(writeContext).join('\n')}\n`);
  return {
    body: Buffer.concat([Buffer.from(events), behind]),
    contextBytes: behind.byteLength,
    ofAll: NO_CONTEXT,
  };
}
