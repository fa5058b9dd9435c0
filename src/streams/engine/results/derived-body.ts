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

/** A batch that is being gathered: as bytes, of which an event has fewer than as a text. */
export class DerivedEvents {
  /** With rising `first`. */
  readonly from: LinesOf[] = [];
  /** Of the results that came last. */
  seq: number;
  bytes = 0;
  /** Of each line. */
  readonly contexts: OwnContext[] = [];
  readonly #pieces: Buffer[] = [];

  constructor(seq: number) {
    this.seq = seq;
  }

  get count(): number {
    return this.contexts.length;
  }

  /** Results of the operator come next. */
  begin(operator: number): void {
    this.from.push({ operator, first: this.count });
  }

  /** Takes the lines before the first one that does not fit into `room` bytes. Gives how many do not come in. */
  add(lines: readonly string[], contexts: readonly OwnContext[], room: number): number {
    if (lines.length === 0) return 0;
    let piece = Buffer.from(`${lines.join('\n')}\n`);
    let fit = lines.length;
    if (piece.byteLength > room) {
      piece = piece.subarray(0, piece.lastIndexOf(LINE_FEED, Math.max(0, room - 1)) + 1);
      fit = piece.reduce((sum, byte) => sum + (byte === LINE_FEED ? 1 : 0), 0);
    }
    this.#pieces.push(piece);
    this.bytes += piece.byteLength;
    for (let i = 0; i < fit; i++) this.contexts.push(contexts[i] as OwnContext);
    return lines.length - fit;
  }

  /** The events, with `behind` behind them. */
  body(behind: Buffer | null): Buffer {
    const pieces = behind === null ? this.#pieces : [...this.#pieces, behind];
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces);
  }
}

export interface DerivedBatch {
  readonly record: EventsRecord;
  readonly contextBytes: number;
  readonly from: readonly LinesOf[];
}

const LINE_FEED = 10;

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

function bodyOf(events: DerivedEvents): DerivedBody {
  const { contexts } = events;
  const { correlationId, traceparent } = contexts[0] ?? NO_CONTEXT;
  const alike = contexts.every((each) => each.correlationId === correlationId && each.traceparent === traceparent);
  const ofAll = { traceparent, correlationId };
  if (alike && !isSeveral(ofAll)) return { body: events.body(null), contextBytes: 0, ofAll };
  const behind = Buffer.from(`${contexts.map(writeContext).join('\n')}\n`);
  return { body: events.body(behind), contextBytes: behind.byteLength, ofAll: NO_CONTEXT };
}
