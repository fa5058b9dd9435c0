/**
 * One resumable event stream of a session: the answer to a POST, or the session's own stream (GET).
 *
 * Role: gives every message an event id, keeps it in the event log, and writes it to the connection that carries the
 * stream at the moment, if there is one. Connections come and go; the stream goes on.
 *
 *   write ──► event log ──stored──► connection (0 or 1)      a GET with Last-Event-ID attaches another one
 *                └──► held ──┘
 *
 * Invariants: a message is in the log, where every node that may serve the session can read it, before it is on the
 * wire, and in the same order, so that a connection attached after a replay continues without gap or duplicate, here or
 * elsewhere. With a log of this node alone that is the turn in which it is written; with one elsewhere it is held until
 * then, `HELD_CHARS_MAX` at most, past which it goes out unstored, as it does while nothing can be stored. What is held
 * belongs to the connection: whoever attaches after a replay has it from there. A newer connection replaces an older
 * one, which ends. Who may attach and when the stream is over is decided by others. A client that came back on another
 * node is served there from the log (`followed-stream.ts`); this side then tells that node when there is more to read.
 */
import type { EventStream } from '../../frontend/port.ts';
import { COMMENT_FRAME, primingFrame, resumableFrame, retryFrame } from '../../frontend/sse.ts';
import type { EventLog, Session, SessionRelay, StoredListener } from '../../sessions/port.ts';
import { HeldFrames } from './held-frames.ts';
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

/** Held by one stream. Reached: what can be coalesced waits, as for a slow reader. */
const HELD_CHARS_READY = 65_536;
const HELD_CHARS_MAX = 1_048_576;

export class SessionStream implements Beating, Outlet, StoredListener {
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
  /** Not stored yet. Made with the first: a log of this node alone needs none. */
  #held: HeldFrames | null = null;
  /** The connection ends when what is held is written; what is said meanwhile is for the next one. */
  #isLeaving = false;
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
    return this.#connection?.congested === true || (this.#held !== null && this.#held.chars > HELD_CHARS_READY);
  }

  get ready(): boolean {
    return this.connected && !this.congested && !this.#isLeaving;
  }

  /** `message` is lent. */
  send(message: Uint8Array | string): void {
    const text = typeof message === 'string' ? message : textOf(message);
    const id = this.#host.events.append(this.#session.id, this.streamId, text);
    this.written++;
    this.#say(resumableFrame(id, text));
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
    this.#leave('');
    this.#host.events.finish(this.#session.id, this.streamId);
    this.#over = true;
    if (this.#follower !== '') this.#tellFollower();
  }

  /** Makes `connection` the one that carries the stream from now on. */
  begin(connection: EventStream): void {
    this.#carry(connection);
    // An id to resume from before there is a message, for revisions whose clients expect an empty event.
    if (this.#session.revision.ssePolling) {
      this.#say(primingFrame(this.#host.events.mark(this.#session.id, this.streamId)));
    }
    if (this.ready) this.onReady?.();
  }

  /** As `begin`, for a client that has read the log: `replayed`, as frames, is all that was written since its last id. */
  resume(connection: EventStream, replayed: string): void {
    this.#held?.clear();
    this.#carry(connection);
    if (replayed !== '') this.#frame(replayed);
    if (this.ready) this.onReady?.();
  }

  #carry(connection: EventStream): void {
    const old = this.#connection;
    this.#connection = null;
    this.#isLeaving = false;
    this.#leaveFollower('');
    if (old !== null) release(old);
    this.#connection = connection;
    connection.onDrain = () => {
      if (this.ready) this.onReady?.();
    };
    this.#host.keepAlive.add(this);
  }

  /** Ends the connection and tells the client when to come back for the rest. */
  sendAway(retryMs: number): void {
    this.#leave(retryFrame(retryMs));
  }

  /** The connection broke. Another one that has taken over is left alone. */
  detach(connection: EventStream): void {
    if (this.#connection !== connection) return;
    this.#connection = null;
    this.#held?.clear();
    connection.onDrain = null;
    this.#host.keepAlive.remove(this);
  }

  stored(place: number): boolean {
    const held = this.#held;
    if (held === null) return false;
    const wasReady = this.ready;
    const frames = held.take(place);
    if (frames !== '') this.#frame(frames);
    if (this.#isLeaving && held.empty) this.end();
    else if (!wasReady && this.ready) this.onReady?.();
    return !held.empty;
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
    if (!this.#spoke && !connection.congested) connection.write(COMMENT_FRAME);
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

  /** To the connection, as soon as it is stored. */
  #say(frame: string): void {
    if (!this.connected || this.#isLeaving) return;
    const place = this.#host.events.untilStored(this.#session.id, this);
    if (place === 0) {
      this.#frame(this.#held === null ? frame : this.#held.take(Number.POSITIVE_INFINITY) + frame);
      return;
    }
    this.#held ??= new HeldFrames();
    this.#held.add(frame, place);
    if (this.#held.chars > HELD_CHARS_MAX) this.stored(Number.POSITIVE_INFINITY);
  }

  /** Ends the connection after what was said, and `frame`. */
  #leave(frame: string): void {
    if (this.#isLeaving) return;
    if (this.#held === null || this.#held.empty) {
      if (frame !== '') this.#frame(frame);
      this.end();
      return;
    }
    if (frame !== '') this.#held.addToLast(frame);
    this.#isLeaving = true;
  }

  #frame(frame: string): void {
    const connection = this.#connection;
    if (connection === null || !connection.open) return;
    this.#spoke = true;
    connection.write(frame);
  }
}

function release(connection: EventStream): void {
  connection.onDrain = null;
  if (connection.open) connection.end();
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
