/**
 * The embedded event log: what the streams of each session sent, kept so that `Last-Event-ID` can resume them.
 *
 * Role: gives every event of a session an id and, asked for what follows an id, answers with all of it or with null,
 * never with a part. Bounded per session by events and by bytes: the oldest event of any stream is dropped first.
 *
 *   id = <stream>.<sequence>   both base 36; the sequence is the session's, so ids are unique across its streams
 *   events:  [ dropped … | head … kept … ]      streams: stream → first and last sequence given, highest one dropped
 *
 * Invariants: an id resumes only if its stream dropped nothing after it; a stream's record outlives its events (a
 * quiet stream stays resumable while others churn) but there are never more than `eventsMax` records per session, the
 * oldest without events going first; the standalone stream's is never forgotten. Stream ids count from 1.
 */
import { decodeEventId, encodeEventId } from './event-id.ts';
import { type EventLog, STANDALONE_STREAM } from './port.ts';

export interface EventLogLimits {
  /** Events kept per session, and streams remembered. */
  readonly eventsMax: number;
  /** Bytes kept per session, `EVENT_OVERHEAD_BYTES` per event included. */
  readonly eventBytesMax: number;
}

/** What an event costs beside its message: the record, its place in the ring, string headers. */
export const EVENT_OVERHEAD_BYTES = 96;
/** Dropped places tolerated at the front before the array is compacted. */
const HEAD_SLACK = 32;

interface Event {
  readonly streamId: number;
  readonly sequence: number;
  readonly message: string;
  readonly bytes: number;
}

interface StreamRecord {
  readonly first: number;
  last: number;
  dropped: number;
  kept: number;
}

class SessionEvents {
  nextStreamId = STANDALONE_STREAM + 1;
  #nextSequence = 0;
  #bytes = 0;
  #events: Event[] = [];
  #head = 0;
  readonly #streams = new Map<number, StreamRecord>();
  readonly #limits: EventLogLimits;

  constructor(limits: EventLogLimits) {
    this.#limits = limits;
  }

  /** Gives out the next sequence number of the session to a stream. */
  issue(streamId: number): number {
    const sequence = this.#nextSequence++;
    const record = this.#streams.get(streamId);
    if (record !== undefined) {
      record.last = sequence;
      return sequence;
    }
    if (streamId !== STANDALONE_STREAM && this.#forgettable() >= this.#limits.eventsMax) this.#forgetOneStream();
    this.#streams.set(streamId, { first: sequence, last: sequence, dropped: -1, kept: 0 });
    return sequence;
  }

  keep(streamId: number, sequence: number, message: string, messageBytes: number): void {
    const { eventsMax, eventBytesMax } = this.#limits;
    const event = { streamId, sequence, message, bytes: messageBytes + EVENT_OVERHEAD_BYTES };
    const record = this.#streams.get(streamId);
    if (event.bytes > eventBytesMax) {
      // Keeping it would push out every other event first and itself last.
      if (record !== undefined) record.dropped = sequence;
      return;
    }
    this.#events.push(event);
    this.#bytes += event.bytes;
    if (record !== undefined) record.kept++;
    while (this.#events.length - this.#head > eventsMax || this.#bytes > eventBytesMax) this.#dropOldest();
  }

  after(streamId: number, sequence: number): { id: string; message: string }[] | null {
    const record = this.#streams.get(streamId);
    if (record === undefined || sequence < record.first || sequence > record.last) return null;
    if (sequence < record.dropped) return null;
    const found: { id: string; message: string }[] = [];
    for (let i = this.#head; i < this.#events.length; i++) {
      const event = this.#events[i];
      if (event === undefined || event.streamId !== streamId || event.sequence <= sequence) continue;
      found.push({ id: encodeEventId(streamId, event.sequence), message: event.message });
    }
    return found;
  }

  #dropOldest(): void {
    const event = this.#events[this.#head++];
    if (event === undefined) return;
    this.#bytes -= event.bytes;
    const record = this.#streams.get(event.streamId);
    if (record !== undefined) {
      record.kept--;
      record.dropped = Math.max(record.dropped, event.sequence);
    }
    if (this.#head > HEAD_SLACK && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  #forgettable(): number {
    return this.#streams.size - (this.#streams.has(STANDALONE_STREAM) ? 1 : 0);
  }

  /** Called with `eventsMax` forgettable records: if all keep an event, each keeps exactly one, so the oldest goes. */
  #forgetOneStream(): void {
    for (const [streamId, record] of this.#streams) {
      if (record.kept > 0 || streamId === STANDALONE_STREAM) continue;
      this.#streams.delete(streamId);
      return;
    }
    const oldest = this.#events[this.#head];
    this.#dropOldest();
    if (oldest !== undefined) this.#streams.delete(oldest.streamId);
  }
}

export class MemoryEventLog implements EventLog {
  /** Never called: there is no other node. */
  onFenced: ((sessionId: string) => void) | null = null;
  readonly #limits: EventLogLimits;
  readonly #sessions = new Map<string, SessionEvents>();

  constructor(limits: EventLogLimits) {
    this.#limits = limits;
  }

  /** Sessions with a record; `drop` removes one. */
  get size(): number {
    return this.#sessions.size;
  }

  newStream(sessionId: string): number {
    return this.#session(sessionId).nextStreamId++;
  }

  finish(): void {
    // What it said stays until it is pushed out.
  }

  append(sessionId: string, streamId: number, message: Uint8Array | string): string {
    const session = this.#session(sessionId);
    const sequence = session.issue(streamId);
    if (typeof message === 'string') {
      session.keep(streamId, sequence, message, Buffer.byteLength(message));
    } else {
      const text = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('utf8');
      session.keep(streamId, sequence, text, message.byteLength);
    }
    return encodeEventId(streamId, sequence);
  }

  mark(sessionId: string, streamId: number): string {
    return encodeEventId(streamId, this.#session(sessionId).issue(streamId));
  }

  after(
    sessionId: string,
    lastEventId: string,
  ): { streamId: number; events: { id: string; message: string }[] } | null {
    const session = this.#sessions.get(sessionId);
    const id = session === undefined ? null : decodeEventId(lastEventId);
    if (session === undefined || id === null) return null;
    const events = session.after(id.streamId, id.sequence);
    return events === null ? null : { streamId: id.streamId, events };
  }

  takeStandalone(): boolean {
    return true;
  }

  standaloneHolder(): string {
    return '';
  }

  stored(): void {
    // There is nobody else to read it.
  }

  untilStored(): number {
    return 0;
  }

  drop(sessionId: string): void {
    this.#sessions.delete(sessionId);
  }

  #session(sessionId: string): SessionEvents {
    let session = this.#sessions.get(sessionId);
    if (session === undefined) {
      session = new SessionEvents(this.#limits);
      this.#sessions.set(sessionId, session);
    }
    return session;
  }
}
