// HOT PATH
/**
 * The requests of one session or connection that have not been answered yet.
 *
 *   newest ⇄ … ⇄ oldest     linked through the calls themselves
 *
 * Role: lets `notifications/cancelled` find a request by its id, and the end of a session or connection stop them
 * all. A call costs two pointer writes to add and to remove and allocates nothing; the rare search by id is linear in
 * what is in flight, which admission bounds. Two requests in flight under one id are the client's mistake and do no
 * harm: both are answered, and a cancellation takes the newer one.
 */
import type { OpenRequest } from '../channel.ts';
import type { Fault } from '../faults.ts';

export abstract class Call {
  /** As the envelope has it: spelled as `JSON.stringify` would. */
  readonly idJson: string;
  /** Set once the methods have taken the request; null again when it has ended. */
  request: OpenRequest | null = null;
  newer: Call | null = null;
  older: Call | null = null;

  constructor(idJson: string) {
    this.idJson = idJson;
  }

  /** It was answered, or withdrawn. */
  abstract readonly done: boolean;
  /** The client reads again. */
  abstract drained(): void;
  /** The client cancelled it: the transport ends without an answer. */
  abstract withdrawn(): void;
  /** The server gives it up: the fault is its answer. */
  abstract abandoned(fault: Fault): void;
}

export class CallList {
  #newest: Call | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(call: Call): void {
    call.older = this.#newest;
    if (this.#newest !== null) this.#newest.newer = call;
    this.#newest = call;
    this.#size++;
  }

  /** Harmless for a call that is not in the list. */
  remove(call: Call): void {
    if (call.newer === null && call !== this.#newest) return;
    if (call.newer === null) this.#newest = call.older;
    else call.newer.older = call.older;
    if (call.older !== null) call.older.newer = call.newer;
    call.newer = null;
    call.older = null;
    call.request = null;
    this.#size--;
  }

  /** `id` as parsed from the cancellation. False when no such request is in flight. */
  cancel(id: unknown, reason: string): boolean {
    const idJson = JSON.stringify(id);
    for (let call = this.#newest; call !== null; call = call.older) {
      if (call.idJson !== idJson) continue;
      const request = call.request;
      this.remove(call);
      request?.cancel(reason);
      call.withdrawn();
      return true;
    }
    return false;
  }

  /** The client of all of them reads again. */
  drained(): void {
    for (let call = this.#newest; call !== null; ) {
      // First: answering takes the call out of the list.
      const older = call.older;
      call.drained();
      call = older;
    }
  }

  /** Stops everything. With a fault each call is answered with it, without one nothing is written. */
  endAll(reason: string, fault: Fault | null): void {
    for (let call = this.#newest; call !== null; call = this.#newest) {
      const request = call.request;
      this.remove(call);
      request?.cancel(reason);
      if (fault === null) call.withdrawn();
      else call.abandoned(fault);
    }
  }
}
