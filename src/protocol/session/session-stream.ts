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
 * which ends. Who may attach and when the stream is over is decided by others. A client that came back on another node
 * is served there from the log (`followed-stream.ts`); this side then tells that node when there is more to read.
 */
import type { EventStream } from '../../frontend/port.ts';
import type { EventLog, Session, SessionRelay } from '../../sessions/port.ts';
import { type Beating, type KeepAlive, NO_SLOT } from './keep-alive.ts';
import type { Outlet } from './notices.ts';

/** What streams share. */
export interface StreamHost {
  readonly events: EventLog;
  /** Null: no other node serves these sessions. */
  readonly relay: SessionRelay | null;
  readonly keepAlive: KeepAlive;
  /** The session is in use, though nothing is asked. */
  touch(session: Session): void;
}

/** Kinds of messages to the node that carries a stream. */
export const APPENDED = 'appended';
export const OVER = 'over';
/** Somebody else carries it. */
export const MOVED = 'moved';

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
  /** The node that carries it to the client; `''`: this one, or none. */
  #follower = '';
  /** The follower is being told of what was said; `again`: of more than was known of when that began. */
  #telling = false;
  #again = false;
  #over = false;

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
    if (this.#follower !== '') this.#tellFollower();
  }

  /** The node that carries it, `''`: this one, or none. */
  get follower(): string {
    return this.#follower;
  }

  /** Another node carries it from now on. */
  follow(tag: string): void {
    this.end();
    this.#leaveFollower(tag);
  }

  /** Nothing more will be said. */
  finish(): void {
    this.end();
    this.#host.events.finish(this.#session.id, this.streamId);
    this.#over = true;
    if (this.#follower !== '') this.#tellFollower();
  }

  /** Makes `connection` the one that carries the stream. `opening` is what it says first, as frames, or `''`. */
  attach(connection: EventStream, opening: string): void {
    const old = this.#connection;
    this.#connection = null;
    this.#leaveFollower('');
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

  #leaveFollower(next: string): void {
    const old = this.#follower;
    this.#follower = next;
    if (old !== '' && old !== next) this.#host.relay?.tell(old, MOVED, this.#session.id, String(this.streamId));
  }

  /** Once what was said can be read. What is said until then is told with it, or right after. */
  #tellFollower(): void {
    this.#again = true;
    if (this.#telling) return;
    this.#telling = true;
    this.#tell().then(
      () => (this.#telling = false),
      // Not stored: the other side asks and reads by itself from time to time.
      () => (this.#telling = false),
    );
  }

  async #tell(): Promise<void> {
    const { events, relay } = this.#host;
    while (this.#again && this.#follower !== '') {
      this.#again = false;
      const kind = this.#over ? OVER : APPENDED;
      await events.stored(this.#session.id);
      relay?.tell(this.#follower, kind, this.#session.id, String(this.streamId));
    }
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
