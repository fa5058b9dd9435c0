/**
 * A front end on node:http or node:https: the same port for platforms where no build of uWebSockets.js loads.
 *
 * Role: the adapter's life cycle, and the limits that Node.js keeps for it: head size, time to receive, keep-alive. The
 * connection limit is kept here, since Node.js would drop without a word.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Log } from '../../observe/port.ts';
import { Intake } from '../intake.ts';
import type { FrontEnd, FrontEndOptions, HttpHandler, MessageRoute } from '../port.ts';
import type { NodeEdge } from './exchange.ts';
import { NodeHttp } from './http.ts';
import { ParseErrors } from './parse-errors.ts';
import { replay } from './replay.ts';
import { NodeMessages } from './websocket.ts';

/** Connections past the limit that may be open until their first request has been refused, and for how long. */
const SURPLUS_MAX = 64;
const SURPLUS_WAIT_MS = 1_000;
/** Checks of the receive limits within one limit. */
/** From here on a reader counts as slow. Node.js 20 and its successors have defaults of their own. */
const HELD_BYTES = 16_384;
const CHECKS_PER_LIMIT = 4;

export async function openNode(
  options: FrontEndOptions,
  http: HttpHandler,
  messages: MessageRoute,
  log: Log,
): Promise<FrontEnd> {
  const { limits } = options;
  const server = await makeServer(options);
  server.keepAliveTimeout = limits.keepAliveMs;
  server.maxHeadersCount = 0;
  server.maxConnections = limits.connectionsMax + SURPLUS_MAX;
  const opened = options.tls === null ? 'connection' : 'secureConnection';
  const edge: NodeEdge = {
    draining: false,
    accepting: true,
    exchanges: 0,
    intake: new Intake(),
    surplus: new WeakSet(),
    parseErrors: new ParseErrors(),
    limits,
    log,
  };
  const front = new NodeFrontEnd(server, opened, edge, http, messages);
  try {
    await listening(server, options);
  } catch (cause) {
    await front.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`cannot listen on ${options.host}:${options.port}: ${why}`, { cause });
  }
  server.on('error', (cause) => log.error({ err: cause }, 'listener failed'));
  front.listening();
  return front;
}

function listening(server: Server, options: FrontEndOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function makeServer(options: FrontEndOptions): Promise<Server> {
  const { requestReceiveMsMax, headerBytesMax } = options.limits;
  const settings: ServerOptions = {
    maxHeaderSize: headerBytesMax,
    highWaterMark: HELD_BYTES,
    headersTimeout: requestReceiveMsMax,
    requestTimeout: requestReceiveMsMax,
    connectionsCheckingInterval: Math.max(10, Math.ceil(requestReceiveMsMax / CHECKS_PER_LIMIT)),
  };
  if (options.tls === null) return createServer(settings);
  const [key, cert] = await Promise.all([readFile(options.tls.keyFile), readFile(options.tls.certFile)]);
  return createTlsServer({ ...settings, key, cert, handshakeTimeout: requestReceiveMsMax });
}

class NodeFrontEnd implements FrontEnd {
  readonly kind = 'node';
  readonly description = `node:http ${process.versions.node}`;
  readonly #server: Server;
  /** Event with which a connection begins. */
  readonly #opened: 'connection' | 'secureConnection';
  readonly #edge: NodeEdge;
  readonly #sockets: NodeMessages;
  readonly #open = new Set<Duplex>();
  #port = 0;
  #closing: Promise<void> | null = null;

  constructor(
    server: Server,
    opened: 'connection' | 'secureConnection',
    edge: NodeEdge,
    http: HttpHandler,
    messages: MessageRoute,
  ) {
    this.#server = server;
    this.#opened = opened;
    this.#edge = edge;
    this.#sockets = new NodeMessages(edge, messages);
    const requests = new NodeHttp(edge, http);
    server.on(opened, (socket: Socket) => this.#admit(socket));
    server.on('request', (req, res) => requests.take(req, res, false));
    server.on('checkContinue', (req, res) => requests.take(req, res, true));
    server.on('clientError', (error, socket) => edge.parseErrors.failed(error, socket));
    server.on('upgrade', (req, socket, rest) => this.#upgrade(req, socket, rest));
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#open.size;
  }

  listening(): void {
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  pauseReading(): void {
    this.#edge.intake.pause();
  }

  resumeReading(): void {
    this.#edge.intake.resume();
  }

  get exchanges(): number {
    return this.#edge.exchanges;
  }

  drain(): void {
    this.#edge.draining = true;
  }

  stopAccepting(): void {
    if (!this.#edge.accepting) return;
    this.#edge.draining = true;
    this.#edge.accepting = false;
    this.#closing = new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async close(): Promise<void> {
    this.stopAccepting();
    this.#sockets.closeAll();
    this.#server.closeAllConnections();
    const gone = [...this.#open].map((socket) => new Promise((resolve) => socket.once('close', resolve)));
    for (const socket of this.#open) socket.destroy();
    await Promise.all([this.#closing, ...gone]);
  }

  #admit(socket: Socket): void {
    if (this.#open.has(socket)) return;
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    if (this.#open.size <= this.#edge.limits.connectionsMax) return;
    this.#edge.surplus.add(socket);
    const timer = setTimeout(() => socket.destroy(), SURPLUS_WAIT_MS);
    socket.once('close', () => clearTimeout(timer));
  }

  #upgrade(req: IncomingMessage, socket: Duplex, rest: Buffer): void {
    if (this.#sockets.take(req, socket, rest)) return;
    this.#server.emit(this.#opened, replay(req, socket, rest));
  }
}
