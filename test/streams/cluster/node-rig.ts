/**
 * Nodes of a cluster in this process, each with a connection to Redis of its own, behind a proxy that can be cut.
 */
import { RedisConnection } from '../../../src/redis/connection.ts';
import { type OpenClusterStreams, openClusterStreams } from '../../../src/streams/cluster/open.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS, type ConnectorKinds } from '../../../src/streams/engine/connectors/connectors.ts';
import type { ShardParts } from '../../../src/streams/engine/shards/shard.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import type { Accepted, IncomingBatch } from '../../../src/streams/sources/port.ts';
import { openStores, type Stores } from '../../../src/streams/stores.ts';
import { QUIET, type RedisServer } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { ndjsonBatch } from '../rig-parts.ts';
import type { FakeCluster } from './fake-cluster.ts';

export interface NodeOptions {
  readonly cluster: FakeCluster;
  readonly redis: RedisServer;
  readonly definitions: readonly StreamDefinition[];
  readonly checkpointMs?: number;
  /** Of Redis, for one command. */
  readonly commandMsMax?: number;
  readonly clock?: (redisNowMs: number) => () => number;
  readonly threads?: (parts: ShardParts) => LocalThreads;
  readonly kinds?: ConnectorKinds;
  /** Of streams that are not replicated. */
  readonly stores?: () => Promise<Stores>;
}

const FAR_MS = 3_600_000;
/** Far more than a busy machine needs. */
const COMMAND_MS_MAX = 10_000;
const LOG_BYTES_MAX = 2 ** 28;

export class RigNode {
  readonly id: string;
  readonly proxy: TcpProxy;
  readonly streams: OpenClusterStreams;
  readonly troubles: string[];
  readonly warnings: string[];
  readonly #redis: RedisConnection;
  readonly #cluster: FakeCluster;

  private constructor(
    id: string,
    cluster: FakeCluster,
    proxy: TcpProxy,
    redis: RedisConnection,
    streams: OpenClusterStreams,
    troubles: string[],
    warnings: string[],
  ) {
    this.id = id;
    this.#cluster = cluster;
    this.proxy = proxy;
    this.#redis = redis;
    this.streams = streams;
    this.troubles = troubles;
    this.warnings = warnings;
  }

  static async start(id: string, options: NodeOptions): Promise<RigNode> {
    const { checkpointMs = FAR_MS, clock, cluster, commandMsMax = COMMAND_MS_MAX, definitions } = options;
    const { kinds = CONNECTOR_KINDS, stores, threads = (parts) => new LocalThreads(parts) } = options;
    const proxy = await TcpProxy.start(options.redis.port);
    const redis = new RedisConnection(`redis://127.0.0.1:${proxy.port}`, id, QUIET, { commandMsMax });
    // A command of a loaded machine may be late.
    await until('Redis', () =>
      redis.ready().then(
        () => true,
        () => false,
      ),
    );
    const troubles: string[] = [];
    const warnings: string[] = [];
    const note = (fields: object, message: string): void => {
      const { err } = fields as { readonly err?: Error };
      troubles.push(`${id}: ${message} ${err?.stack ?? JSON.stringify(fields)}`);
    };
    const streams = await openClusterStreams({
      ...cluster.join(id),
      definitions,
      redis,
      prefix: 'test:',
      replicasMin: 0,
      askMsMax: 5000,
      shards: 2,
      logBytesMax: LOG_BYTES_MAX,
      checkpointMs,
      tickMs: 50,
      kinds,
      stores: (local) => stores?.() ?? openStores({ definitions: local, dataDir: '', logBytesMax: LOG_BYTES_MAX }),
      threads: (_engine, parts) => Object.assign(threads(parts), { release: () => undefined }),
      log: { error: note, warn: (_fields, message) => warnings.push(message), info: () => undefined },
      now: Date.now,
      ...(clock === undefined ? {} : { clock }),
    });
    return new RigNode(id, cluster, proxy, redis, streams, troubles, warnings);
  }

  accept(stream: string, events: readonly object[], heading: Partial<IncomingBatch> = {}): Promise<Accepted> {
    return this.streams.service.accept(stream, 'test', ndjsonBatch(events, heading));
  }

  /** Gone without a word; its leases are free when their time is over, which is now. */
  async kill(): Promise<void> {
    this.#cluster.leave(this.id);
    const ended = this.streams.abandon();
    this.#cluster.expire(this.id, false);
    await ended;
    await this.#disconnect();
  }

  /** As a node that is rolled: not among the running any more, everything handed over. */
  async close(): Promise<void> {
    this.#cluster.setStatus(this.id, 'draining');
    await this.streams.close();
    this.#cluster.leave(this.id);
    await this.#disconnect();
  }

  async #disconnect(): Promise<void> {
    this.#redis.close();
    await this.proxy.end();
  }
}

/** Polls, since the nodes turn by themselves; gives up after a time no machine needs. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, msMax = 90_000): Promise<void> {
  const end = Date.now() + msMax;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`it did not come to be: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
