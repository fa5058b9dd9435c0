/**
 * A front end on uWebSockets.js: opens the listener, joins HTTP and WebSocket to it, and closes both.
 *
 * Role: the adapter's life cycle; everything per request is in `http.ts`, `exchange.ts` and `websocket.ts`.
 * Facts: by default uWebSockets.js would share a port that is in use, so it listens exclusively; it closes keep-alive
 * connections that are idle for 10 s, and `keepAliveMs` cannot change that; it tells of requests, not of connections, so
 * one that is idle, for those 10 s at most, does not count against `connectionsMax`.
 */
import type { Log } from '../../observe/port.ts';
import type { FrontEnd, FrontEndOptions, HttpHandler, MessageRoute } from '../port.ts';
import { UwsEdge } from './edge.ts';
import { UwsHttp } from './http.ts';
import type { LoadedNative } from './load.ts';
import type { NativeApp, NativeListenSocket, NativeModule } from './native.ts';
import { UwsMessages } from './websocket.ts';

export async function openUws(
  loaded: LoadedNative,
  options: FrontEndOptions,
  http: HttpHandler,
  messages: MessageRoute,
  log: Log,
): Promise<FrontEnd> {
  const { native } = loaded;
  const app = makeApp(native, options);
  const edge = new UwsEdge(options.limits, log);
  const sockets = new UwsMessages(edge, messages.handler);
  sockets.attach(app, native, messages.path);
  if (messages.prefix !== undefined) sockets.attach(app, native, `${messages.prefix}*`);
  new UwsHttp(edge, http).attach(app, messages.path);
  const token = await new Promise<NativeListenSocket | false>((resolve) => {
    app.listen(options.host, options.port, native.LIBUS_LISTEN_EXCLUSIVE_PORT, resolve);
  });
  if (token === false) {
    edge.deadlines.stop();
    app.close();
    const cause = new Error('address in use or not available');
    throw new Error(`cannot listen on ${options.host}:${options.port}: ${cause.message}`, { cause });
  }
  return new UwsFrontEnd(loaded, app, token, edge, sockets);
}

function makeApp(native: NativeModule, options: FrontEndOptions): NativeApp {
  if (options.tls === null) return native.App();
  try {
    return native.SSLApp({ key_file_name: options.tls.keyFile, cert_file_name: options.tls.certFile });
  } catch (cause) {
    throw new Error(`cannot use key ${options.tls.keyFile} with certificate ${options.tls.certFile}`, { cause });
  }
}

class UwsFrontEnd implements FrontEnd {
  readonly kind = 'uws';
  readonly description: string;
  readonly port: number;
  readonly #native: NativeModule;
  readonly #app: NativeApp;
  readonly #edge: UwsEdge;
  readonly #sockets: UwsMessages;
  #token: NativeListenSocket | null;
  #closed = false;

  constructor(loaded: LoadedNative, app: NativeApp, token: NativeListenSocket, edge: UwsEdge, sockets: UwsMessages) {
    this.description = loaded.description;
    this.port = loaded.native.us_socket_local_port(token);
    this.#native = loaded.native;
    this.#app = app;
    this.#token = token;
    this.#edge = edge;
    this.#sockets = sockets;
  }

  get connections(): number {
    return this.#edge.connections;
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
    this.#edge.draining = true;
    this.#edge.accepting = false;
    if (this.#token === null) return;
    this.#native.us_listen_socket_close(this.#token);
    this.#token = null;
  }

  /** Abort and close handlers run before this returns; the sockets are freed at the end of the loop's turn. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.stopAccepting();
    this.#sockets.closeAll();
    this.#app.close();
    this.#edge.deadlines.stop();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
