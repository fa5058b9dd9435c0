/**
 * The inward side of the port as the contract needs it: endpoints that answer at once, later, in frames, or never, and
 * remember what they were told.
 */
import { EventEmitter, once } from 'node:events';
import { Gate } from '../../src/frontend/gate.ts';
import { openFrontEnd } from '../../src/frontend/open.ts';
import type {
  EventStream,
  FrontEnd,
  FrontEndLimits,
  HttpCall,
  HttpHandler,
  MessageConnection,
  MessageHandler,
  MessagePeer,
  Reply,
  RequestHead,
  UpgradeTicket,
} from '../../src/frontend/port.ts';
import { refuse, refuseMethod } from '../../src/frontend/refusal.ts';
import { type Endpoint, Router } from '../../src/frontend/router.ts';
import type { Log } from '../../src/observe/port.ts';
import { fault } from '../../src/protocol/faults.ts';

export const BODY_BYTES_MAX = 70_000;
export const SOCKET_PATH = '/mcp';

export const LIMITS: FrontEndLimits = {
  headerBytesMax: 16 * 1024,
  connectionsMax: 1000,
  streamBufferBytesMax: 64 * 1024,
  requestReceiveMsMax: 10_000,
  keepAliveMs: 60_000,
  messageBytesMax: 1000,
};

/** Larger than any socket buffer, and different at every place. */
export const BIG = Buffer.from(Uint32Array.from({ length: 2_000_000 }, (_, i) => i).buffer);

export class ScriptedCall implements HttpCall {
  readonly bodyBytesMax = BODY_BYTES_MAX;
  readonly reply: Reply;
  readonly path: string;
  bodies = 0;
  aborts = 0;
  received: Buffer = Buffer.alloc(0);
  stream: EventStream | null = null;
  readonly #script: Script;
  readonly #onBody: (call: ScriptedCall) => void;

  constructor(path: string, reply: Reply, script: Script, onBody: (call: ScriptedCall) => void) {
    this.path = path;
    this.reply = reply;
    this.#script = script;
    this.#onBody = onBody;
  }

  body(bytes: Uint8Array, isLent: boolean): void {
    this.bodies++;
    this.received = isLent ? Buffer.from(bytes) : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#onBody(this);
    this.#script.emit('body', this);
  }

  aborted(): void {
    this.aborts++;
    this.#script.emit('aborted', this);
  }
}

/** Emits `head`, `body` and `aborted` with the call, `socket` and `socket-closed` with the connection. */
export class Script extends EventEmitter {
  /** The call or connection of the next event of that name. */
  async next<T>(name: string): Promise<T> {
    const [value] = await once(this, name);
    return value as T;
  }
}

export class ScriptedSocket implements MessageConnection {
  readonly peer: MessagePeer;
  readonly messages: string[] = [];
  drains = 0;
  closes = 0;
  readonly #script: Script;

  constructor(peer: MessagePeer, script: Script) {
    this.peer = peer;
    this.#script = script;
  }

  message(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString();
    this.messages.push(text);
    this.#script.emit('message', this);
    if (text === 'throw') throw new Error('scripted');
    if (!text.startsWith('quiet')) this.peer.send(`echo ${text}`);
  }

  drained(): void {
    this.drains++;
    this.#script.emit('drained', this);
  }

  closed(): void {
    this.closes++;
    this.#script.emit('socket-closed', this);
  }
}

function endpoints(script: Script): Map<string, Endpoint> {
  const table = new Map<string, Endpoint>();
  const serve = (path: string, onBody: (call: ScriptedCall) => void): void => {
    table.set(path, {
      head: (_head, reply) => {
        const call = new ScriptedCall(path, reply, script, onBody);
        script.emit('head', call);
        return call;
      },
    });
  };
  const text = 'text/plain';
  serve('/echo', (call) => call.reply.send(200, text, call.received));
  serve(SOCKET_PATH, (call) => call.reply.send(200, text, call.received));
  serve('/later', (call) => setImmediate(() => call.reply.send(200, text, call.received)));
  serve('/hold', () => undefined);
  serve('/accepted', (call) => call.reply.send(202, '', ''));
  serve('/no-content', (call) => call.reply.send(204, '', ''));
  serve('/stream', (call) => {
    call.stream = call.reply.openStream([['Mcp-Session-Id', 'abc']]);
  });
  serve('/throw-in-body', () => {
    throw new Error('scripted');
  });
  serve('/big', (call) => call.reply.send(200, text, BIG));
  serve('/page', (call) => call.reply.send(200, text, 'y'.repeat(4000)));
  serve('/shared', (call) => {
    const shared = new Uint8Array(new SharedArrayBuffer(32), 8, 6);
    shared.set(Buffer.from('shared'));
    call.reply.send(200, text, shared);
    shared.fill(0);
  });
  serve('/injected', (call) =>
    call.reply.send(200, text, 'ok', [
      ['X-Name', 'a\r\nX-Evil: 1'],
      ['X-Fine', 'b'],
    ]),
  );
  table.set('/throw-in-head', {
    head: () => {
      throw new Error('scripted');
    },
  });
  table.set('/get-only', {
    head: (head, reply) => {
      if (head.method === 'GET' || head.method === 'HEAD') reply.send(200, text, 'hello');
      else refuseMethod(reply, 'GET, HEAD');
      return null;
    },
  });
  table.set('/describe', {
    head: (head, reply) => {
      const seen = {
        method: head.method,
        path: head.path,
        query: head.query,
        x: head.header('x-a'),
        y: head.header('x-b'),
      };
      reply.send(200, 'application/json', JSON.stringify({ ...seen, address: reply.remoteAddress() }));
      return null;
    },
  });
  table.set('/refuse', {
    head: (_head, reply) => {
      refuse(reply, fault('unauthorized', 'no token'), [['WWW-Authenticate', 'Bearer']]);
      return null;
    },
  });
  return table;
}

export interface Opened {
  readonly front: FrontEnd;
  readonly script: Script;
  readonly port: number;
  /** Errors logged so far. */
  readonly errors: object[];
  /** Statuses refused by the router. */
  readonly refused: number[];
}

export async function openScripted(
  kind: 'uws' | 'node',
  limits: Partial<FrontEndLimits> = {},
  tls: { keyFile: string; certFile: string } | null = null,
): Promise<Opened> {
  const script = new Script();
  script.setMaxListeners(0);
  const errors: object[] = [];
  const refused: number[] = [];
  const log: Log = {
    debug: () => undefined,
    info: () => undefined,
    warn: () => undefined,
    error: (fields) => errors.push(fields),
  };
  const sockets: MessageHandler = {
    upgrade: (head: RequestHead): { status: number; message: string } | UpgradeTicket => {
      if (head.query === 'refuse') return { status: 401, message: 'no token' };
      return {
        connect: (peer) => {
          const socket = new ScriptedSocket(peer, script);
          script.emit('socket', socket);
          return socket;
        },
      };
    },
  };
  const gate = new Gate({ host: '127.0.0.1', allowedHosts: [], allowedOrigins: ['https://app.example'] });
  const table = endpoints(script);
  const prefixed: Endpoint = {
    head: (head, reply) => {
      reply.send(200, 'text/plain', head.path);
      return null;
    },
  };
  const router = new Router(gate, table, [['/streams/', prefixed]], sockets, {
    httpRefused: (status) => refused.push(status),
  });
  const handler: HttpHandler = router;
  const front = await openFrontEnd(
    kind,
    { host: '127.0.0.1', port: 0, tls, limits: { ...LIMITS, ...limits } },
    handler,
    { path: SOCKET_PATH, handler: router },
    log,
  );
  return { front, script, port: front.port, errors, refused };
}

/** Lets everything that is ready in the event loop run, sockets included. */
export async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}
