/**
 * A JSON-RPC batch of revision 2025-03-26: several requests of a session in one POST.
 *
 * Role: one exchange with a slot per request. Each slot is a channel of its own and can be cancelled by its id; the
 * answers are collected into one JSON array, unless something is to be said before all are there: then the exchange
 * becomes an event stream and every answer an event.
 * Invariants: every slot is counted down exactly once, by its answer or its cancellation; the exchange ends with the
 * last one. Bounded by `BATCH_MESSAGES_MAX` and, like any answers, by the result limit of each.
 */
import type { EventStream, Reply } from '../../frontend/port.ts';
import type { Channel } from '../channel.ts';
import { encodeFault, type Fault } from '../faults.ts';
import type { OpenExchange } from '../session-endpoint.ts';
import { Call } from './call-list.ts';
import type { SessionState } from './session-state.ts';
import type { SessionStream } from './session-stream.ts';

/** Messages in one batch. */
export const BATCH_MESSAGES_MAX = 256;

/** What a slot needs of the batch it belongs to. */
export interface Batch {
  readonly state: SessionState;
  readonly congested: boolean;
  /** The answer of one slot, or null when it was cancelled. */
  settled(answer: Uint8Array | string | null): void;
  send(message: Uint8Array | string): void;
}

export class BatchExchange implements Batch, OpenExchange {
  readonly state: SessionState;
  readonly #reply: Reply;
  #answers: string[] = [];
  #open: number;
  #stream: SessionStream | null = null;
  #connection: EventStream | null = null;

  /** `requests` slots will be made. */
  constructor(state: SessionState, reply: Reply, requests: number) {
    this.state = state;
    this.#reply = reply;
    this.#open = requests;
  }

  get done(): boolean {
    return this.#open === 0;
  }

  get congested(): boolean {
    return this.#stream?.congested === true;
  }

  settled(answer: Uint8Array | string | null): void {
    this.#open--;
    if (this.#stream !== null) {
      if (answer !== null) this.#stream.send(answer);
      if (this.#open === 0) this.state.finishStream(this.#stream);
      return;
    }
    if (answer !== null) this.#answers.push(typeof answer === 'string' ? answer : Buffer.from(answer).toString('utf8'));
    if (this.#open > 0 || !this.#reply.open) return;
    if (this.#answers.length > 0) this.#reply.send(200, 'application/json', `[${this.#answers.join(',')}]`);
    else this.#reply.openStream().end();
  }

  send(message: Uint8Array | string): void {
    const stream = this.#openStream();
    if (stream === null) this.state.tell(message);
    else stream.send(message);
  }

  aborted(): void {
    if (this.#connection !== null) this.#stream?.detach(this.#connection);
  }

  #openStream(): SessionStream | null {
    if (this.#stream !== null) return this.#stream;
    const stream = this.state.openStream(this.#reply);
    if (stream === null) return null;
    this.#stream = stream;
    this.#connection = stream.connection;
    for (const answer of this.#answers) stream.send(answer);
    this.#answers = [];
    return stream;
  }
}

export class BatchSlot extends Call implements Channel {
  readonly canStream = true;
  onDrain: (() => void) | null = null;
  readonly #batch: Batch;
  readonly #subscribes: string;
  #done = false;

  constructor(idJson: string, batch: Batch, subscribes: string) {
    super(idJson);
    this.#batch = batch;
    this.#subscribes = subscribes;
    batch.state.calls.add(this);
  }

  get done(): boolean {
    return this.#done;
  }

  get congested(): boolean {
    return this.#batch.congested;
  }

  /** An array of answers has no status or headers of its own. */
  respond(_status: number, message: Uint8Array | string, _retryAfterMs: number): void {
    if (this.#done) return;
    const { state } = this.#batch;
    if (this.#subscribes !== '') state.host.subscriptionsChanged(state, this.#subscribes);
    this.#settle(message);
  }

  send(message: Uint8Array | string): void {
    if (!this.#done && message.length > 0) this.#batch.send(message);
  }

  release(_retryMs: number): void {
    // The revision that has batches does not have early release.
  }

  drained(): void {
    this.onDrain?.();
  }

  withdrawn(): void {
    if (!this.#done) this.#settle(null);
  }

  abandoned(fault: Fault): void {
    this.respond(200, encodeFault(this.idJson, fault), 0);
  }

  #settle(answer: Uint8Array | string | null): void {
    this.#done = true;
    this.#batch.state.calls.remove(this);
    this.#batch.settled(answer);
  }
}
