/**
 * What this process holds of one session beyond the stored record: its requests in flight, its streams, its open
 * questions, and the changes it has still to be told of.
 *
 * Role: the same for both transports. Over HTTP the session speaks unasked on its own stream (`standalone`), on a
 * message connection it does so on the connection; `outlet` is the one or the other, or null while there is neither.
 * Over HTTP one node at a time holds the session's own stream; a node that knows it is another one (`elsewhere`) collects
 * nothing for it.
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
import type { FollowedStream } from './followed-stream.ts';
import { ALL_LISTS, type HeldNotices, type ListKind, Notices, type Outlet } from './notices.ts';
import type { RecentChanges } from './recent-changes.ts';
import { SessionStream, type StreamHost } from './session-stream.ts';

/** What sessions share. */
export interface SessionHost extends StreamHost {
  readonly log: Log;
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly streamsMax: number;
  readonly asksMax: number;
  /** Null: no other node serves these sessions. */
  readonly recent: RecentChanges | null;
  /** The session subscribed to `uri` or stopped to. */
  subscriptionsChanged(state: SessionState, uri: string): void;
}

class SessionCaller implements Caller {
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
  /** Streams of other nodes that are carried here. */
  #followed: Map<number, FollowedStream> | null = null;
  #elsewhere = false;
  /** Since the session was opened, or since this node was about to hold its own stream. */
  #collects = false;
  #notices: Notices | null = null;

  constructor(host: SessionHost, session: Session, principal: Principal | null) {
    this.host = host;
    this.asks = new SessionAsks(host.dispatcher, host.asksMax, host.relay === null ? '' : host.relay.tag);
    this.caller = new SessionCaller(session, principal, this.asks);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Another node was the last one known to hold the session's own stream. */
  get elsewhere(): boolean {
    return this.#elsewhere;
  }

  /** Nothing that the session has to be told can have been missed here since it was opened or held here. */
  get collects(): boolean {
    return this.#collects;
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
    const stream = new SessionStream(this.host, this.session, this.host.events.newStream(this.session.id));
    this.#streams.set(stream.streamId, stream);
    stream.begin(reply.openStream());
    return stream;
  }

  /** The last message of the stream is written: it ends, and can only be replayed from now on. */
  finishStream(stream: SessionStream): void {
    this.#streams?.delete(stream.streamId);
    stream.finish();
  }

  /** Room for another stream of another node, or an older carrier of it. */
  roomToFollow(streamId: number): boolean {
    const followed = this.#followed;
    return followed === null || followed.size < this.host.streamsMax || followed.has(streamId);
  }

  /** Carries a stream of another node; whoever carried it here ends. */
  follow(streamId: number, stream: FollowedStream): void {
    this.#followed ??= new Map();
    this.#followed.get(streamId)?.end();
    this.#followed.set(streamId, stream);
  }

  followed(streamId: number): FollowedStream | undefined {
    return this.#followed?.get(streamId);
  }

  unfollow(streamId: number, stream: FollowedStream): void {
    if (this.#followed?.get(streamId) === stream) this.#followed.delete(streamId);
  }

  /** Opened here just now: there was nothing to tell before. */
  opened(): void {
    this.#collects = true;
  }

  /** Another node holds the session's own stream. Returns what it has to tell for this one. */
  letGo(): HeldNotices {
    this.#elsewhere = true;
    this.#collects = false;
    this.#standalone?.end();
    return this.#notices?.take() ?? { lists: 0, uris: [] };
  }

  /** This node is about to hold it: what changes from now on is kept here, and what it may have heard of too early. */
  collect(): void {
    this.#elsewhere = false;
    if (this.#collects || this.host.recent === null) return;
    this.#collects = true;
    this.#pending().hold(this.host.recent.of(this.session.subscriptions));
  }

  /** This node holds it now. Null: whoever did has gone, and nobody knows what it had still to tell. */
  hold(left: HeldNotices | null): void {
    this.#elsewhere = false;
    this.#pending().hold(left ?? { lists: ALL_LISTS, uris: [...this.session.subscriptions] });
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
    if (this.tellHere(message)) return;
    const { relay } = this.host;
    if (relay === null || this.connection !== null) return;
    const text = typeof message === 'string' ? message : Buffer.from(message).toString('utf8');
    relay.broadcast('say', this.session.id, text);
  }

  /** False: the client does not listen here. */
  tellHere(message: Uint8Array | string): boolean {
    const outlet = this.#outlet();
    if (!outlet.ready) return false;
    outlet.send(message);
    return true;
  }

  listChanged(kind: ListKind): void {
    if (!this.#elsewhere) this.#pending().list(kind, this.#outlet());
  }

  /** Only for URIs the session subscribes to. */
  resourceUpdated(uri: string): void {
    if (!this.#elsewhere) this.#pending().resource(uri, this.#outlet());
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
    for (const stream of this.#followed?.values() ?? []) stream.end();
    this.#streams = null;
    this.#followed = null;
    this.#notices = null;
    this.onEnd?.(why);
  }

  /** Ends what the client listens to, so that it comes back elsewhere; requests in flight go on. */
  closeListening(): void {
    this.#standalone?.end();
    for (const stream of this.#followed?.values() ?? []) stream.end();
  }

  #pending(): Notices {
    this.#notices ??= new Notices();
    return this.#notices;
  }

  #outlet(): Outlet {
    return this.connection ?? this.#standalone ?? NOWHERE;
  }
}
