/**
 * The in-memory transport pair between the SDK client and the mounted SDK server, which knows for every message which
 * call it belongs to.
 *
 * Why not the SDK's own pair: many calls of different clients share one connection, so a question of the server must
 * find its way to the call that caused it. Two traces lead there: `relatedRequestId`, which the SDK sends along when a
 * handler uses its `extra`, and otherwise the asynchronous context in which the handler runs (`server.elicitInput` and
 * the like have no `extra`). The first wins where both exist.
 *
 *   client end ── request id → call, recorded ──► server end ──► handler, in the call's asynchronous context
 *   client end ◄── delivered in the context of relatedRequestId, else of the sender ── server end
 *
 * Bounds: one record per request that is neither answered nor cancelled; admission bounds those.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import type { Transport, TransportSendOptions } from '@modelcontextprotocol/sdk/shared/transport.js';
import type { JSONRPCMessage, MessageExtraInfo, RequestId } from '@modelcontextprotocol/sdk/types.js';
import type { Principal } from '../catalogue/define.ts';
import type { ServedCall } from './served-call.ts';

type Deliver = (message: JSONRPCMessage, options: TransportSendOptions | undefined) => void;

class LinkEnd implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage, extra?: MessageExtraInfo) => void;
  readonly #deliver: Deliver;
  readonly #closeBoth: () => void;

  constructor(deliver: Deliver, closeBoth: () => void) {
    this.#deliver = deliver;
    this.#closeBoth = closeBoth;
  }

  start(): Promise<void> {
    return Promise.resolve();
  }

  async send(message: JSONRPCMessage, options?: TransportSendOptions): Promise<void> {
    this.#deliver(message, options);
  }

  close(): Promise<void> {
    this.#closeBoth();
    return Promise.resolve();
  }
}

export class CallLink {
  readonly client: Transport;
  readonly server: Transport;
  readonly #clientEnd: LinkEnd;
  readonly #serverEnd: LinkEnd;
  readonly #current = new AsyncLocalStorage<ServedCall>();
  readonly #calls = new Map<RequestId, ServedCall>();
  #open = true;

  constructor() {
    const close = (): void => this.#close();
    this.#clientEnd = new LinkEnd((message) => this.#toServer(message), close);
    this.#serverEnd = new LinkEnd((message, options) => this.#toClient(message, options), close);
    this.client = this.#clientEnd;
    this.server = this.#serverEnd;
  }

  /** The call in whose asynchronous context this is asked. */
  get current(): ServedCall | undefined {
    return this.#current.getStore();
  }

  /** Runs `send`, which sends one request through the client end, as part of `call`. */
  serve<T>(call: ServedCall, send: () => Promise<T>): Promise<T> {
    return this.#current.run(call, send);
  }

  #toServer(message: JSONRPCMessage): void {
    this.#assertOpen();
    const call = this.current;
    if ('method' in message && 'id' in message && call !== undefined) this.#calls.set(message.id, call);
    else if ('method' in message && message.method === 'notifications/cancelled') {
      const id = message.params?.['requestId'];
      if (typeof id === 'string' || typeof id === 'number') this.#calls.delete(id);
    }
    const principal = call?.context.principal ?? null;
    this.#serverEnd.onmessage?.(message, principal === null ? undefined : { authInfo: authInfoOf(principal) });
  }

  #toClient(message: JSONRPCMessage, options: TransportSendOptions | undefined): void {
    this.#assertOpen();
    if (!('method' in message) && message.id !== undefined) this.#calls.delete(message.id);
    const related = options?.relatedRequestId;
    const call = related === undefined ? undefined : this.#calls.get(related);
    if (call === undefined) this.#clientEnd.onmessage?.(message);
    else this.#current.run(call, () => this.#clientEnd.onmessage?.(message));
  }

  #assertOpen(): void {
    if (!this.#open) throw new Error('the mounted server is closed');
  }

  #close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#calls.clear();
    this.#clientEnd.onclose?.();
    this.#serverEnd.onclose?.();
  }
}

/** The token itself never gets this far. */
function authInfoOf(principal: Principal): AuthInfo {
  return { token: '', clientId: principal.id, scopes: [...principal.scopes], extra: { ...principal.claims } };
}
