/**
 * One connection of the own client: a socket that sends one request at a time and reports what comes back.
 *
 * Role: HTTP keep-alive or WebSocket behind the same three calls (`open`, `send`, `close`). A connection that is lost
 * is opened again, so a server that closes connections gets fewer answers but not less load.
 * Invariant: every `send` ends in exactly one `answered` or `lost`; a connection that could not be made at all is
 * `lost` as well.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { httpBytes, textFrame, type WireRequest } from '../wire/request.ts';
import { FrameParser } from './frame-parser.ts';
import { ResponseParser } from './response-parser.ts';

/** After a failure, which the next attempt may well meet again. */
const REOPEN_MS = 20;
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);
const WEBSOCKET_KEY = 'bWlsbHJhY2UgYmVuY2ggMQ==';

export interface ConnectionEvents {
  /** Usable, for the first time or again. */
  opened(connection: Connection): void;
  answered(connection: Connection, status: number, body: Buffer): void;
  /** The request on the way is gone, or there was none and the connection could not be made. */
  lost(connection: Connection, reason: string): void;
}

/** TLS has names of servers, no addresses. */
const serverName = (host: string): { servername?: string } => (isIP(host) === 0 ? { servername: host } : {});

export abstract class Connection {
  /** When the request on its way left, or should have left. For the group that owns the connection. */
  startedMs = 0;
  busy = false;
  ready = false;
  protected socket: Socket | null = null;
  protected readonly url: URL;
  protected readonly events: ConnectionEvents;
  protected readonly bytes: Buffer;
  readonly #pieceBytes: number;
  readonly #pieceMs: number;
  #closed = false;
  #reopening: NodeJS.Timeout | null = null;

  constructor(url: URL, events: ConnectionEvents, bytes: Buffer, pieceBytes: number, pieceMs: number) {
    this.url = url;
    this.events = events;
    this.bytes = bytes;
    this.#pieceBytes = pieceBytes;
    this.#pieceMs = pieceMs;
  }

  open(): void {
    const { hostname, port, protocol } = this.url;
    const secure = protocol === 'https:';
    const host = hostname.replace(/^\[|\]$/g, '');
    const to = { host, port: port === '' ? (secure ? 443 : 80) : Number(port) };
    const socket = secure ? connectTls({ ...to, ...serverName(host), ALPNProtocols: ['http/1.1'] }) : connectTcp(to);
    socket.setNoDelay(true);
    // A socket that was left behind still has events to come: they are nobody's.
    const mine = (): boolean => socket === this.socket;
    socket.once(secure ? 'secureConnect' : 'connect', () => mine() && this.connected());
    socket.on('data', (chunk: Buffer) => mine() && this.received(chunk));
    socket.on('error', (error) => mine() && this.drop(error.message));
    socket.on('close', () => mine() && this.ended());
    this.socket = socket;
    this.fresh();
  }

  /** Other bytes than those it was made for, where each request differs. */
  send(bytes: Buffer = this.bytes): void {
    this.busy = true;
    if (this.#pieceBytes === 0) this.socket?.write(bytes);
    else this.#sendPieces(this.socket, 0);
  }

  /** For good; nothing is reported after it. */
  close(): void {
    this.#closed = true;
    if (this.#reopening !== null) clearTimeout(this.#reopening);
    this.socket?.destroy();
    this.socket = null;
  }

  protected abstract connected(): void;
  protected abstract received(chunk: Buffer): void;
  /** A new socket: what the parser held belongs to the old one. */
  protected abstract fresh(): void;

  /** The server has closed the connection. */
  protected ended(): void {
    this.drop('connection closed by the server');
  }

  protected becomeReady(): void {
    this.ready = true;
    this.events.opened(this);
  }

  protected answer(status: number, body: Buffer): void {
    if (!this.busy) return;
    this.busy = false;
    this.events.answered(this, status, body);
  }

  protected drop(reason: string): void {
    if (this.#closed || this.socket === null) return;
    const affected = this.busy || !this.ready;
    this.busy = false;
    this.leave();
    this.#reopening = setTimeout(() => this.open(), REOPEN_MS);
    if (affected) this.events.lost(this, reason);
  }

  /** Without a report: where the server announced it, no request is lost by it. */
  protected leave(): void {
    const { socket } = this;
    this.socket = null;
    this.ready = false;
    socket?.destroy();
  }

  /** At once: a pause here would be the limit of a server that closes after each answer. */
  protected reopen(): void {
    if (!this.#closed) this.open();
  }

  #sendPieces(socket: Socket | null, from: number): void {
    if (socket === null || socket !== this.socket) return;
    socket.write(this.bytes.subarray(from, from + this.#pieceBytes));
    const next = from + this.#pieceBytes;
    if (next < this.bytes.length) setTimeout(() => this.#sendPieces(socket, next), this.#pieceMs);
  }
}

export class HttpConnection extends Connection {
  #parser = new ResponseParser();

  constructor(url: URL, events: ConnectionEvents, request: WireRequest, pieceBytes: number, pieceMs: number) {
    super(url, events, httpBytes(url, request), pieceBytes, pieceMs);
  }

  /** Of the answer just reported. */
  header(name: string): string {
    return this.#parser.header(name);
  }

  protected override fresh(): void {
    this.#parser = new ResponseParser();
  }

  protected override connected(): void {
    this.becomeReady();
  }

  protected override received(chunk: Buffer): void {
    const parser = this.#parser;
    parser.push(chunk);
    for (let look = parser.next(); look !== 'more'; look = parser.next()) {
      if (look === 'unreadable') {
        this.drop('the response could not be read');
        return;
      }
      if (parser.closes) {
        this.#answerAndReopen();
        return;
      }
      if (!this.busy || parser.leftBytes > 0) {
        // Which of them, or of those that follow, answers what cannot be told any more.
        this.busy = true;
        this.drop('the server sent an answer that nobody asked for');
        return;
      }
      this.answer(parser.status, parser.body);
    }
  }

  protected override ended(): void {
    if (this.#parser.end()) this.#answerAndReopen();
    else super.ended();
  }

  /** A server that gives up an idle connection may say so (408): that is no answer. */
  #answerAndReopen(): void {
    this.leave();
    this.answer(this.#parser.status, this.#parser.body);
    this.reopen();
  }
}

/** The handshake is an HTTP response; after it the bytes are frames. */
export class WebSocketConnection extends Connection {
  readonly #headers: Readonly<Record<string, string>>;
  #parser = new FrameParser();
  #handshake: Buffer | null = Buffer.alloc(0);

  constructor(url: URL, events: ConnectionEvents, request: WireRequest) {
    super(url, events, textFrame(request.body), 0, 0);
    this.#headers = request.headers;
  }

  protected override fresh(): void {
    this.#parser = new FrameParser();
    this.#handshake = Buffer.alloc(0);
  }

  protected override connected(): void {
    const lines = [
      `GET ${this.url.pathname} HTTP/1.1`,
      `host: ${this.url.host}`,
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      `sec-websocket-key: ${WEBSOCKET_KEY}`,
    ];
    const { authorization } = this.#headers;
    if (authorization !== undefined) lines.push(`authorization: ${authorization}`);
    this.socket?.write(`${lines.join('\r\n')}\r\n\r\n`);
  }

  protected override received(chunk: Buffer): void {
    if (this.#handshake !== null) this.#shake(chunk);
    else this.#frames(chunk);
  }

  #shake(chunk: Buffer): void {
    const held = Buffer.concat([this.#handshake ?? Buffer.alloc(0), chunk]);
    const end = held.indexOf('\r\n\r\n');
    this.#handshake = held;
    if (end === -1) return;
    if (!held.toString('latin1', 0, 12).endsWith('101')) {
      this.drop(`the upgrade was answered ${held.toString('latin1', 9, 12)}`);
      return;
    }
    this.#handshake = null;
    this.becomeReady();
    if (held.length > end + 4) this.#frames(held.subarray(end + 4));
  }

  #frames(chunk: Buffer): void {
    const parser = this.#parser;
    parser.push(chunk);
    for (let look = parser.next(); look !== 'more'; look = parser.next()) {
      if (look === 'message') this.answer(200, parser.payload);
      else if (look === 'ping') this.socket?.write(PONG);
      else if (look !== 'other') {
        this.drop(look === 'close' ? 'closed by the server' : 'the frame could not be read');
        return;
      }
    }
  }
}
