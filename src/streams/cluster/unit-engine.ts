/**
 * The engine of one unit for as long as this node holds its lease.
 *
 * Role: opens log, checkpoints and dead letters in Redis under the lease's token, an engine over them, and stops it at
 * once when the token is refused or the lease lost. Whoever opens next finds the newest checkpoint and the log after it.
 * Invariants: nothing is written here but under the token, the places of Redis sinks included; file sinks, and sources
 * that read files or the machine, are of the node they run on. Time is that of Redis when the unit was claimed, going on
 * by this node's monotonic clock: windows of processing time survive a move between nodes whose clocks differ.
 * What was defined at run time is kept beside the log, with the declaration it began from: a node whose own declaration
 * is the same takes it over, a node with another one puts its own in force, and beside it what of that fits.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Lease } from '../../cluster/port.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import { RedisCheckpointStore } from '../checkpoints/redis-store.ts';
import { RedisDeadLetterStore } from '../dead-letters/redis-store.ts';
import { PARTITION_PLACEHOLDER } from '../define/compile-partitions.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { ConnectorKinds } from '../engine/connectors.ts';
import type { EngineThreads } from '../engine/pool-threads.ts';
import type { StreamService } from '../engine/service.ts';
import type { ShardParts } from '../engine/shard.ts';
import { RedisLog } from '../log/redis-log.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../open.ts';
import type { Stores } from '../stores.ts';
import { guarded, UnitFence } from './fence.ts';
import { unitKeys } from './unit-keys.ts';
import type { Unit } from './units.ts';

/** Entries of a Redis source that a node took and never logged, since it was replaced, are taken over after so long. */
const CLAIM_IDLE_MS = 10_000;
/** To apply, deliver and save what was accepted; then it is left to the next owner's replay. */
const CLOSE_MS_MAX = 10_000;

const DEFINE = guarded(`return redis.call('HSET', KEYS[1], 'definitions', ARGV[2], 'declared', ARGV[3])`);

export interface UnitEngineOptions
  extends Pick<StreamsOptions, 'shards' | 'logBytesMax' | 'checkpointMs' | 'tickMs' | 'kinds' | 'log'> {
  readonly threads: (parts: ShardParts) => EngineThreads;
  readonly redis: RedisConnection;
  /** Start of all keys. */
  readonly prefix: string;
  /** Replicas that must have a record before it is acknowledged. */
  readonly replicasMin: number;
  /** The clock of a unit, given that of Redis now. */
  readonly clock: (redisNowMs: number) => () => number;
}

/** Goes on from what Redis said, whatever this node's wall clock does. */
export function steadyClock(redisNowMs: number): () => number {
  const beganMs = performance.now();
  return () => Math.floor(redisNowMs + (performance.now() - beganMs));
}

export class UnitEngine {
  readonly lease: Lease;
  readonly #fence: UnitFence;
  readonly #streams: OpenStreams;
  readonly #declared: string;
  #ended: Promise<void> | null = null;

  private constructor(lease: Lease, fence: UnitFence, streams: OpenStreams, declared: string) {
    this.lease = lease;
    this.#fence = fence;
    this.#streams = streams;
    this.#declared = declared;
  }

  /** `lost`: called once when it must end. Rejects when Redis is away, the log damaged, or another owner has come. */
  static async open(
    options: UnitEngineOptions,
    unit: Unit,
    lease: Lease,
    lost: (reason: string) => void,
  ): Promise<UnitEngine> {
    const { clock, prefix, redis } = options;
    const { fence, nowMs } = await UnitFence.claim(redis, unitKeys(prefix, unit.name), lease.token);
    const now = clock(nowMs);
    const declared = JSON.stringify(unit.definitions);
    const definitions = (await definitionsIn(fence, declared)) ?? unit.definitions;
    const streams = await openReleasing(options, unit, fence, definitions, now);
    const engine = new UnitEngine(lease, fence, streams, declared);
    try {
      await engine.#remember();
    } catch (error) {
      await engine.abandon();
      throw error;
    }
    fence.onLost = lost;
    if (fence.lost !== '') lost(fence.lost);
    return engine;
  }

  /** Whether what it says and takes still counts. */
  get live(): boolean {
    return this.#ended === null && this.lease.held && this.#fence.lost === '';
  }

  get broken(): boolean {
    return this.#streams.service.degraded.includes('streams');
  }

  get service(): StreamService {
    return this.#streams.service;
  }

  /** As `Streams.define`; in force for the next owner too when it resolves. */
  async define(...args: Parameters<StreamService['define']>): ReturnType<StreamService['define']> {
    const outcome = await this.service.define(...args);
    await this.#remember();
    return outcome;
  }

  async #remember(): Promise<void> {
    await this.#fence.run(DEFINE, [], [JSON.stringify(this.service.definitions), this.#declared]);
  }

  /** Ends at once, nothing is saved: someone else goes on from the log. */
  abandon(): Promise<void> {
    this.#ended ??= this.#streams.abandon();
    return this.#ended;
  }

  /** What was accepted is applied and saved; what does not come to an end in time is left to the log. */
  async close(): Promise<void> {
    if (this.#ended !== null) return this.#ended;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`not closed within ${CLOSE_MS_MAX} ms`)), CLOSE_MS_MAX);
    });
    const closed = this.#streams.close();
    closed.catch(() => undefined);
    try {
      await Promise.race([closed, late]);
      this.#ended = Promise.resolve();
    } catch {
      // The log has it all: the next owner does what this one could not.
      await this.abandon();
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Threads let go of what they hold of it when it ends, however that is. */
async function openReleasing(
  options: UnitEngineOptions,
  unit: Unit,
  fence: UnitFence,
  definitions: readonly StreamDefinition[],
  now: () => number,
): Promise<OpenStreams> {
  const { checkpointMs, kinds, log, logBytesMax, shards, tickMs } = options;
  let threads: EngineThreads | null = null;
  const release = (): void => threads?.release();
  try {
    const streams = await openStreams({
      definitions,
      shards,
      logBytesMax,
      checkpointMs,
      tickMs,
      kinds: fencedKinds(kinds, unit, fence.token),
      stores: () => openRedisStores(fence, options),
      threads: (parts) => {
        threads = options.threads(parts);
        return threads;
      },
      log,
      now,
    });
    const { abandon, close } = streams;
    return { ...streams, abandon: () => abandon().finally(release), close: () => close().finally(release) };
  } catch (error) {
    release();
    throw error;
  }
}

/** Null: none, or those of another declaration. */
async function definitionsIn(fence: UnitFence, declared: string): Promise<readonly StreamDefinition[] | null> {
  const inForce = await definitionsOf(fence.redis, fence.keys.head);
  return inForce !== null && isDeepStrictEqual(inForce.declared, JSON.parse(declared)) ? inForce.definitions : null;
}

/** What the owner says is in force, and the declaration it began from; null before the first. */
export async function definitionsOf(
  redis: RedisConnection,
  head: string,
): Promise<{
  readonly definitions: readonly StreamDefinition[];
  readonly declared: readonly StreamDefinition[];
} | null> {
  const reply = await redis.command('HMGET', head, 'definitions', 'declared');
  const [definitions, declared] = Array.isArray(reply) ? reply : [];
  if (typeof definitions !== 'string' || typeof declared !== 'string') return null;
  return { definitions: JSON.parse(definitions), declared: JSON.parse(declared) };
}

async function openRedisStores(fence: UnitFence, options: UnitEngineOptions): Promise<Stores> {
  const { logBytesMax, replicasMin } = options;
  const [eventLog, checkpoints, deadLetters] = await Promise.all([
    RedisLog.open(fence, { bytesMax: logBytesMax, replicasMin }),
    RedisCheckpointStore.open(fence),
    RedisDeadLetterStore.open(fence),
  ]);
  return {
    eventLog,
    checkpoints,
    deadLetters,
    async close() {
      await eventLog.close();
      await checkpoints.close();
      await deadLetters.close();
    },
  };
}

/**
 * Redis sinks refuse an owner with an older token; Redis sources take over what an earlier owner left lying. Of streams
 * with partitions each has a place of its own in a sink, and reads a key of its own.
 */
function fencedKinds(kinds: ConnectorKinds, { partition, partitions }: Unit, token: number): ConnectorKinds {
  const sources = new Map(kinds.sources);
  const source = sources.get('redis');
  if (source !== undefined) {
    sources.set('redis', {
      ...source,
      create: (options, stream, host) => {
        const key = String(options['stream']).replaceAll(PARTITION_PLACEHOLDER, String(partition));
        const own = partitions === 1 ? options : { ...options, stream: key };
        return source.create({ claimIdleMs: CLAIM_IDLE_MS, ...own }, stream, host);
      },
    });
  }
  const sinks = new Map(kinds.sinks);
  for (const [type, sink] of kinds.sinks) {
    const named = (name: string): string => (partitions === 1 ? name : `${name}/${partition}of${partitions}`);
    sinks.set(type, { ...sink, create: (options, name) => sink.create({ ...options, fence: token }, named(name)) });
  }
  return { sources, sinks };
}
