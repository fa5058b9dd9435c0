/**
 * The port between sockets and the protocol. Adapters (uWebSockets.js, node:http, stdio) speak it outwards, the router
 * and the protocol inwards; neither knows the other.
 *
 * Order of one HTTP request: `handler.head(head, reply)` while the headers can be read, then `call.body(bytes)` once
 * with the whole body, or `call.aborted()` when the client leaves first. After an answer has ended, or after
 * `aborted()`, nothing is called again and every method of `Reply` is a harmless no-op.
 * Invariants an adapter keeps: no byte is buffered for a reader past `streamBufferBytesMax`; a body past
 * `call.bodyBytesMax` is answered 413 before it is buffered; `bytes` may be lent for the length of the call only.
 */

/** The request line and headers. Only valid during `HttpHandler.head` (uWebSockets.js reads them in place). */
export interface RequestHead {
  /** Upper case: `GET`, `POST`, … */
  readonly method: string;
  /** Path without the query, as sent. */
  readonly path: string;
  /** Query without `?`, or `''`. */
  readonly query: string;
  /**
   * Value of a header by lower-case name, surrounding white space removed, or `''` when absent. Values of a repeated
   * header are joined by `, `.
   */
  header(name: string): string;
}

export type HeaderPairs = readonly (readonly [name: string, value: string])[];

/** Answers one HTTP request, once. */
export interface Reply {
  /** False once answered, or once the client has gone. */
  readonly open: boolean;
  /** The whole answer. `contentType` `''` sends no Content-Type. Bytes are copied or written before this returns. */
  send(status: number, contentType: string, body: Uint8Array | string, headers?: HeaderPairs): void;
  /** Starts a `200 text/event-stream` answer. */
  openStream(headers?: HeaderPairs): EventStream;
  /** Textual peer address; `''` when unknown. Only valid until the answer has ended. */
  remoteAddress(): string;
}

/** What an adapter hands to the router: the reply, and whom a browser may show it to. */
export interface EdgeReply extends Reply {
  /** The answer carries CORS headers for this origin. Called before the answer, at most once. */
  allowOrigin(origin: string): void;
}

/**
 * A server-sent event answer in progress. Frames are written whole. A reader that is slower than the writer makes
 * `congested` true: owners then coalesce what can be coalesced and go on at `onDrain`. Past `streamBufferBytesMax`
 * the adapter closes the connection and calls `aborted()`; one write larger than that is taken when nothing else is held.
 */
export interface EventStream {
  readonly open: boolean;
  readonly congested: boolean;
  /** Called once each time `congested` turns false. Set by the owner. */
  onDrain: (() => void) | null;
  /** Writes one or more complete frames. False when the stream is no longer open. */
  write(frames: Uint8Array | string): boolean;
  /** Ends the answer normally. */
  end(): void;
}

/** What a handler returns for a request whose body it wants; one object per request. */
export interface HttpCall {
  /** Largest body it accepts, in bytes; 0 for none. */
  readonly bodyBytesMax: number;
  /** The whole body. When it is lent, `bytes` is only valid during this call: copy what must stay. */
  body(bytes: Uint8Array, isLent: boolean): void;
  /**
   * The client has gone before the answer ended, or its body was refused (413) or did not come in time. Called at most
   * once, never after the end, and never from within a call to the reply or its stream.
   */
  aborted(): void;
}

/** The inward side: classifies and answers HTTP requests. */
export interface HttpHandler {
  /** Returns the call that wants the body, or null when `reply` has been used already. Must not throw. */
  head(head: RequestHead, reply: EdgeReply): HttpCall | null;
}

/** The adapter's side of a message connection (WebSocket, stdio): one JSON-RPC message per `send`. */
export interface MessagePeer {
  readonly open: boolean;
  readonly congested: boolean;
  /**
   * False when the peer is gone. Past `streamBufferBytesMax` the adapter closes the connection itself. `isNotice`: it
   * answers nothing. Where input waits for output (stdio) only those can pile up, and they alone count.
   */
  send(message: Uint8Array | string, isNotice?: boolean): boolean;
  /** WebSocket close code and reason; stdio ends its output. */
  close(code: number, reason: string): void;
  remoteAddress(): string;
}

/** The protocol's side of a message connection. Must not throw. */
export interface MessageConnection {
  /** One whole message; `bytes` is only valid during this call. */
  message(bytes: Uint8Array): void;
  /** As `message`, for a binary one. Without it a binary message closes the connection with 1003. */
  binary?(bytes: Uint8Array): void;
  /** `peer.congested` turned false. */
  drained(): void;
  /** The peer sends nothing more but still reads (stdio at EOF): answers what is in flight, then closes the peer. */
  ended?(): void;
  /** The connection is gone; nothing is called after this. */
  closed(): void;
}

/** Decides whether a WebSocket may be opened, and serves it. */
export interface MessageHandler {
  /** Called while the upgrade request's headers can be read; a refusal is answered with its status. */
  upgrade(head: RequestHead): UpgradeRefusal | UpgradeTicket;
}

export interface UpgradeRefusal {
  readonly status: number;
  readonly message: string;
  readonly headers?: HeaderPairs;
}

/** Where message connections are opened. */
export interface MessageRoute {
  readonly path: string;
  /** Every path that begins so, too. Default none. */
  readonly prefix?: string;
  readonly handler: MessageHandler;
}

export interface UpgradeTicket {
  /** Called when the connection is open. */
  connect(peer: MessagePeer): MessageConnection;
}

/** Limits every adapter keeps; all in the unit their name says. Compiled by `src/config`. */
export interface FrontEndLimits {
  /** Total size of the headers of one request. Past it: 431 or close. */
  readonly headerBytesMax: number;
  /** Open connections; one more is refused. */
  readonly connectionsMax: number;
  /** Bytes held for one slow reader before its connection is closed. */
  readonly streamBufferBytesMax: number;
  /** Time for headers and body to arrive. */
  readonly requestReceiveMsMax: number;
  /** Idle keep-alive. */
  readonly keepAliveMs: number;
  /** One WebSocket message. */
  readonly messageBytesMax: number;
}

export interface FrontEndOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  /** PEM files; null for plain HTTP. */
  readonly tls: { readonly keyFile: string; readonly certFile: string } | null;
  readonly limits: FrontEndLimits;
}

/** One running front end. Made by `openFrontEnd` in `open.ts`. */
export interface FrontEnd {
  /** Which implementation serves: logged and exported as a metric label. */
  readonly kind: 'uws' | 'node';
  /** Build or reason, for the log: `uWebSockets.js 20.30.0`, `node:http 20.20.2`. */
  readonly description: string;
  /** Port bound. */
  readonly port: number;
  readonly connections: number;
  /** Holds requests from their bodies on, and stops reading their sockets: the `block` policy. */
  pauseReading(): void;
  resumeReading(): void;
  /** Requests that have not been answered to the end, streams included. */
  readonly exchanges: number;
  /** Answers carry `Connection: close` from now on, so that clients and balancers leave; all are still let in. */
  drain(): void;
  /** Stops accepting; open connections go on, draining. */
  stopAccepting(): void;
  /** Closes every connection. Resolves when the listener and all sockets are gone. */
  close(): Promise<void>;
}
