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
}

export interface SessionInit {
  readonly revision: Revision;
  readonly principalId: string | null;
  readonly clientCapabilities: Record<string, unknown>;
  readonly clientInfo: Session['clientInfo'];
}

export type SessionEnd = 'deleted' | 'expired' | 'evicted' | 'closed';

/** Bounded by count, TTL since last use, and least-recently-used eviction. */
export interface SessionStore {
  create(init: SessionInit, nowMs: number): MaybePromise<Session>;
  /** Undefined when unknown, expired or another principal's. Marks it used. */
  get(id: string, principalId: string | null, nowMs: number): MaybePromise<Session | undefined>;
  delete(id: string): MaybePromise<boolean>;
  /** Ends what has expired; called by the runtime's coarse timer. */
  sweep(nowMs: number): void;
  readonly size: number;
  /** Told of every ending, so that streams and pending questions can be closed. */
  onEnd: ((session: Session, why: SessionEnd) => void) | null;
}

/** Stream id of a session's GET stream; answers count from 1. */
export const STANDALONE_STREAM = 0;

/** What a session's streams sent, kept for resumption. Bounded by events and bytes per session, oldest dropped. */
export interface EventLog {
  /** Returns the event id: opaque, encodes the stream, unique in the session. */
  append(sessionId: string, streamId: number, message: Uint8Array | string): string;
  /** An id with no message (priming event). */
  mark(sessionId: string, streamId: number): string;
  /** Events of the same stream after `lastEventId`, in order; null when the id is unknown or too old. */
  after(
    sessionId: string,
    lastEventId: string,
  ): MaybePromise<{ streamId: number; events: { id: string; message: string }[] } | null>;
  drop(sessionId: string): void;
}
