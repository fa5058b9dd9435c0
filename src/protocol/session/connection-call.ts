// HOT PATH
/**
 * One request that came over a message connection, from its acceptance to its answer.
 *
 * Role: the channel the methods answer through. Every message is one frame or line of the connection; there is no
 * status, no header, and nothing to resume.
 * Invariants: one answer; in a list of the connection or its session until then.
 */
import type { MessagePeer } from '../../frontend/port.ts';
import type { Channel } from '../channel.ts';
import { encodeFault, type Fault } from '../faults.ts';
import { Call, type CallList } from './call-list.ts';
import type { SessionState } from './session-state.ts';

/** Told when a call of the connection is over. */
export interface CallOwner {
  readonly peer: MessagePeer;
  settled(): void;
}

export class ConnectionCall extends Call implements Channel {
  readonly canStream = true;
  onDrain: (() => void) | null = null;
  readonly #owner: CallOwner;
  readonly #calls: CallList;
  /** Null in the stateless era. */
  readonly #state: SessionState | null;
  readonly #subscribes: string;
  #done = false;

  constructor(idJson: string, owner: CallOwner, calls: CallList, state: SessionState | null, subscribes: string) {
    super(idJson);
    this.#owner = owner;
    this.#calls = calls;
    this.#state = state;
    this.#subscribes = subscribes;
    calls.add(this);
  }

  get done(): boolean {
    return this.#done;
  }

  get congested(): boolean {
    return this.#owner.peer.congested;
  }

  respond(_status: number, message: Uint8Array | string, _retryAfterMs: number): void {
    if (this.#done) return;
    this.#done = true;
    this.#calls.remove(this);
    const state = this.#state;
    if (state !== null && this.#subscribes !== '') state.host.subscriptionsChanged(state, this.#subscribes);
    this.#owner.peer.send(message);
    this.#owner.settled();
  }

  send(message: Uint8Array | string): void {
    if (!this.#done && message.length > 0) this.#owner.peer.send(message, true);
  }

  release(_retryMs: number): void {
    // There is no other connection the rest could be fetched on.
  }

  drained(): void {
    this.onDrain?.();
  }

  withdrawn(): void {
    if (this.#done) return;
    this.#done = true;
    this.#calls.remove(this);
    this.#owner.settled();
  }

  abandoned(fault: Fault): void {
    this.respond(200, encodeFault(this.idJson, fault), 0);
  }
}
