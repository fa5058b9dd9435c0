/**
 * Holds an HTTP request while its authentication is still being decided.
 *
 * Role: `HttpHandler.head` must answer at once, a token check may not (keys to fetch). The gate takes the body in the
 * meantime, at most one per request and never past its limit, and passes everything on when the caller is known.
 * Invariants: nothing reaches the call behind the gate before the principal does; after the client has gone nothing
 * does at all.
 */
import { Buffer } from 'node:buffer';
import type { Principal } from '../catalogue/define.ts';
import type { HttpCall } from '../frontend/port.ts';
import { type AuthRefusal, isAuthRefusal } from './authenticator.ts';

/** A call that must know its principal first. */
export interface GatedCall extends HttpCall {
  /** Once, before `body`. Null: authentication is off. */
  admit(principal: Principal | null): void;
}

export interface GateKeeper {
  refusedAuth(refusal: AuthRefusal): void;
  /** The authenticator broke its promise. */
  failedAuth(cause: unknown): void;
}

export class AuthGate implements HttpCall {
  readonly #call: GatedCall;
  #body: Uint8Array | null = null;
  #state: 'waiting' | 'open' | 'closed' = 'waiting';

  constructor(answer: Promise<Principal | AuthRefusal>, call: GatedCall, keeper: GateKeeper) {
    this.#call = call;
    answer.then(
      (verdict) => {
        if (this.#state === 'closed') return;
        if (!isAuthRefusal(verdict)) return this.#pass(verdict);
        this.#state = 'closed';
        keeper.refusedAuth(verdict);
      },
      (cause: unknown) => {
        if (this.#state === 'waiting') keeper.failedAuth(cause);
        this.#state = 'closed';
      },
    );
  }

  get bodyBytesMax(): number {
    return this.#call.bodyBytesMax;
  }

  body(bytes: Uint8Array, isLent: boolean): void {
    if (this.#state === 'open') this.#call.body(bytes, isLent);
    else if (this.#state === 'waiting') this.#body = isLent ? Buffer.from(bytes) : bytes;
  }

  aborted(): void {
    if (this.#state === 'open') this.#call.aborted();
    this.#state = 'closed';
    this.#body = null;
  }

  #pass(principal: Principal): void {
    this.#state = 'open';
    this.#call.admit(principal);
    const body = this.#body;
    this.#body = null;
    if (body !== null) this.#call.body(body, false);
  }
}
