/**
 * One resumable event stream of a session: the answer to a POST, or the session's own stream (GET).
 *
 * Role: gives every message an event id, keeps it in the event log, and writes it to the connection that carries the
 * stream at the moment, if there is one. Connections come and go; the stream goes on.
 *
 *   write ──► event log ──► connection (0 or 1)      a GET with Last-Event-ID attaches another one
 *
 * Invariants: a message is in the log before it is on the wire, in the same turn and the same order, so that a
 * connection attached after a replay continues without gap or duplicate; a newer connection replaces an older one,
 * which ends. Who may attach and when the stream is over is decided by others.
 */
import type { EventStream } from '../../frontend/port.ts';
import type { EventLog, Session } from '../../sessions/port.ts';
import { type Beating, type KeepAlive, NO_SLOT } from './keep-alive.ts';
import type { Outlet } from './notices.ts';

/** What streams share. */
export interface StreamHost {
  readonly events: EventLog;
  readonly keepAlive: KeepAlive;
  /** The session is in use, though nothing is asked. */
  touch(session: Session): void;
}

/** A comment: nothing to the client, life to every proxy on the way. */
const KEEP_ALIVE_FRAME = ':\n\n';

export class SessionStream implements Beating, Outlet {
  keepAliveSlot = NO_SLOT;
  readonly streamId: number;
  /** Called when the connection can take more again, or when there is a new one. */
  onReady: (() => void) | null = null;
  /** Messages written so far; tells a resumption whether it missed one while it read the log. */
  written = 0;
  readonly #host: StreamHost;
  readonly #session: Session;
  #connection: EventStream | null = null;
  #spoke = false;

  constructor(host: StreamHost, session: Session, streamId: number) {
    this.#host = host;
    this.#session = session;
    this.streamId = streamId;
  }

  get connection(): EventStream | null {
    return this.#connection;
  }

  get connected(): boolean {
    return this.#connection?.open === true;
  }

  get congested(): boolean {
    return this.#connection?.congested === true;
  }

  get ready(): boolean {
    return this.connected && !this.congested;
  }

  /** `message` is lent. */
  send(message: Uint8Array | string): void {
    const text = typeof message === 'string' ? message : textOf(message);
    const id = this.#host.events.append(this.#session.id, this.streamId, text);
    this.written++;
    this.#frame(eventFrame(id, text));
  }

  /** Makes `connection` the one that carries the stream. `opening` is what it says first, as frames, or `''`. */
  attach(connection: EventStream, opening: string): void {
    const old = this.#connection;
    this.#connection = null;
    if (old !== null) release(old);
    this.#connection = connection;
    connection.onDrain = () => this.onReady?.();
    this.#host.keepAlive.add(this);
    if (opening !== '') this.#frame(opening);
    if (this.ready) this.onReady?.();
  }

  /** An id to resume from before there is a message. `''` for revisions whose clients do not expect an empty event. */
  primingFrame(): string {
    if (!this.#session.revision.ssePolling) return '';
    return `id: ${this.#host.events.mark(this.#session.id, this.streamId)}\ndata: \n\n`;
  }

  /** Ends the connection and tells the client when to come back for the rest. */
  sendAway(retryMs: number): void {
    this.#frame(`retry: ${retryMs}\n\n`);
    this.end();
  }

  /** The connection broke. Another one that has taken over is left alone. */
  detach(connection: EventStream): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    connection.onDrain = null;
    this.#host.keepAlive.remove(this);
  }

  /** Ends the connection, if there is one. */
  end(): void {
    const connection = this.#connection;
    if (connection === null) return;
    this.detach(connection);
    release(connection);
  }

  beat(): void {
    const connection = this.#connection;
    if (connection === null) return;
    if (!connection.open) {
      this.detach(connection);
      return;
    }
    this.#host.touch(this.#session);
    if (!this.#spoke && !connection.congested) connection.write(KEEP_ALIVE_FRAME);
    this.#spoke = false;
  }

  #frame(frame: string): void {
    const connection = this.#connection;
    if (connection === null || !connection.open) return;
    this.#spoke = true;
    connection.write(frame);
  }
}

/** One message as an event. Encoded JSON holds no line break, so one data line is enough. */
export function eventFrame(id: string, message: string): string {
  return `event: message\nid: ${id}\ndata: ${message}\n\n`;
}

function release(connection: EventStream): void {
  connection.onDrain = null;
  if (connection.open) connection.end();
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
