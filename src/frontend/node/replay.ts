/**
 * Answers a request whose `Upgrade` is not taken up as if it had none.
 *
 * Role: Node.js stops parsing a connection at an `Upgrade` request as soon as the server has an upgrade listener, and
 * leaves the socket to it. A server may ignore the header (RFC 9110, section 7.8), so the head is put back without it
 * and the socket given to the server as if it had just connected.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** Hop-by-hop headers that belong to the upgrade that is not made. */
const DROPPED = new Set(['upgrade', 'http2-settings', 'connection']);

/** The socket, with the head before what has not been read. */
export function replay(req: IncomingMessage, socket: Duplex, rest: Buffer): Duplex {
  const lines = [`${req.method} ${req.url} HTTP/${req.httpVersion}`];
  for (let i = 0; i + 1 < req.rawHeaders.length; i += 2) {
    const name = req.rawHeaders[i] as string;
    if (!DROPPED.has(name.toLowerCase())) lines.push(`${name}: ${req.rawHeaders[i + 1]}`);
  }
  if (/\bclose\b/i.test(req.headers.connection ?? '')) lines.push('Connection: close');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  socket.unshift(Buffer.concat([head, rest]));
  return socket;
}
