// HOT PATH
/**
 * From a request to the endpoint that serves it: the gate first, then an exact path, then a prefix, else 404.
 *
 * Role: the one `HttpHandler` and `MessageHandler` an adapter sees, so no route and no upgrade can be reached past the
 * gate. Methods belong to the endpoints (`refuseMethod`), since only they know what they allow.
 * Invariant: every refusal made here has a JSON-RPC body and is counted.
 */
import { FAULTS, fault } from '../protocol/faults.ts';
import { preflightHeaders } from './cross-origin.ts';
import type { Gate } from './gate.ts';
import type {
  EdgeReply,
  HttpCall,
  HttpHandler,
  MessageHandler,
  Reply,
  RequestHead,
  UpgradeRefusal,
  UpgradeTicket,
} from './port.ts';
import { refuse, refusePath } from './refusal.ts';

/** Serves one path, or all paths under one prefix. */
export interface Endpoint {
  /** As `HttpHandler.head`: the call that wants the body, or null when `reply` has been used. */
  head(head: RequestHead, reply: Reply): HttpCall | null;
  /** As `MessageHandler.upgrade`. Without it an upgrade goes to the protocol. */
  upgrade?(head: RequestHead): ReturnType<MessageHandler['upgrade']>;
}

/** It decides for itself who may come in, whatever host they name; it must refuse what a browser sends. */
export interface UngatedEndpoint extends Endpoint {
  readonly ungated: true;
}

/** Told of requests that no endpoint saw. `Meters` of `src/observe` is one. */
export interface RefusalCounter {
  httpRefused(status: number): void;
}

const NO_SUCH_PATH = fault('badRequest', 'no such path');
const UPGRADE_REFUSED = { status: FAULTS.forbidden.status, message: 'Host or Origin is not allowed' };

export class Router implements HttpHandler, MessageHandler {
  readonly #gate: Gate;
  readonly #endpoints: ReadonlyMap<string, Endpoint>;
  readonly #prefixes: readonly (readonly [prefix: string, endpoint: Endpoint])[];
  readonly #messages: MessageHandler;
  readonly #refused: RefusalCounter;

  /** `prefixes` are tried in order: the longer of two that overlap comes first. */
  constructor(
    gate: Gate,
    endpoints: ReadonlyMap<string, Endpoint>,
    prefixes: readonly (readonly [prefix: string, endpoint: Endpoint])[],
    messages: MessageHandler,
    refused: RefusalCounter,
  ) {
    this.#gate = gate;
    this.#endpoints = endpoints;
    this.#prefixes = prefixes;
    this.#messages = messages;
    this.#refused = refused;
  }

  head(head: RequestHead, reply: EdgeReply): HttpCall | null {
    const denied = this.#gate.check(head);
    if (denied !== null) {
      const own = this.#underPrefix(head.path);
      if (own !== null && 'ungated' in own) return own.head(head, reply);
      this.#refused.httpRefused(FAULTS[denied.name].status);
      refuse(reply, denied);
      return null;
    }
    const origin = head.header('origin');
    if (origin !== '') {
      reply.allowOrigin(origin);
      if (head.method === 'OPTIONS' && head.header('access-control-request-method') !== '') {
        reply.send(204, '', '', preflightHeaders(head.header('access-control-request-headers')));
        return null;
      }
    }
    const endpoint = this.#endpoints.get(head.path) ?? this.#underPrefix(head.path);
    if (endpoint !== null) return endpoint.head(head, reply);
    this.#refused.httpRefused(404);
    refusePath(reply, NO_SUCH_PATH);
    return null;
  }

  upgrade(head: RequestHead): UpgradeRefusal | UpgradeTicket {
    if (this.#gate.check(head) !== null) {
      this.#refused.httpRefused(UPGRADE_REFUSED.status);
      return UPGRADE_REFUSED;
    }
    const endpoint = this.#endpoints.get(head.path) ?? this.#underPrefix(head.path);
    return endpoint?.upgrade?.(head) ?? this.#messages.upgrade(head);
  }

  #underPrefix(path: string): Endpoint | null {
    for (let i = 0; i < this.#prefixes.length; i++) {
      const entry = this.#prefixes[i] as readonly [string, Endpoint];
      if (path.startsWith(entry[0])) return entry[1];
    }
    return null;
  }
}
