/**
 * One millrace call that a mounted SDK server is serving: its context, and how it is broken off.
 *
 * Role: what the two sides of the link agree on. Requests of the SDK server (elicitation, sampling, roots) are answered
 * through `context`; when the context cannot answer now, `unwind` ends the forwarded request and the handler throws
 * what the context threw, exactly as a handler written for millrace would.
 */
import type { HandlerContext, MissingCapabilityError } from '../catalogue/define.ts';

export class ServedCall {
  readonly context: HandlerContext;
  /** A question failed for want of a client capability; the SDK server may have made an ordinary error of it. */
  missing: MissingCapabilityError | null = null;
  readonly #controller = new AbortController();
  #unwound: unknown;

  constructor(context: HandlerContext) {
    this.context = context;
  }

  /** Aborted when the call is broken off: the SDK server is sent `notifications/cancelled`. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** What the call ended with when it was broken off, else undefined. */
  get unwound(): unknown {
    return this.#unwound;
  }

  unwind(reason: unknown): void {
    if (this.#controller.signal.aborted) return;
    this.#unwound = reason;
    this.#controller.abort(reason);
  }
}
