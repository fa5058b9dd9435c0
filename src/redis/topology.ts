/**
 * From an address to a client: one server, a Sentinel group, or a Cluster, with or without TLS.
 *
 * Role: the only file that makes clients of ioredis. Invariants: nothing waits in a queue while there is no connection;
 * a command whose connection was lost is never sent again by this side; a primary that answers READONLY is left and
 * found anew.
 */
import { readFileSync } from 'node:fs';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisAddress } from './address.ts';
import { clientModule } from './client-module.ts';

const PAUSE_MS = 50;
/** Who comes back finds a server that came back within five seconds, the time to connect included. */
const PAUSE_MS_MAX = 2_000;
const CONNECT_MS_MAX = 2_000;

export interface ClientOptions {
  /** A command that has no answer by then fails; 0: never. */
  readonly commandMsMax: number;
  /** PEM file of the authority that signed the server's certificate; `''`: those of Node.js. */
  readonly tlsCaFile: string;
}

export const CLIENT_DEFAULTS: ClientOptions = { commandMsMax: 0, tlsCaFile: '' };

/** Not connected yet; once it was, it is connected again until `isClosed`. */
export function makeClient(address: RedisAddress, options: ClientOptions, isClosed: () => boolean): Redis | Cluster {
  const client = clientOf(address, options);
  connectAgain(client, isClosed);
  return client;
}

function clientOf(address: RedisAddress, options: ClientOptions): Redis | Cluster {
  const { Cluster, Redis } = clientModule();
  const shared = connectionOptions(address, options);
  const again = (attempt: number): number => pauseMs(attempt, Math.random());
  if (address.kind === 'cluster') {
    const cluster = new Cluster([...address.hosts], {
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: again,
      // As many as commandMsMax lets pass: a failover is waited for, not failed at once.
      maxRedirections: 8,
      // A command whose connection broke may have been carried out.
      retryDelayOnFailover: 0,
      slotsRefreshTimeout: CONNECT_MS_MAX,
      slotsRefreshInterval: 5_000,
      redisOptions: shared,
    });
    // Before it is ready it asks a server itself, which must not be in the middle of connecting.
    cluster.on('+node', (node: Redis) => void (cluster.status === 'ready' && connected(node)));
    return cluster;
  }
  const single: RedisOptions = { ...shared, lazyConnect: true, enableOfflineQueue: false, retryStrategy: again };
  if (address.kind === 'single') {
    const { host, port } = address.hosts[0] as { host: string; port: number };
    return new Redis({ ...single, host, port, db: address.db });
  }
  return new Redis({
    ...single,
    sentinels: [...address.hosts],
    name: address.primary,
    db: address.db,
    sentinelRetryStrategy: again,
    sentinelReconnectStrategy: again,
    failoverDetector: true,
    connectTimeout: CONNECT_MS_MAX,
    sentinelCommandTimeout: CONNECT_MS_MAX,
    enableTLSForSentinelMode: address.tls,
    ...(address.tls && shared.tls !== undefined ? { sentinelTLS: shared.tls } : {}),
  });
}

/**
 * Has a client connect again that has ended though nobody closed it: one that a sentinel tells of a failover while it
 * asks another who is primary gives up for good.
 */
function connectAgain(client: Redis | Cluster, isClosed: () => boolean): void {
  let attempt = 0;
  const connect = (): void => {
    // A failure is reported by the 'error' event, and ends it again.
    if (!isClosed() && client.status === 'end') client.connect().catch(() => undefined);
  };
  client.on('ready', () => {
    attempt = 0;
  });
  client.on('end', () => {
    if (!isClosed()) setTimeout(connect, pauseMs(++attempt, Math.random())).unref();
  });
}

/** One server of a Cluster, whose connection is not made again when it ends. Not connected yet. */
export function makeServerClient(address: RedisAddress, host: string, port: number, options: ClientOptions): Redis {
  const { Redis } = clientModule();
  const shared = connectionOptions(address, options);
  return new Redis({ ...shared, host, port, lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null });
}

/**
 * Resolves when the servers that are known all take commands, or cannot be reached. Those of a Cluster would else connect
 * with the first command for them, and refuse what comes while they do.
 */
export async function serversConnected(client: Redis | Cluster): Promise<void> {
  if (client instanceof clientModule().Cluster) await Promise.all(client.nodes('master').map(connected));
}

function connected(server: Redis): Promise<void> {
  if (server.status === 'ready') return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      clearTimeout(late);
      server.off('ready', settle).off('end', settle);
      resolve();
    };
    const late = setTimeout(settle, CONNECT_MS_MAX);
    server.on('ready', settle).on('end', settle);
    // That it fails is told by its end.
    if (server.status === 'wait') server.connect().catch(() => undefined);
  });
}

function connectionOptions(address: RedisAddress, options: ClientOptions): RedisOptions {
  const ca = options.tlsCaFile === '' ? {} : { ca: readFileSync(options.tlsCaFile) };
  return {
    // Replies of commands that are called by name are lists in this one, whatever the server speaks.
    protocol: 2,
    autoResendUnfulfilledCommands: false,
    // Links listen anew by themselves, to what is wanted then.
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_MS_MAX,
    keepAlive: 5_000,
    reconnectOnError: leavesReplicas(),
    ...(options.commandMsMax === 0 ? {} : { commandTimeout: options.commandMsMax }),
    ...(address.username === '' ? {} : { username: address.username }),
    ...(address.password === '' ? {} : { password: address.password }),
    ...(address.tls ? { tls: { ...ca } } : {}),
  };
}

/**
 * A primary that answers READONLY has become a replica: whoever is primary is found anew. Where that is the same server
 * again, and each connection begins with a write, pauses double between two attempts as if it could not be reached.
 */
function leavesReplicas(): (error: Error) => 1 | false {
  let attempt = 0;
  let notBeforeMs = 0;
  return (error) => {
    const nowMs = performance.now();
    if (!error.message.startsWith('READONLY') || nowMs < notBeforeMs) return false;
    attempt = nowMs > notBeforeMs + PAUSE_MS_MAX ? 1 : attempt + 1;
    notBeforeMs = nowMs + pauseMs(attempt, Math.random());
    return 1;
  };
}

/** Doubles from `PAUSE_MS`; the second half of it varies. `share`: 0 to 1. */
export function pauseMs(attempt: number, share: number): number {
  const pause = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(20, attempt - 1));
  return Math.round(pause / 2 + (pause / 2) * share);
}
