// HOT PATH
/**
 * The `/mcp` endpoint over HTTP: both eras at one path.
 *
 * Role: everything that can be decided from the request line and headers, in this order: HTTP method, media type,
 * announced length, authentication; then the exchange of the era the version header names. Which of the two eras a
 * request really belongs to is the body's to say (`classify.ts`).
 * Every refusal carries a JSON-RPC error body: clients that try the new era first tell a server of their kind by it.
 * Leaves Host and Origin to the router, bytes and limits to the adapter.
 */
import type { CatalogueHolder } from '../catalogue/entry.ts';
import type { Settings } from '../config/settings.ts';
import type { HeaderPairs, HttpCall, HttpHandler, Reply, RequestHead } from '../frontend/port.ts';
import type { Log, Meters } from '../observe/port.ts';
import { AuthGate, type GatedCall } from './auth-gate.ts';
import { type Authenticator, type AuthRefusal, isAuthRefusal } from './authenticator.ts';
import type { Methods } from './channel.ts';
import { Envelope } from './envelope.ts';
import { encodeFault, FAULTS, type Fault, fault, faultFrom } from './faults.ts';
import { NamedCalls } from './named-calls.ts';
import { accepts, isJsonContentType, JSON_TYPE, STREAM_TYPE } from './request-headers.ts';
import { claimsStatelessEra } from './revisions.ts';
import type { KeepAlive } from './session/keep-alive.ts';
import type { SessionEndpoint } from './session-endpoint.ts';
import { GET_ACCEPT, SessionBodiless, type SessionHost, SessionPost } from './session-exchange.ts';
import { type ExchangeHost, StatelessExchange } from './stateless-exchange.ts';

export interface HttpEndpointDeps {
  readonly methods: Methods;
  readonly catalogue: CatalogueHolder;
  readonly sessions: SessionEndpoint;
  /** Null: authentication is off. */
  readonly authenticator: Authenticator | null;
  /** Keeps quiet streams of the stateless era open. */
  readonly keepAlive: KeepAlive;
  readonly settings: Pick<Settings, 'requestBytesMax'>;
  readonly log: Log;
  readonly meters: Meters;
}

const NOT_ALLOWED = fault('methodNotAllowed', 'only POST, GET and DELETE are served here');
const NO_SESSION_METHOD = fault('methodNotAllowed', 'this protocol version has no sessions: only POST is served');
const NOT_JSON = fault('unsupportedMediaType', 'Content-Type must be application/json');
const ALLOW_ALL: HeaderPairs = [['Allow', 'POST, GET, DELETE']];
const ALLOW_POST: HeaderPairs = [['Allow', 'POST']];

export class HttpEndpoint implements HttpHandler {
  readonly #deps: HttpEndpointDeps;
  readonly #host: ExchangeHost & SessionHost;
  readonly #tooLarge: Fault;

  constructor(deps: HttpEndpointDeps) {
    this.#deps = deps;
    const { methods, catalogue, sessions, keepAlive, meters } = deps;
    const { requestBytesMax } = deps.settings;
    const own = { named: new NamedCalls(), envelope: new Envelope() };
    this.#host = { methods, catalogue, sessions, keepAlive, meters, requestBytesMax, ...own };
    this.#tooLarge = fault(
      'bodyTooLarge',
      `the body has more than ${requestBytesMax} bytes, the most this server takes`,
    );
  }

  head(head: RequestHead, reply: Reply): HttpCall | null {
    switch (head.method) {
      case 'POST':
        return this.#post(head, reply);
      case 'GET':
      case 'DELETE':
        return this.#bodiless(head, reply);
      default:
        return this.#refuse(reply, NOT_ALLOWED, ALLOW_ALL);
    }
  }

  #post(head: RequestHead, reply: Reply): HttpCall | null {
    if (!isJsonContentType(head.header('content-type'))) return this.#refuse(reply, NOT_JSON);
    const announced = head.header('content-length');
    if (announced !== '' && Number(announced) > this.#host.requestBytesMax) return this.#refuse(reply, this.#tooLarge);
    const version = head.header('mcp-protocol-version');
    const call =
      version !== '' && claimsStatelessEra(version)
        ? new StatelessExchange(this.#host, head, reply, version)
        : new SessionPost(this.#host, head, reply, version);
    return this.#admit(head, reply, call);
  }

  #bodiless(head: RequestHead, reply: Reply): HttpCall | null {
    const version = head.header('mcp-protocol-version');
    if (version !== '' && claimsStatelessEra(version)) return this.#refuse(reply, NO_SESSION_METHOD, ALLOW_POST);
    if (head.method === 'GET' && !accepts(head.header('accept'), STREAM_TYPE)) return this.#refuse(reply, GET_ACCEPT);
    const call = new SessionBodiless(this.#host, head, reply, version);
    const admitted = this.#admit(head, reply, call);
    return admitted === call && call.answered ? null : admitted;
  }

  #admit(head: RequestHead, reply: Reply, call: GatedCall): HttpCall | null {
    const { authenticator } = this.#deps;
    if (authenticator === null) {
      call.admit(null);
      return call;
    }
    const answer = authenticator.authenticate(head.header('authorization'));
    if (answer instanceof Promise) {
      return new AuthGate(answer, call, {
        refusedAuth: (refusal) => this.#refuseAuth(reply, refusal),
        failedAuth: (cause) => this.#failAuth(reply, cause),
      });
    }
    if (isAuthRefusal(answer)) return this.#refuseAuth(reply, answer);
    call.admit(answer);
    return call;
  }

  #refuseAuth(reply: Reply, refusal: AuthRefusal): null {
    const why = fault(refusal.status === 401 ? 'unauthorized' : 'forbidden', refusal.message);
    return this.#refuse(reply, why, [['WWW-Authenticate', refusal.wwwAuthenticate]]);
  }

  #failAuth(reply: Reply, cause: unknown): void {
    this.#deps.log.error({ err: cause }, 'the authenticator failed');
    this.#deps.meters.httpRefused(500);
    reply.send(500, JSON_TYPE, encodeFault('', faultFrom(cause)));
  }

  #refuse(reply: Reply, why: Fault, headers?: HeaderPairs): null {
    const { status } = FAULTS[why.name];
    this.#deps.meters.httpRefused(status);
    reply.send(status, JSON_TYPE, encodeFault('', why), headers);
    return null;
  }
}
