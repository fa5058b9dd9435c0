/**
 * All sessions this process serves, whatever their transport.
 *
 * Role: joins the session store (which sessions exist), the event log and the bus (what changed) to the state of each
 * session. One bus subscription serves all of them: a list change goes to every session, a resource change through an
 * index of who subscribed to it.
 * Invariants: a state exists only for a session of the store and goes with it, whether it was deleted, expired or
 * evicted; so everything here is bounded by the store's cap and each session's own limits. A session with an open
 * stream or connection, or with a request that runs, is in use and does not expire.
 */

import type { Principal } from '../../catalogue/define.ts';
import type { Dispatcher } from '../../dispatch/job.ts';
import type { Log, Meters } from '../../observe/port.ts';
import type {
  EventLog,
  MaybePromise,
  Session,
  SessionEnd,
  SessionInit,
  SessionRelay,
  SessionStore,
} from '../../sessions/port.ts';
import type { Bus, Change } from '../../subscriptions/port.ts';
import { KeepAlive, type Repeat, repeatWithTimer } from './keep-alive.ts';
import { LIST_KINDS } from './notices.ts';
import { fenced, serveOtherNodes } from './other-nodes.ts';
import { RecentChanges } from './recent-changes.ts';
import { type SessionHost, SessionState } from './session-state.ts';

export interface SessionLimits {
  /** Live streams of one session. */
  readonly streamsMax: number;
  /** Unanswered questions to one client. */
  readonly asksMax: number;
  readonly streamKeepAliveMs: number;
}

export interface SessionHubOptions {
  readonly store: SessionStore;
  readonly events: EventLog;
  readonly bus: Bus;
  /** Default: no other node serves these sessions. */
  readonly relay?: SessionRelay | null;
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly limits: SessionLimits;
  readonly log: Log;
  readonly meters: Pick<Meters, 'requestFinished'>;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Default: a timer. */
  readonly repeat?: Repeat;
}

export class SessionHub implements SessionHost {
  readonly store: SessionStore;
  readonly events: EventLog;
  readonly relay: SessionRelay | null;
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly keepAlive: KeepAlive;
  readonly streamsMax: number;
  readonly asksMax: number;
  readonly log: Log;
  readonly meters: Pick<Meters, 'requestFinished'>;
  readonly nowMs: () => number;
  readonly recent: RecentChanges | null;
  readonly #states = new Map<string, SessionState>();
  /** Resource URI → sessions that subscribed to it. No empty sets. */
  readonly #subscribers = new Map<string, Set<SessionState>>();
  #closed = false;
  readonly #unsubscribeFromBus: () => void;

  constructor(options: SessionHubOptions) {
    this.store = options.store;
    this.events = options.events;
    this.relay = options.relay ?? null;
    this.dispatcher = options.dispatcher;
    this.streamsMax = options.limits.streamsMax;
    this.asksMax = options.limits.asksMax;
    this.log = options.log;
    this.meters = options.meters;
    this.nowMs = options.nowMs;
    this.recent = this.relay === null ? null : new RecentChanges(options.nowMs);
    this.keepAlive = new KeepAlive(options.limits.streamKeepAliveMs, options.repeat ?? repeatWithTimer);
    this.store.isBusy = ({ id }) => (this.#states.get(id)?.calls.size ?? 0) > 0;
    this.store.onEnd = (session, why) => this.#ended(session, why);
    this.store.onSubscriptions = (session, uri) => {
      const state = this.#states.get(session.id);
      if (state === undefined) return;
      this.subscriptionsChanged(state, uri);
      // It changed after the client subscribed, for all that is known here.
      if (session.subscriptions.has(uri) && this.recent?.has(uri)) state.resourceUpdated(uri);
    };
    this.events.onFenced = (sessionId) => {
      const state = this.#states.get(sessionId);
      if (state !== undefined) fenced(state);
    };
    if (this.relay !== null) serveOtherNodes(this.relay, this);
    this.#unsubscribeFromBus = options.bus.subscribe((change) => this.#fanOut(change));
  }

  /** Sessions this process holds a state for. */
  get size(): number {
    return this.#states.size;
  }

  /** Streams and connections kept alive now. */
  get streams(): number {
    return this.keepAlive.size;
  }

  create(init: SessionInit, principal: Principal | null): MaybePromise<SessionState> {
    const made = this.store.create(init, this.nowMs());
    if (made instanceof Promise) return made.then((session) => this.#opened(session, principal));
    return this.#opened(made, principal);
  }

  find(sessionId: string, principal: Principal | null): MaybePromise<Session | undefined> {
    return this.store.get(sessionId, principal === null ? null : principal.id, this.nowMs());
  }

  /** What this node holds of a session, if anything. */
  known(sessionId: string): SessionState | undefined {
    return this.#closed ? undefined : this.#states.get(sessionId);
  }

  /** The state of a session the store has just vouched for. */
  state(session: Session, principal: Principal | null): SessionState {
    const known = this.#states.get(session.id);
    if (known !== undefined) {
      known.use(session, principal);
      return known;
    }
    const state = new SessionState(this, session, principal);
    this.#states.set(session.id, state);
    if (session.subscriptions.size > 0) for (const uri of session.subscriptions) this.#index(state, uri);
    return state;
  }

  subscriptionsChanged(state: SessionState, uri: string): void {
    if (this.#states.get(state.session.id) !== state) return;
    if (state.session.subscriptions.has(uri)) {
      this.#index(state, uri);
      return;
    }
    state.unsubscribed(uri);
    this.#unindex(state, uri);
  }

  /** The session's connection is gone for good. */
  end(session: Session): void {
    const gone = this.store.delete(session.id);
    if (!(gone instanceof Promise)) return;
    gone.catch((cause: unknown) => this.log.warn({ err: cause }, 'a session could not be ended'));
  }

  touch(session: Session): void {
    const touched = this.store.get(session.id, session.principalId, this.nowMs());
    if (!(touched instanceof Promise)) return;
    touched.catch((cause: unknown) => this.log.warn({ err: cause }, 'a session could not be marked as used'));
  }

  /** Ends every listening stream; what changes is kept until another node takes over. Requests in flight go on. */
  endListening(): void {
    for (const state of this.#states.values()) state.closeListening();
  }

  /** Hears of no change any more, and so holds no session: to the nodes that ask, this one is gone. */
  close(): void {
    this.#unsubscribeFromBus();
    this.endListening();
    this.#closed = true;
  }

  #opened(session: Session, principal: Principal | null): SessionState {
    const state = this.state(session, principal);
    state.opened();
    return state;
  }

  #fanOut(change: Change): void {
    this.recent?.heard(change);
    switch (change.kind) {
      case 'tools':
      case 'resources':
      case 'prompts':
        for (const state of this.#states.values()) state.listChanged(change.kind);
        return;
      case 'resource':
        for (const state of this.#subscribers.get(change.uri) ?? []) state.resourceUpdated(change.uri);
        return;
      case 'missed':
        for (const state of this.#states.values()) {
          for (const kind of LIST_KINDS) state.listChanged(kind);
        }
        for (const [uri, states] of this.#subscribers) for (const state of states) state.resourceUpdated(uri);
        return;
      case 'task':
        // The tasks extension belongs to the stateless era.
        return;
    }
  }

  #index(state: SessionState, uri: string): void {
    const subscribers = this.#subscribers.get(uri);
    if (subscribers === undefined) this.#subscribers.set(uri, new Set([state]));
    else subscribers.add(state);
  }

  #unindex(state: SessionState, uri: string): void {
    const subscribers = this.#subscribers.get(uri);
    if (subscribers === undefined || !subscribers.delete(state)) return;
    if (subscribers.size === 0) this.#subscribers.delete(uri);
  }

  #ended(session: Session, why: SessionEnd): void {
    const state = this.#states.get(session.id);
    if (state !== undefined) {
      this.#states.delete(session.id);
      if (session.subscriptions.size > 0) for (const uri of session.subscriptions) this.#unindex(state, uri);
      state.end(why);
    }
    // Last: streams say goodbye through the log.
    this.events.drop(session.id, why);
  }
}
