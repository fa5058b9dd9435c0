/**
 * What becomes of a connection on which Node.js found no valid request, or none in time.
 *
 * Role: Node.js would answer 400 at once and close, even while earlier pipelined requests wait for their answers: the
 * client would take the refusal for the first of them. So those are answered first, in order, then the refusal is sent.
 * Invariant: a connection that has failed takes no further request; it closes after at most one refusal.
 */
import type { Duplex } from 'node:stream';
import { encodeFault, type Fault, fault } from '../../protocol/faults.ts';
import { JSON_TYPE } from '../refusal.ts';

const MALFORMED = refusalBytes('400 Bad Request', fault('badRequest', 'malformed HTTP request'));
const TOO_LARGE = refusalBytes(
  '431 Request Header Fields Too Large',
  fault('headersTooLarge', 'headers are too large'),
);
const TOO_SLOW = refusalBytes('408 Request Timeout', fault('badRequest', 'request did not arrive in time'));

/** An exchange as far as the end of its connection goes. */
export interface OpenExchange {
  /** Its request has come whole: it can still be answered. */
  readonly answerable: boolean;
}

export class ParseErrors {
  /** Exchanges not yet over, by connection. Entries go with the last exchange. */
  readonly #open = new Map<object, Set<OpenExchange>>();
  readonly #failed = new WeakMap<object, string>();

  began(socket: Duplex, exchange: OpenExchange): void {
    const all = this.#open.get(socket);
    if (all === undefined) this.#open.set(socket, new Set([exchange]));
    else all.add(exchange);
  }

  over(socket: Duplex, exchange: OpenExchange): void {
    const all = this.#open.get(socket);
    if (all === undefined || !all.delete(exchange) || all.size > 0) return;
    this.#open.delete(socket);
    const refusal = this.#failed.get(socket);
    if (refusal !== undefined) finish(socket, refusal);
  }

  /** As the server's `clientError`. */
  failed(error: Error, socket: Duplex): void {
    if (this.#failed.has(socket)) return;
    const refusal = refusalOf(error);
    this.#failed.set(socket, refusal);
    if (!this.#isAnswerable(socket)) finish(socket, refusal);
    // Node.js looks no further at a connection that has failed: that the client has gone is ours to see.
    else if (socket.readableEnded) socket.destroy();
    else socket.once('end', () => socket.destroy());
  }

  #isAnswerable(socket: Duplex): boolean {
    for (const exchange of this.#open.get(socket) ?? []) if (exchange.answerable) return true;
    return false;
  }
}

function refusalOf(error: Error): string {
  const code = 'code' in error ? error.code : '';
  if (code === 'HPE_HEADER_OVERFLOW') return TOO_LARGE;
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return TOO_SLOW;
  return code === 'ECONNRESET' ? '' : MALFORMED;
}

function finish(socket: Duplex, refusal: string): void {
  if (socket.writable && refusal !== '') socket.end(refusal, () => socket.destroy());
  else socket.destroy();
}

function refusalBytes(status: string, f: Fault): string {
  const body = encodeFault('', f);
  const length = Buffer.byteLength(body);
  return `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: ${JSON_TYPE}\r\nContent-Length: ${length}\r\n\r\n${body}`;
}
