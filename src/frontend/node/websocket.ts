/**
 * WebSocket beside node:http, on the `ws` package.
 *
 * Role: decides what to do with an `Upgrade` request, and makes a `MessagePeer` of each socket. Only a WebSocket upgrade
 * on a message path is one; anything else (`Upgrade: h2c`, as Java's client sends with its first request) is answered
 * as the plain request it also is, which Node.js does not do by itself once it has an upgrade listener.
 * Invariants: as on uWebSockets.js, with the closing codes of the protocol in every case (1007, 1009 by `ws`).
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import type {
  HeaderPairs,
  MessageConnection,
  MessageHandler,
  MessagePeer,
  MessageRoute,
  UpgradeTicket,
} from '../port.ts';
import { CLOSE, SOCKET_IDLE_SECONDS, selectProtocol, upgradeBy } from '../upgrades.ts';
import type { NodeEdge } from './exchange.ts';
import { NodeRequestHead } from './http.ts';

/** After a close frame that nobody reads. */
const CLOSE_WAIT_MS = 5_000;

class NodePeer implements MessagePeer {
  open = true;
  congested = false;
  /** Something has come since the last ping. */
  alive = true;
  connection: MessageConnection | null = null;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #edge: NodeEdge;
  readonly #address: string;

  constructor(ws: WebSocket, socket: Duplex, edge: NodeEdge, address: string) {
    this.#ws = ws;
    this.#socket = socket;
    this.#edge = edge;
    this.#address = address;
  }

  /** From here on the handler is told. */
  connect(ticket: UpgradeTicket): void {
    this.#guard(() => {
      this.connection = ticket.connect(this);
    });
    this.#ws.on('message', (data, isBinary) => this.#received(data, isBinary));
    this.#ws.on('pong', () => {
      this.alive = true;
    });
    this.#ws.on('ping', () => this.#pinged());
    this.#ws.on('error', (cause) => this.#edge.log.debug({ err: cause }, 'WebSocket error'));
    this.#ws.on('close', () => {
      this.open = false;
      this.#guard(() => this.connection?.closed());
    });
    this.#socket.on('drain', () => this.#drained());
  }

  send(message: Uint8Array | string): boolean {
    if (!this.open || this.#ws.readyState !== this.#ws.OPEN) return false;
    const copy = Buffer.from(message);
    const held = this.#ws.bufferedAmount;
    if (held > 0 && held + copy.byteLength > this.#edge.limits.streamBufferBytesMax) {
      this.#close(CLOSE.tooSlow);
      return false;
    }
    this.#ws.send(copy, { binary: false });
    this.congested = this.#socket.writableNeedDrain;
    return true;
  }

  close(code: number, reason: string): void {
    this.#close({ code, reason });
  }

  remoteAddress(): string {
    return this.#address;
  }

  /** Pings, or ends a connection from which nothing came since the last ping. */
  checkAlive(): void {
    if (!this.alive) this.#ws.terminate();
    else if (this.open) {
      this.alive = false;
      this.#ws.ping();
    }
  }

  terminate(): void {
    this.#ws.terminate();
  }

  #received(data: RawData, isBinary: boolean): void {
    this.alive = true;
    if (!this.open) return;
    if (isBinary && this.connection?.binary === undefined) this.#close(CLOSE.notText);
    else if (!Buffer.isBuffer(data)) return;
    else if (isBinary) this.#guard(() => this.connection?.binary?.(data));
    else this.#guard(() => this.connection?.message(data));
  }

  #pinged(): void {
    this.alive = true;
    if (this.#ws.bufferedAmount > 2 * this.#edge.limits.streamBufferBytesMax) this.#ws.terminate();
  }

  #drained(): void {
    if (!this.congested) return;
    this.congested = false;
    if (this.open) this.#guard(() => this.connection?.drained());
  }

  /** A reader that has stopped never reads the close frame: after a while the socket goes without. */
  #close(how: { readonly code: number; readonly reason: string }): void {
    this.open = false;
    this.#ws.close(how.code, how.reason);
    const timer = setTimeout(() => this.#ws.terminate(), CLOSE_WAIT_MS);
    this.#ws.once('close', () => clearTimeout(timer));
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#edge.log.error({ err: cause }, 'message handler threw');
      if (this.open) this.#close(CLOSE.internal);
    }
  }
}

export class NodeMessages {
  readonly #edge: NodeEdge;
  readonly #handler: MessageHandler;
  readonly #route: MessageRoute;
  readonly #head = new NodeRequestHead();
  readonly #server: WebSocketServer;
  readonly #peers = new Set<NodePeer>();
  readonly #pinger: NodeJS.Timeout;

  constructor(edge: NodeEdge, route: MessageRoute) {
    this.#edge = edge;
    this.#handler = route.handler;
    this.#route = route;
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: edge.limits.messageBytesMax,
      handleProtocols: (offered) => selectProtocol([...offered].join(',')) || false,
    });
    this.#pinger = setInterval(() => {
      for (const peer of this.#peers) peer.checkAlive();
    }, SOCKET_IDLE_SECONDS * 1000);
  }

  /** False when it is no upgrade to our WebSocket: the request is then to be answered without it. */
  take(req: IncomingMessage, socket: Duplex, rest: Buffer): boolean {
    const head = this.#head;
    head.read(req);
    const { path, prefix } = this.#route;
    const isOurs = head.path === path || (prefix !== undefined && head.path.startsWith(prefix));
    if (head.method !== 'GET' || !isOurs) return false;
    if (head.header('upgrade').toLowerCase() !== 'websocket') return false;
    socket.on('error', (cause) => this.#edge.log.debug({ err: cause }, 'socket error'));
    if (!this.#edge.accepting || this.#edge.surplus.has(req.socket)) {
      answer(socket, 503, this.#edge.accepting ? 'too many connections' : 'server is stopping');
      return true;
    }
    const decision = upgradeBy(this.#handler, this.#head, this.#edge.log);
    if ('status' in decision) answer(socket, decision.status, decision.message, decision.headers);
    else {
      const address = req.socket.remoteAddress ?? '';
      this.#server.handleUpgrade(req, socket, rest, (ws) => this.#connect(ws, socket, decision, address));
    }
    return true;
  }

  closeAll(): void {
    clearInterval(this.#pinger);
    for (const peer of this.#peers) {
      peer.close(CLOSE.goingAway.code, CLOSE.goingAway.reason);
      peer.terminate();
    }
  }

  #connect(ws: WebSocket, socket: Duplex, ticket: UpgradeTicket, address: string): void {
    const peer = new NodePeer(ws, socket, this.#edge, address);
    this.#peers.add(peer);
    ws.once('close', () => this.#peers.delete(peer));
    peer.connect(ticket);
  }
}

function answer(socket: Duplex, status: number, message: string, headers: HeaderPairs = []): void {
  const more = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n${more}` +
      `Content-Length: ${Buffer.byteLength(message)}\r\n\r\n${message}`,
  );
}
