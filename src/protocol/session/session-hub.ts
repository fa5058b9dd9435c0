/**
 * All sessions this process serves, whatever their transport.
 *
 * Role: joins the session store (which sessions exist), the event log and the bus (what changed) to the state of each
 * session. One bus subscription serves all of them: a list change goes to every session, a resource change through an
 * index of who subscribed to it.
 * Invariants: a state exists only for a session of the store and goes with it, whether it was deleted, expired or
 * evicted; so everything here is bounded by the store's cap and each session's own limits. A session with an open
 * stream or connection is in use and does not expire.
 */

import type { Principal } from '../../catalogue/define.ts';
import type { Dispatcher } from '../../dispatch/job.ts';
import type { Log } from '../../observe/port.ts';
import type { EventLog, MaybePromise, Session, SessionEnd, SessionInit, SessionStore } from '../../sessions/port.ts';
import type { Bus, Change } from '../../subscriptions/port.ts';
import { KeepAlive, type Repeat, repeatWithTimer } from './keep-alive.ts';
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
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly limits: SessionLimits;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly nowMs: () => number;
  /** Default: a timer. */
  readonly repeat?: Repeat;
}

export class SessionHub implements SessionHost {
  readonly store: SessionStore;
  readonly events: EventLog;
  readonly dispatcher: Pick<Dispatcher, 'answer'>;
  readonly keepAlive: KeepAlive;
  readonly streamsMax: number;
  readonly asksMax: number;
  readonly log: Log;
  readonly nowMs: () => number;
  readonly #states = new Map<string, SessionState>();
  /** Resource URI → sessions that subscribed to it. No empty sets. */
  readonly #subscribers = new Map<string, Set<SessionState>>();
  readonly #unsubscribeFromBus: () => void;

  constructor(options: SessionHubOptions) {
    this.store = options.store;
    this.events = options.events;
    this.dispatcher = options.dispatcher;
    this.streamsMax = options.limits.streamsMax;
    this.asksMax = options.limits.asksMax;
    this.log = options.log;
    this.nowMs = options.nowMs;
    this.keepAlive = new KeepAlive(options.limits.streamKeepAliveMs, options.repeat ?? repeatWithTimer);
    this.store.onEnd = (session, why) => this.#ended(session, why);
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
    if (made instanceof Promise) return made.then((session) => this.state(session, principal));
    return this.state(made, principal);
  }

  find(sessionId: string, principal: Principal | null): MaybePromise<Session | undefined> {
    return this.store.get(sessionId, principal === null ? null : principal.id, this.nowMs());
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

  /** Ends every listening stream and stops the timer and the bus subscription. Requests in flight go on. */
  close(): void {
    this.#unsubscribeFromBus();
    for (const state of this.#states.values()) state.closeListening();
  }

  #fanOut(change: Change): void {
    switch (change.kind) {
      case 'tools':
      case 'resources':
      case 'prompts':
        for (const state of this.#states.values()) state.listChanged(change.kind);
        return;
      case 'resource':
        for (const state of this.#subscribers.get(change.uri) ?? []) state.resourceUpdated(change.uri);
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
    this.events.drop(session.id);
  }
}
