/**
 * The events behind a match, as results show them: ids, trace contexts and correlation ids, the newest ones.
 *
 * Role: read when a match is given out, so that most events never have their context parsed. An event's own context
 * (that of a CloudEvent) comes before that of its batch.
 * The identity of a match is these ids and a digest of all its events, of which there may be more.
 */
import { contextTexts, readContext } from '../event-context.ts';
import type { LineBuffer } from '../lines/line-buffer.ts';
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
  events.reverse();
  return new MatchEvidence(
    events,
    traces.reverse(),
    correlationIds.reverse(),
    `${hexOf(taken.high)}${hexOf(taken.low)}`,
  );
}

class MatchEvidence implements Evidence {
  readonly events: readonly string[];
  readonly traces: readonly string[];
  readonly correlationIds: readonly string[];
  /** Of all events. */
  readonly digest: string;

  constructor(events: readonly string[], traces: readonly string[], correlationIds: readonly string[], digest: string) {
    this.events = events;
    this.traces = traces;
    this.correlationIds = correlationIds;
    this.digest = digest;
  }

  writeIdentity(out: LineBuffer): void {
    out.text(`${this.events.join('+')}~${this.digest}`);
  }
}

const hexOf = (word: number): string => (word >>> 0).toString(16).padStart(8, '0');

function note(texts: string[], own: string, ofBatch: string): void {
  for (const text of contextTexts(own === '' ? ofBatch : own)) {
    if (text !== '' && texts.length < EVIDENCE_MAX && !texts.includes(text)) texts.push(text);
  }
}
