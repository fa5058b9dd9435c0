// HOT PATH
/**
 * HTTP requests on uWebSockets.js: reads the headers while they can be read, refuses what its parser lets pass, and
 * hands the rest to the handler.
 *
 * Role: the top half of the adapter; `UwsExchange` is the bottom half. The handler runs inside the native callback, so
 * nothing here waits.
 * Facts about the build of 2023: it lets pass two `Host` headers, two Content-Lengths, any Transfer-Encoding, and heads
 * of any size that arrive in one piece; it closes, without a status, on a missing `Host`, on Transfer-Encoding with
 * Content-Length and on anything malformed; it answers `Expect: 100-continue` itself. Both builds close a connection
 * that sends its next request before the last one is answered.
 */
import { encodeFault, type Fault, fault } from '../../protocol/faults.ts';
import { contentLength, framingFault, HEADER_LINES_MAX, HeaderTable } from '../headers.ts';
import type { HttpCall, HttpHandler, RequestHead } from '../port.ts';
import { JSON_TYPE } from '../refusal.ts';
import type { UwsEdge } from './edge.ts';
import { UwsExchange } from './exchange.ts';
import type { NativeApp, NativeRequest, NativeResponse } from './native.ts';

const HEADERS_TOO_LARGE: Fault = fault('headersTooLarge', 'request headers are too large');
const TOO_MANY_CONNECTIONS: Fault = fault('limitReached', 'too many connections');
const EXPECTATION_FAILED = encodeFault('', fault('badRequest', 'unknown expectation'));

/** One for all requests of a front end: only valid while the handler runs. */
export class UwsRequestHead implements RequestHead {
  method = '';
  path = '';
  readonly table = new HeaderTable();
  #req: NativeRequest | null = null;
  readonly #add = (name: string, value: string): void => this.table.add(name, value);

  get query(): string {
    return this.#req?.getQuery() ?? '';
  }

  header(name: string): string {
    return this.table.get(name);
  }

  read(req: NativeRequest, method: string, path: string): void {
    this.#req = req;
    this.method = method;
    this.path = path;
    this.table.clear();
    req.forEach(this.#add);
  }

  release(): void {
    this.#req = null;
  }
}

export class UwsHttp {
  readonly #head = new UwsRequestHead();
  readonly #edge: UwsEdge;
  readonly #handler: HttpHandler;

  constructor(edge: UwsEdge, handler: HttpHandler) {
    this.#edge = edge;
    this.#handler = handler;
  }

  /** POST to the one busy path gets a route of its own: method and path are then known without asking. */
  attach(app: NativeApp, busyPath: string): void {
    app.post(busyPath, (res, req) => this.#take(res, req, 'POST', busyPath));
    app.any('/*', (res, req) => this.#take(res, req, req.getCaseSensitiveMethod(), req.getUrl()));
  }

  #take(res: NativeResponse, req: NativeRequest, method: string, path: string): void {
    const head = this.#head;
    head.read(req, method, path);
    const exchange = new UwsExchange(res, this.#edge, method === 'HEAD');
    let call: HttpCall | null = null;
    if (this.#admit(exchange)) {
      try {
        call = this.#handler.head(head, exchange);
      } catch (cause) {
        exchange.broke(cause);
      }
    }
    exchange.settle(call, contentLength(head.header('content-length')));
    head.release();
  }

  /** False when the request was refused for its form, or for one connection too many. */
  #admit(exchange: UwsExchange): boolean {
    const head = this.#head;
    const edge = this.#edge;
    if (edge.connections > edge.limits.connectionsMax) {
      exchange.refuseAndClose(TOO_MANY_CONNECTIONS);
    } else if (head.table.lines > HEADER_LINES_MAX || head.table.size > edge.limits.headerBytesMax) {
      exchange.refuseAndClose(HEADERS_TOO_LARGE);
    } else {
      const bad = framingFault(head.table);
      const expect = head.header('expect');
      if (bad !== '') exchange.refuseAndClose(fault('badRequest', bad));
      else if (expect !== '' && expect.toLowerCase() !== '100-continue')
        exchange.send(417, JSON_TYPE, EXPECTATION_FAILED);
      else return true;
    }
    return false;
  }
}
