/**
 * WebSocket on uWebSockets.js: one message per text frame, and per binary frame where the connection takes them.
 *
 * Role: makes a `MessagePeer` of each socket and hands its messages to the connection the handler made.
 * Invariants: nothing is dropped silently. A message is refused, and the socket closed with 1013, once what is held back
 * would pass `streamBufferBytesMax`; one larger than that is sent when nothing else is held. The native limit is off,
 * since it drops messages, and the close frame too, without a word; pongs, which count towards it, are checked here.
 * Where the library closes by itself it sends no close frame: a client sees 1006 for invalid UTF-8, and for a message
 * more than twice the limit. Up to there it is 1009.
 */
import { contentLength } from '../headers.ts';
import type { MessageConnection, MessageHandler, MessagePeer, UpgradeTicket } from '../port.ts';
import { CLOSE, SOCKET_IDLE_SECONDS, SOCKET_VERSION, selectProtocol, upgradeBy } from '../upgrades.ts';
import type { UwsEdge } from './edge.ts';
import { UwsRequestHead } from './http.ts';
import type { NativeApp, NativeModule, NativeResponse, NativeSocket, NativeSocketContext } from './native.ts';
import { statusLine } from './status.ts';

function byteLength(message: Uint8Array | string): number {
  return typeof message === 'string' ? Buffer.byteLength(message) : message.byteLength;
}

/** Merged into the native socket object, hence one member. */
interface SocketData {
  peer: UwsPeer;
}

/** Native limit over ours: lets a message that is somewhat too big be refused with a close code. */
const NATIVE_LIMIT_FACTOR = 2;

class UwsPeer implements MessagePeer {
  open = true;
  congested = false;
  readonly ticket: UpgradeTicket;
  connection: MessageConnection | null = null;
  readonly #edge: UwsEdge;
  #ws: NativeSocket<SocketData> | null = null;
  /** Bytes held back right after our last message: what is above it later, pongs added. */
  #heldBytes = 0;

  constructor(edge: UwsEdge, ticket: UpgradeTicket) {
    this.#edge = edge;
    this.ticket = ticket;
  }

  opened(ws: NativeSocket<SocketData>): void {
    this.#ws = ws;
    this.#edge.sockets++;
    this.#guard(() => {
      this.connection = this.ticket.connect(this);
    });
  }

  received(message: ArrayBuffer, isBinary: boolean): void {
    if (!this.open) return;
    if (isBinary && this.connection?.binary === undefined) this.closeNow(CLOSE.notText);
    else if (message.byteLength > this.#edge.limits.messageBytesMax) this.closeNow(CLOSE.tooBig);
    else {
      try {
        if (isBinary) this.connection?.binary?.(new Uint8Array(message));
        else this.connection?.message(new Uint8Array(message));
      } catch (cause) {
        this.#broke(cause);
      }
    }
  }

  send(message: Uint8Array | string): boolean {
    const ws = this.#ws;
    if (ws === null || !this.open) return false;
    if (this.congested && ws.getBufferedAmount() + byteLength(message) > this.#edge.limits.streamBufferBytesMax) {
      this.close(CLOSE.tooSlow.code, CLOSE.tooSlow.reason);
      return false;
    }
    if (ws.send(message, false, false) !== 1) {
      this.congested = true;
      this.#heldBytes = ws.getBufferedAmount();
    }
    return true;
  }

  /** Later, since the library calls the close handler at once: `closed()` never comes from within `close()`. */
  close(code: number, reason: string): void {
    this.open = false;
    queueMicrotask(() => this.closeNow({ code, reason }));
  }

  closeNow(how: { readonly code: number; readonly reason: string }): void {
    this.open = false;
    this.#ws?.end(how.code, how.reason);
  }

  remoteAddress(): string {
    return this.#ws === null ? '' : Buffer.from(this.#ws.getRemoteAddressAsText()).toString('latin1');
  }

  drained(): void {
    if (!this.congested || this.#ws === null) return;
    this.#heldBytes = this.#ws.getBufferedAmount();
    if (this.#heldBytes > 0) return;
    this.congested = false;
    if (this.open) this.#guard(() => this.connection?.drained());
  }

  /** A pong has been queued. A reader that only pings and never reads ends here. */
  pinged(): void {
    const ws = this.#ws;
    if (ws !== null && ws.getBufferedAmount() > this.#heldBytes + this.#edge.limits.streamBufferBytesMax) ws.close();
  }

  closed(): void {
    if (this.#ws === null) return;
    this.#ws = null;
    this.open = false;
    this.#edge.sockets--;
    this.#guard(() => this.connection?.closed());
  }

  /** The handler must not throw; when it does, only this socket pays. */
  #guard(step: () => void): void {
    try {
      step();
    } catch (cause) {
      this.#broke(cause);
    }
  }

  #broke(cause: unknown): void {
    this.#edge.log.error({ err: cause }, 'message handler threw');
    this.closeNow(CLOSE.internal);
  }
}

export class UwsMessages {
  readonly #edge: UwsEdge;
  readonly #handler: MessageHandler;
  readonly #head = new UwsRequestHead();
  readonly #peers = new Set<UwsPeer>();

  constructor(edge: UwsEdge, handler: MessageHandler) {
    this.#edge = edge;
    this.#handler = handler;
  }

  attach(app: NativeApp, native: NativeModule, path: string): void {
    app.ws<SocketData>(path, {
      maxPayloadLength: this.#edge.limits.messageBytesMax * NATIVE_LIMIT_FACTOR,
      idleTimeout: SOCKET_IDLE_SECONDS,
      sendPingsAutomatically: true,
      maxBackpressure: 0,
      compression: native.DISABLED,
      upgrade: (res, req, context) => {
        this.#head.read(req, 'GET', req.getUrl());
        this.#upgrade(res, context);
        this.#head.release();
      },
      open: (ws) => {
        const peer = ws.getUserData().peer;
        this.#peers.add(peer);
        peer.opened(ws);
      },
      message: (ws, message, isBinary) => ws.getUserData().peer.received(message, isBinary),
      ping: (ws) => ws.getUserData().peer.pinged(),
      drain: (ws) => ws.getUserData().peer.drained(),
      close: (ws) => {
        const peer = ws.getUserData().peer;
        this.#peers.delete(peer);
        peer.closed();
      },
    });
  }

  closeAll(): void {
    for (const peer of [...this.#peers]) peer.closeNow(CLOSE.goingAway);
  }

  #upgrade(res: NativeResponse, context: NativeSocketContext): void {
    const head = this.#head;
    const edge = this.#edge;
    if (head.header('sec-websocket-version') !== SOCKET_VERSION) {
      res.writeStatus(statusLine(426)).writeHeader('Sec-WebSocket-Version', SOCKET_VERSION);
      res.end('unsupported WebSocket version', true);
    } else if (contentLength(head.header('content-length')) !== 0 || head.header('transfer-encoding') !== '') {
      res.writeStatus(statusLine(400)).end('an upgrade has no body', true);
    } else if (!edge.accepting || edge.connections >= edge.limits.connectionsMax) {
      res.writeStatus(statusLine(503)).end('too many connections', true);
    } else {
      const decision = upgradeBy(this.#handler, this.#head, this.#edge.log);
      if ('status' in decision) {
        res.writeStatus(statusLine(decision.status));
        for (const [name, value] of decision.headers ?? []) res.writeHeader(name, value);
        res.end(decision.message, true);
        return;
      }
      const data: SocketData = { peer: new UwsPeer(edge, decision) };
      const protocol = selectProtocol(head.header('sec-websocket-protocol'));
      res.upgrade(data, head.header('sec-websocket-key'), protocol, '', context);
    }
  }
}
