/**
 * HTTP requests on node:http and node:https.
 *
 * Role: the top half of the adapter: headers into the table both adapters share, then the handler.
 * Node.js itself refuses malformed requests (400), heads past the limit (431) and slow ones (408), and closes; what it
 * lets pass, repeated `Host` and Content-Length among it, is judged by the same rules as on uWebSockets.js.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fault } from '../../protocol/faults.ts';
import { contentLength, framingFault, HEADER_LINES_MAX, HeaderTable } from '../headers.ts';
import type { HttpCall, HttpHandler, RequestHead } from '../port.ts';
import { type NodeEdge, NodeExchange } from './exchange.ts';

const NOT_ASCII = /[\x80-\xff]/;

/** One for all requests of a front end: only valid while the handler runs. */
export class NodeRequestHead implements RequestHead {
  method = '';
  path = '';
  query = '';
  readonly table = new HeaderTable();

  header(name: string): string {
    return this.table.get(name);
  }

  read(req: IncomingMessage): void {
    this.method = req.method ?? '';
    const url = originForm(req.url ?? '');
    const mark = url.indexOf('?');
    this.path = mark < 0 ? url : url.slice(0, mark);
    this.query = mark < 0 ? '' : url.slice(mark + 1);
    this.table.clear();
    const raw = req.rawHeaders;
    for (let i = 0; i + 1 < raw.length; i += 2) {
      const value = raw[i + 1] as string;
      // Node.js reads headers as Latin-1, uWebSockets.js as UTF-8.
      const text = NOT_ASCII.test(value) ? Buffer.from(value, 'latin1').toString('utf8') : value;
      this.table.add((raw[i] as string).toLowerCase(), text);
    }
  }
}

export class NodeHttp {
  readonly #head = new NodeRequestHead();
  readonly #edge: NodeEdge;
  readonly #handler: HttpHandler;

  constructor(edge: NodeEdge, handler: HttpHandler) {
    this.#edge = edge;
    this.#handler = handler;
  }

  take(req: IncomingMessage, res: ServerResponse, expectsContinue: boolean): void {
    const head = this.#head;
    head.read(req);
    const exchange = new NodeExchange(req, res, this.#edge);
    let call: HttpCall | null = null;
    const bad = framingFault(head.table);
    if (this.#edge.surplus.has(req.socket)) {
      exchange.refuseAndClose(fault('limitReached', 'too many connections'));
    } else if (head.table.lines > HEADER_LINES_MAX || head.table.size > this.#edge.limits.headerBytesMax) {
      exchange.refuseAndClose(fault('headersTooLarge', 'request headers are too large'));
    } else if (bad !== '') {
      exchange.refuseAndClose(fault('badRequest', bad));
    } else {
      try {
        call = this.#handler.head(head, exchange);
      } catch (cause) {
        exchange.broke(cause);
      }
    }
    const declaredBytes = contentLength(head.header('content-length'));
    if (expectsContinue && call !== null && exchange.open && declaredBytes <= call.bodyBytesMax) res.writeContinue();
    exchange.settle(call, declaredBytes);
  }
}

/** `http://host/path` → `/path`: clients of proxies send it, and a server has to take it. */
function originForm(url: string): string {
  if (url.startsWith('/')) return url;
  const authority = url.indexOf('://');
  if (authority < 0) return url;
  const path = url.indexOf('/', authority + 3);
  return path < 0 ? '/' : url.slice(path);
}
