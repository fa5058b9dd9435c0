/**
 * The part of uWebSockets.js that millrace uses, as types.
 *
 * Role: the two registry builds ship declarations that differ and may not be installed at all; this is what both have.
 * Everything here is only valid when uWebSockets.js says so: a request inside its handler, a response until it ended or
 * was aborted, an ArrayBuffer inside the callback it came with.
 */
export type NativeText = string | Uint8Array;

export interface NativeRequest {
  /** Method as sent. */
  getCaseSensitiveMethod(): string;
  getUrl(): string;
  getQuery(): string | undefined;
  forEach(each: (name: string, value: string) => void): void;
}

export interface NativeResponse {
  writeStatus(status: string): NativeResponse;
  writeHeader(name: string, value: string): NativeResponse;
  /** False when the socket took less than everything; the rest is then held by uWebSockets.js. */
  write(chunk: NativeText): boolean;
  end(body: NativeText, closeConnection: boolean): NativeResponse;
  /** It would take a length to report, but the build of 2023 then never ends, and reads `undefined` as 2^63. */
  endWithoutBody(): NativeResponse;
  /** `[ok, done]`. A total of 0 means the body given. */
  tryEnd(body: NativeText, totalBytes: number): [boolean, boolean];
  /** Calls the abort handler before it returns. */
  close(): NativeResponse;
  getWriteOffset(): number;
  onWritable(writable: (offset: number) => boolean): NativeResponse;
  onAborted(aborted: () => void): NativeResponse;
  onData(data: (chunk: ArrayBuffer, isLast: boolean) => void): NativeResponse;
  /** 4 or 16 bytes. */
  getRemoteAddress(): ArrayBuffer;
  getRemoteAddressAsText(): ArrayBuffer;
  cork(corked: () => void): NativeResponse;
  /** Stops and resumes reading the socket of this request. */
  pause(): void;
  resume(): void;
  upgrade(data: object, key: string, protocol: string, extensions: string, context: NativeSocketContext): void;
}

declare const brand: unique symbol;
export interface NativeSocketContext {
  readonly [brand]: 'socket context';
}
export interface NativeListenSocket {
  readonly [brand]: 'listen socket';
}

export interface NativeSocket<Data> {
  /** 1 sent, 0 held back, 2 dropped. */
  send(message: NativeText, isBinary: boolean, compress: boolean): number;
  getBufferedAmount(): number;
  /** Sends a close frame and calls the close handler before it returns. */
  end(code: number, reason: string): void;
  close(): void;
  getUserData(): Data;
  getRemoteAddressAsText(): ArrayBuffer;
}

export interface NativeSocketBehavior<Data> {
  maxPayloadLength: number;
  /** Seconds. */
  idleTimeout: number;
  sendPingsAutomatically: boolean;
  maxBackpressure: number;
  compression: number;
  upgrade(res: NativeResponse, req: NativeRequest, context: NativeSocketContext): void;
  open(ws: NativeSocket<Data>): void;
  message(ws: NativeSocket<Data>, message: ArrayBuffer, isBinary: boolean): void;
  ping(ws: NativeSocket<Data>): void;
  drain(ws: NativeSocket<Data>): void;
  close(ws: NativeSocket<Data>, code: number, reason: ArrayBuffer): void;
}

type NativeRoute = (pattern: string, handler: (res: NativeResponse, req: NativeRequest) => void) => NativeApp;

export interface NativeApp {
  post: NativeRoute;
  any: NativeRoute;
  ws<Data>(pattern: string, behavior: NativeSocketBehavior<Data>): NativeApp;
  listen(
    host: string,
    port: number,
    options: number,
    listening: (token: NativeListenSocket | false) => void,
  ): NativeApp;
  close(): NativeApp;
}

export interface NativeModule {
  App(): NativeApp;
  SSLApp(options: { key_file_name: string; cert_file_name: string }): NativeApp;
  us_listen_socket_close(token: NativeListenSocket): void;
  us_socket_local_port(token: NativeListenSocket): number;
  readonly LIBUS_LISTEN_EXCLUSIVE_PORT: number;
  readonly DISABLED: number;
}
