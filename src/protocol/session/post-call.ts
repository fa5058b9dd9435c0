// HOT PATH
/**
 * One request of a session that came in a POST, from its acceptance to its answer.
 *
 * Role: the channel the methods answer through. The answer is JSON unless something is to be said before it; then it
 * becomes an event stream, which the client may leave and resume. A client that goes away does not cancel anything in
 * the session era: the work goes on, and what a stream has to say is kept in the event log.
 * Invariants: one answer; in the session's list of calls until then; allocates nothing but itself on the way of a
 * call that is simply answered.
 */
import type { EventStream, Reply } from '../../frontend/port.ts';
import { retryAfter } from '../../frontend/refusal.ts';
import type { Channel } from '../channel.ts';
import { encodeFault, FAULTS, type Fault } from '../faults.ts';
import type { OpenExchange } from '../session-endpoint.ts';
import { Call } from './call-list.ts';
import type { SessionState } from './session-state.ts';
import type { SessionStream } from './session-stream.ts';

export class PostCall extends Call implements Channel, OpenExchange {
  onDrain: (() => void) | null = null;
  readonly #state: SessionState;
  readonly #reply: Reply;
  /** The resource whose subscription the request changes, else `''`. */
  readonly #subscribes: string;
  #stream: SessionStream | null = null;
  /** The connection the POST came on, once it carries the stream. */
  #connection: EventStream | null = null;
  #done = false;

  constructor(idJson: string, state: SessionState, reply: Reply, subscribes: string) {
    super(idJson);
    this.#state = state;
    this.#reply = reply;
    this.#subscribes = subscribes;
    state.calls.add(this);
  }

  get done(): boolean {
    return this.#done;
  }

  get canStream(): boolean {
    return this.#stream !== null || this.#state.roomForStream;
  }

  get congested(): boolean {
    return this.#stream?.congested === true;
  }

  respond(status: number, message: Uint8Array | string, retryAfterMs: number): void {
    if (this.#done) return;
    this.#finish();
    if (this.#subscribes !== '') this.#state.host.subscriptionsChanged(this.#state, this.#subscribes);
    const stream = this.#stream;
    if (stream === null) {
      this.#reply.send(status, 'application/json', message, retryAfter(retryAfterMs));
      return;
    }
    stream.send(message);
    this.#state.finishStream(stream);
  }

  send(message: Uint8Array | string): void {
    if (this.#done || message.length === 0) return;
    const stream = this.#openStream();
    // Without a stream of its own what belongs to this request is said where the client listens, if it does.
    if (stream === null) this.#state.tell(message);
    else stream.send(message);
  }

  release(retryMs: number): void {
    if (this.#done || !this.#state.session.revision.ssePolling) return;
    this.#openStream()?.sendAway(retryMs);
  }

  aborted(): void {
    if (this.#connection !== null) this.#stream?.detach(this.#connection);
  }

  drained(): void {
    this.onDrain?.();
  }

  withdrawn(): void {
    if (this.#done) return;
    this.#finish();
    if (this.#stream !== null) this.#state.finishStream(this.#stream);
    // A cancelled request gets no response, yet its POST must end: with an event stream that says nothing.
    else if (this.#reply.open) this.#reply.openStream().end();
  }

  abandoned(fault: Fault): void {
    this.respond(FAULTS[fault.name].status, encodeFault(this.idJson, fault), 0);
  }

  #finish(): void {
    this.#done = true;
    this.#state.calls.remove(this);
  }

  /** Null when the client went before there was a stream, or when the session has too many. */
  #openStream(): SessionStream | null {
    if (this.#stream !== null) return this.#stream;
    const stream = this.#state.openStream(this.#reply);
    if (stream === null) return null;
    this.#stream = stream;
    this.#connection = stream.connection;
    stream.onReady = () => this.onDrain?.();
    return stream;
  }
}
