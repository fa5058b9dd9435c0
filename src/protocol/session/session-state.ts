/**
 * What this process holds of one session beyond the stored record: its requests in flight, its streams, its open
 * questions, and the changes it has still to be told of.
 *
 * Role: the same for both transports. Over HTTP the session speaks unasked on its own stream (`standalone`), on a
 * message connection it does so on the connection; `outlet` is the one or the other, or null while there is neither.
 * Invariants: made with the session's first request and dropped with its end; at most `streamsMax` streams, a stream
 * whose client has gone counted until its request ends; nothing is allocated before it is needed.
 */

import type { Principal } from '../../catalogue/define.ts';
import type { Dispatcher } from '../../dispatch/job.ts';
import type { Reply } from '../../frontend/port.ts';
import type { Log } from '../../observe/port.ts';
import { type Session, type SessionEnd, STANDALONE_STREAM } from '../../sessions/port.ts';
import type { AskRouter, Caller } from '../channel.ts';
import { fault } from '../faults.ts';
import type { Revision } from '../revisions.ts';
import { SessionAsks } from './ask-router.ts';
import { CallList } from './call-list.ts';
import { type ListKind, Notices, type Outlet } from './notices.ts';
import { SessionStream, type StreamHost } from './session-stream.ts';

/** What sessions share. */
export interface SessionHost extends StreamHost {
  readonly log: Log;
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly streamsMax: number;
  readonly asksMax: number;
  /** The session subscribed to `uri` or stopped to. */
  subscriptionsChanged(state: SessionState, uri: string): void;
}

export class SessionCaller implements Caller {
  readonly revision: Revision;
  readonly principal: Principal | null;
  readonly session: Session;
  readonly asks: AskRouter;

  constructor(session: Session, principal: Principal | null, asks: AskRouter) {
    this.revision = session.revision;
    this.principal = principal;
    this.session = session;
    this.asks = asks;
  }

  share(): string {
    return this.principal === null ? this.session.id : this.principal.id;
  }
}

const NOWHERE: Outlet = Object.freeze({ ready: false, send: () => undefined });
export const SESSION_ENDED = fault('sessionNotFound', 'the session has ended');

export class SessionState {
  readonly host: SessionHost;
  readonly calls = new CallList();
  readonly asks: SessionAsks;
  caller: SessionCaller;
  /** Where a message connection takes what belongs to no request; null over HTTP. */
  connection: Outlet | null = null;
  /** Told when the session ends, whatever the reason. */
  onEnd: ((why: SessionEnd) => void) | null = null;
  #ended = false;
  #standalone: SessionStream | null = null;
  #streams: Map<number, SessionStream> | null = null;
  #nextStreamId = STANDALONE_STREAM + 1;
  #notices: Notices | null = null;

  constructor(host: SessionHost, session: Session, principal: Principal | null) {
    this.host = host;
    this.asks = new SessionAsks(host.dispatcher, host.asksMax);
    this.caller = new SessionCaller(session, principal, this.asks);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get session(): Session {
    return this.caller.session;
  }

  /** A store elsewhere hands out a new record, a new token brings a new principal of the same id. */
  use(session: Session, principal: Principal | null): void {
    if (this.caller.session === session && this.caller.principal === principal) return;
    this.caller = new SessionCaller(session, principal, this.asks);
  }

  get roomForStream(): boolean {
    return this.#streams === null || this.#streams.size < this.host.streamsMax;
  }

  /** Opens the event stream that answers a POST. Null when the session has as many as it may. */
  openStream(reply: Reply): SessionStream | null {
    if (!reply.open || this.#ended || !this.roomForStream) return null;
    this.#streams ??= new Map();
    const stream = new SessionStream(this.host, this.session, this.#nextStreamId++);
    this.#streams.set(stream.streamId, stream);
    stream.attach(reply.openStream(), stream.primingFrame());
    return stream;
  }

  /** The last message of the stream is written: it ends, and can only be replayed from now on. */
  finishStream(stream: SessionStream): void {
    this.#streams?.delete(stream.streamId);
    stream.end();
  }

  /** The stream that a GET may carry on: the session's own, made here if need be, or that of a running request. */
  stream(streamId: number): SessionStream | undefined {
    if (this.#ended) return undefined;
    if (streamId !== STANDALONE_STREAM) return this.#streams?.get(streamId);
    if (this.#standalone === null) {
      this.#standalone = new SessionStream(this.host, this.session, STANDALONE_STREAM);
      this.#standalone.onReady = () => this.flush();
    }
    return this.#standalone;
  }

  /** Says something outside of any answer, if the client listens. */
  tell(message: Uint8Array | string): void {
    const outlet = this.#outlet();
    if (outlet.ready) outlet.send(message);
  }

  listChanged(kind: ListKind): void {
    this.#pending().list(kind, this.#outlet());
  }

  /** Only for URIs the session subscribes to. */
  resourceUpdated(uri: string): void {
    this.#pending().resource(uri, this.#outlet());
  }

  unsubscribed(uri: string): void {
    this.#notices?.forget(uri);
  }

  /** The outlet takes messages again. */
  flush(): void {
    this.#notices?.flush(this.#outlet());
  }

  /** The session is over: work stops, requests are answered with that, streams end. */
  end(why: SessionEnd): void {
    this.#ended = true;
    this.calls.endAll(`session ${why}`, SESSION_ENDED);
    this.#standalone?.end();
    for (const stream of this.#streams?.values() ?? []) stream.end();
    this.#streams = null;
    this.#notices = null;
    this.onEnd?.(why);
  }

  /** Ends what the client listens to, so that it comes back elsewhere; requests in flight go on. */
  closeListening(): void {
    this.#standalone?.end();
  }

  #pending(): Notices {
    this.#notices ??= new Notices();
    return this.#notices;
  }

  #outlet(): Outlet {
    return this.connection ?? this.#standalone ?? NOWHERE;
  }
}
