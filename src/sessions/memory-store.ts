// HOT PATH
/**
 * The embedded session store: every session of this process, in memory.
 *
 * Role: answers "whose session is this?" once per request of the session era. Holds at most `max` sessions; past that
 * the least recently used one ends. A session also ends `ttlMs` after its last use, unless it is busy.
 *
 *   oldest ⇄ … ⇄ newest     a ring through `#ring`, in order of last use
 *
 * Invariants: the ring's order is the order of `lastSeenAtMs` (time comes in as an argument and never goes back), so
 * `sweep` stops at the first session that is still alive; a session is in the map exactly when it is in the ring.
 * Links inside the sessions, instead of re-inserting into the map, make a look-up free of allocation and three times
 * cheaper (45 ns against 125 ns with 10,000 sessions). Leaves streams and pending questions to whoever sets `onEnd`.
 */
import { randomBytes } from 'node:crypto';
import { LATEST_SESSION_REVISION, type Revision } from '../protocol/revisions.ts';
import type { Session, SessionEnd, SessionInit, SessionStore } from './port.ts';

export interface SessionLimits {
  /** Sessions held at once. */
  readonly max: number;
  /** Since the last use. */
  readonly ttlMs: number;
}

/** 192 bits, 32 characters of base64url: visible ASCII as the header demands. */
const ID_BYTES = 24;
/** What the sentinel of the ring is made of. */
const NOBODY: SessionInit = {
  revision: LATEST_SESSION_REVISION,
  principalId: null,
  clientCapabilities: {},
  clientInfo: { name: '', version: '' },
};

class MemorySession implements Session {
  readonly id: string;
  readonly revision: Revision;
  readonly principalId: string | null;
  readonly clientCapabilities: Record<string, unknown>;
  readonly clientInfo: Session['clientInfo'];
  logLevel = '';
  initialized = false;
  lastSeenAtMs: number;
  older: MemorySession = this;
  newer: MemorySession = this;
  #subscriptions: Set<string> | null = null;

  constructor(id: string, init: SessionInit, nowMs: number) {
    this.id = id;
    this.revision = init.revision;
    this.principalId = init.principalId;
    this.clientCapabilities = init.clientCapabilities;
    this.clientInfo = init.clientInfo;
    this.lastSeenAtMs = nowMs;
  }

  /** Made on first use: most sessions never subscribe. */
  get subscriptions(): Set<string> {
    this.#subscriptions ??= new Set();
    return this.#subscriptions;
  }

  save(): void {
    // The record is what everybody here reads.
  }
}

export class MemorySessionStore implements SessionStore {
  isBusy: ((session: Session) => boolean) | null = null;
  onEnd: ((session: Session, why: SessionEnd) => void) | null = null;
  /** Never called: there are no other nodes. */
  onSubscriptions: ((session: Session, uri: string) => void) | null = null;
  readonly #limits: SessionLimits;
  readonly #byId = new Map<string, MemorySession>();
  /** Sentinel, never handed out: its `newer` is the oldest session, its `older` the newest. */
  readonly #ring = new MemorySession('', NOBODY, 0);

  constructor(limits: SessionLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  create(init: SessionInit, nowMs: number): Session {
    this.sweep(nowMs);
    while (this.#byId.size >= this.#limits.max) this.#endOldest('evicted');
    const session = new MemorySession(randomBytes(ID_BYTES).toString('base64url'), init, nowMs);
    this.#byId.set(session.id, session);
    link(this.#ring, session);
    return session;
  }

  get(id: string, principalId: string | null, nowMs: number): Session | undefined {
    const session = this.#byId.get(id);
    if (session === undefined || session.principalId !== principalId) return undefined;
    if (this.#isOver(session, nowMs)) {
      this.#end(session, 'expired');
      return undefined;
    }
    this.#use(session, nowMs);
    return session;
  }

  #isOver(session: MemorySession, nowMs: number): boolean {
    return nowMs - session.lastSeenAtMs > this.#limits.ttlMs && this.isBusy?.(session) !== true;
  }

  #use(session: MemorySession, nowMs: number): void {
    session.lastSeenAtMs = nowMs;
    if (this.#ring.older === session) return;
    unlink(session);
    link(this.#ring, session);
  }

  delete(id: string): boolean {
    const session = this.#byId.get(id);
    if (session === undefined) return false;
    this.#end(session, 'deleted');
    return true;
  }

  sweep(nowMs: number): void {
    const ring = this.#ring;
    while (ring.newer !== ring && nowMs - ring.newer.lastSeenAtMs > this.#limits.ttlMs) {
      if (this.#isOver(ring.newer, nowMs)) this.#endOldest('expired');
      else this.#use(ring.newer, nowMs);
    }
  }

  #endOldest(why: SessionEnd): void {
    this.#end(this.#ring.newer, why);
  }

  #end(session: MemorySession, why: SessionEnd): void {
    this.#byId.delete(session.id);
    unlink(session);
    this.onEnd?.(session, why);
  }
}

/** Puts a session at the newest end. */
function link(ring: MemorySession, session: MemorySession): void {
  session.older = ring.older;
  session.newer = ring;
  ring.older.newer = session;
  ring.older = session;
}

function unlink(session: MemorySession): void {
  session.older.newer = session.newer;
  session.newer.older = session.older;
  session.older = session;
  session.newer = session;
}
