/**
 * Ports of the session era: the session store and the event log behind `Last-Event-ID`.
 *
 * Role: what a session is, wherever it is kept. `memory-*.ts` are the embedded implementations; every implementation
 * runs the contract suite in `test/sessions/`. A port answers at once from what it knows locally and with a promise
 * otherwise, so the common path stays synchronous.
 */
import type { Revision } from '../protocol/revisions.ts';

export type MaybePromise<T> = T | Promise<T>;

export interface Session {
  /** 128 bits of randomness or more, visible ASCII. */
  readonly id: string;
  readonly revision: Revision;
  /** Null without authentication. A session is only ever served to the principal that opened it. */
  readonly principalId: string | null;
  readonly clientCapabilities: Record<string, unknown>;
  readonly clientInfo: { name: string; version: string; [member: string]: unknown };
  /** `''` until `logging/setLevel`. */
  logLevel: string;
  /** URIs of `resources/subscribe`; bounded. */
  readonly subscriptions: Set<string>;
  initialized: boolean;
  /** Monotonic milliseconds. */
  lastSeenAtMs: number;
  /**
   * To be called after `logLevel`, `initialized` or `subscriptions` were changed: other nodes learn of it. At once where
   * there are none; rejects when it could not be stored, and the record is then as it was before.
   */
  save(): MaybePromise<void>;
}

export interface SessionInit {
  readonly revision: Revision;
  readonly principalId: string | null;
  readonly clientCapabilities: Record<string, unknown>;
  readonly clientInfo: Session['clientInfo'];
}

/** `released`: this node no longer holds it, unused here for long; it goes on wherever it is used. */
export type SessionEnd = 'deleted' | 'expired' | 'evicted' | 'closed' | 'released';

/**
 * Bounded by count, TTL since last use, and least-recently-used eviction. What cannot be answered because a store
 * elsewhere is away rejects: a session that may exist is never called unknown.
 */
export interface SessionStore {
  create(init: SessionInit, nowMs: number): MaybePromise<Session>;
  /** Undefined when unknown, expired or another principal's. Marks it used. */
  get(id: string, principalId: string | null, nowMs: number): MaybePromise<Session | undefined>;
  delete(id: string): MaybePromise<boolean>;
  /** Ends what has expired; called by the runtime's coarse timer. */
  sweep(nowMs: number): void;
  /** Held here. */
  readonly size: number;
  /** Asked of a session that was not used for its time to live: whether something of it is still under way here. */
  isBusy: ((session: Session) => boolean) | null;
  /** Told of every ending, so that streams and pending questions can be closed. */
  onEnd: ((session: Session, why: SessionEnd) => void) | null;
  /** Told when another node subscribed a session held here to a resource, or ended that. */
  onSubscriptions: ((session: Session, uri: string) => void) | null;
}

/** Stream id of a session's GET stream. */
export const STANDALONE_STREAM = 0;

/** Holds back what it wrote until it is stored. */
export interface StoredListener {
  /** All that was written before `place` can be read by other nodes, or cannot be stored for now. True: it waits for more. */
  stored(place: number): boolean;
}

/** What a session's streams sent, kept for resumption. Bounded by events and bytes per session, oldest dropped. */
export interface EventLog {
  /** An id for a stream that answers a request: above 0, and never given out before in this session, by any node. */
  newStream(sessionId: string): number;
  /** Returns the event id: opaque, encodes the stream, unique in the session. */
  append(sessionId: string, streamId: number, message: Uint8Array | string): string;
  /** An id with no message (priming event). */
  mark(sessionId: string, streamId: number): string;
  /** Nothing more will be said on the stream. */
  finish(sessionId: string, streamId: number): void;
  /** Events of the same stream after `lastEventId`, in order; null when the id is unknown or too old. */
  after(
    sessionId: string,
    lastEventId: string,
  ): MaybePromise<{ streamId: number; events: { id: string; message: string }[] } | null>;
  /**
   * From now on this node, and no other, writes the standalone stream; its numbering goes on, above `lastEventId` as
   * well (`''`: none). To be called before its first event. False: the session is gone.
   */
  takeStandalone(sessionId: string, lastEventId: string): MaybePromise<boolean>;
  /** Id of the node that writes the standalone stream, before that of the one that opened the session; `''`: none, or no other. */
  standaloneHolder(sessionId: string): MaybePromise<string>;
  /** All that was written here so far can be read by other nodes, or will never be. */
  stored(sessionId: string): MaybePromise<void>;
  /**
   * The place of what was written to the session last, which `listener` is told of when it is stored. 0: there is nothing
   * to wait for: it is stored, or no other node serves the session, or it cannot be stored for now.
   */
  untilStored(sessionId: string, listener: StoredListener): number;
  /** Told when what was written to the standalone stream was refused: another node has taken it. */
  onFenced: ((sessionId: string) => void) | null;
  /** The session is over. `released`: here only. */
  drop(sessionId: string, why: SessionEnd): void;
}

/** A message about a session, from node to node. */
export interface RelayMessage {
  /** `tag` of the node that sent it. */
  readonly from: string;
  readonly sessionId: string;
  readonly payload: string;
}

/** Answers what was asked, `''` for what was only told. */
export type RelayHandler = (message: RelayMessage) => MaybePromise<string>;

/** What the nodes that serve one session tell each other. What is told may be lost, unless it is kept. */
export interface SessionRelay {
  /** This start of this node, among all starts of all nodes: digits and lower-case letters. */
  readonly tag: string;
  /** The node that gave out a stream's id. */
  ownerOf(streamId: number): string;
  /** Serves messages of a kind. One handler each. */
  on(kind: string, handler: RelayHandler): void;
  /** To all other nodes. */
  broadcast(kind: string, sessionId: string, payload: string): void;
  /** The same, kept for a while if it cannot be sent; it may be heard more than once. */
  broadcastKept(kind: string, sessionId: string, payload: string): void;
  tell(tag: string, kind: string, sessionId: string, payload: string): void;
  /** Null: that node is gone, as far as can be told. Rejects when nothing can be sent, or it is there and does not answer. */
  ask(tag: string, kind: string, sessionId: string, payload: string): Promise<string | null>;
}
