/**
 * A JSON-RPC batch that came over a message connection: its answers leave as one array.
 *
 * Role: like `BatchExchange`, for a transport on which notifications need no stream: they are sent as they come.
 */
import { Buffer } from 'node:buffer';
import type { Batch } from './batch-call.ts';
import type { CallOwner } from './connection-call.ts';
import type { SessionState } from './session-state.ts';

export class ConnectionBatch implements Batch {
  readonly state: SessionState;
  readonly #owner: CallOwner;
  readonly #answers: string[] = [];
  #open: number;

  constructor(state: SessionState, owner: CallOwner, requests: number) {
    this.state = state;
    this.#owner = owner;
    this.#open = requests;
  }

  get congested(): boolean {
    return this.#owner.peer.congested;
  }

  settled(answer: Uint8Array | string | null): void {
    this.#open--;
    if (answer !== null) this.#answers.push(typeof answer === 'string' ? answer : Buffer.from(answer).toString('utf8'));
    if (this.#open > 0) return;
    if (this.#answers.length > 0) this.#owner.peer.send(`[${this.#answers.join(',')}]`);
    this.#owner.settled();
  }

  send(message: Uint8Array | string): void {
    this.#owner.peer.send(message, true);
  }
}
