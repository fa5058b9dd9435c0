/**
 * The engine of one unit for as long as this node holds its lease.
 *
 * Role: opens log, checkpoints and dead letters in Redis under the lease's token, an engine over them, and stops it at
 * once when the token is refused or the lease lost. Whoever opens next finds the newest checkpoint and the log after it.
 * Invariants: nothing is written here but under the token, the places of Redis sinks included; file sinks, and sources
 * that read files or the machine, are of the node they run on. Time is that of Redis when the unit was claimed, going on
 * by this node's monotonic clock: windows of processing time survive a move between nodes whose clocks differ.
 * Partitions of a stream have in force what their first one has: it alone takes definitions, one after the other, and the
 * others read them there. A start that waits for a sink to catch up goes on while the unit is run here: batches are refused
 * with its name, and what is in force is what was before.
 */
import type { Lease } from '../../cluster/port.ts';
import type { RedisConnection } from '../../redis/connection.ts';
import { RedisCheckpointStore } from '../checkpoints/redis-store.ts';
import { DEAD_LETTER_LIMITS } from '../dead-letters/port.ts';
import { RedisDeadLetterStore } from '../dead-letters/redis-store.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { EngineLog } from '../engine/engine.ts';
import { StreamRefusal } from '../engine/port.ts';
import type { StreamService } from '../engine/service.ts';
import type { ShardParts } from '../engine/shards/shard.ts';
import type { EngineThreads } from '../engine/threads/pool-threads.ts';
import { openRedisLog } from '../log/redis-log.ts';
import { type OpenStreams, openStreams, type StreamsOptions } from '../open.ts';
import { type Stores, storesOf } from '../stores.ts';
import { UnitFence } from './fence.ts';
import { definitionsInForce, keepInForce, readAlike } from './in-force.ts';
import { unitConnectors } from './unit-connectors.ts';
import { unitKeys } from './unit-keys.ts';
import { idIn, partitionName, type Unit } from './units.ts';

/** To apply, deliver and save what was accepted; then it is left to the next owner's replay. */
const CLOSE_MS_MAX = 10_000;

/** Between two times that the owner puts off the end of the unit's keys. */
const KEEP_MS = 3_600_000;
const RETRY_AFTER_MS = 1000;

export interface UnitEngineOptions
  extends Pick<StreamsOptions, 'shards' | 'logBytesMax' | 'checkpointMs' | 'tickMs' | 'kinds' | 'log' | 'placeOf'> {
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
  readonly #declared: readonly StreamDefinition[];
  /** Head of the first partition; null: this is it. */
  readonly #firstHead: string | null;
  readonly #keeping: NodeJS.Timeout;
  /** What is in force is not, or perhaps not, in Redis. */
  #isUntold = true;
  #ended: Promise<void> | null = null;

  private constructor(
    lease: Lease,
    fence: UnitFence,
    streams: OpenStreams,
    declared: readonly StreamDefinition[],
    firstHead: string | null,
  ) {
    this.lease = lease;
    this.#fence = fence;
    this.#streams = streams;
    this.#declared = declared;
    this.#firstHead = firstHead;
    // A write that fails says so by itself; the keys last for many more attempts.
    this.#keeping = setInterval(() => void fence.keep().catch(() => undefined), KEEP_MS).unref();
  }

  /**
   * `lost`: called once when it must end; `unwanted`: aborted when it need not be opened any more. Rejects then, and when
   * Redis is away, the log damaged, or another owner has come.
   */
  static async open(
    options: UnitEngineOptions,
    unit: Unit,
    lease: Lease,
    lost: (reason: string) => void,
    unwanted: AbortSignal,
  ): Promise<UnitEngine> {
    const { clock, prefix, redis } = options;
    const { fence, nowMs } = await UnitFence.claim(redis, unitKeys(prefix, unit.name), lease.token);
    const now = clock(nowMs);
    const inForce = await definitionsInForce(fence, unit.definitions);
    const streams = await openReleasing(options, unit, fence, {
      ...{ definitions: inForce, declared: unit.definitions },
      now,
      unwanted,
    });
    const engine = new UnitEngine(lease, fence, streams, unit.definitions, firstHeadOf(unit, prefix));
    if (streams.service.starting) engine.#rememberStarted(options.log);
    else await engine.#rememberOrEnd();
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

  /** As `Streams.remove`; gone for the next owner too when it resolves. */
  async remove(...args: Parameters<StreamService['remove']>): ReturnType<StreamService['remove']> {
    const outcome = await this.service.remove(...args);
    await this.#remember();
    return outcome;
  }

  /**
   * Puts in force what the first partition has in Redis, if both were declared alike. Resolves, once it is in force for
   * the next owner too, with whether anything changed.
   */
  async follow(): Promise<boolean> {
    if (this.service.starting) throw new StreamRefusal('stopped', 'the streams are starting', RETRY_AFTER_MS);
    const head = this.#firstHead;
    const { redis } = this.#fence;
    const changed = head !== null && (await this.service.adopt(() => readAlike(redis, head, this.#declared)));
    if (changed || this.#isUntold) await this.#remember();
    return changed;
  }

  async #rememberOrEnd(): Promise<void> {
    try {
      await this.#remember();
    } catch (error) {
      await this.abandon();
      throw error;
    }
  }

  /** Behind its sinks: what is in force is so when it has started. What Redis does not take then is offered again. */
  #rememberStarted(log: EngineLog): void {
    this.service.onDefined(() => {
      if (!this.#isUntold) return;
      this.follow().catch((error: unknown) => log.warn({ err: error }, 'what is in force could not be told yet'));
    });
  }

  async #remember(): Promise<void> {
    this.#isUntold = true;
    await keepInForce(this.#fence, { definitions: this.service.definitions, declared: this.#declared });
    this.#isUntold = false;
  }

  /** Ends at once, nothing is saved: someone else goes on from the log. */
  abandon(): Promise<void> {
    clearInterval(this.#keeping);
    this.#ended ??= this.#streams.abandon();
    return this.#ended;
  }

  /** What was accepted is applied and saved; what does not come to an end in time is left to the log. */
  async close(): Promise<void> {
    if (this.#ended !== null) return this.#ended;
    clearInterval(this.#keeping);
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
  its: Pick<StreamsOptions, 'declared' | 'definitions' | 'now' | 'unwanted'>,
): Promise<OpenStreams> {
  const { checkpointMs, kinds, log, logBytesMax, placeOf, shards, tickMs } = options;
  let threads: EngineThreads | null = null;
  const release = (): void => threads?.release();
  try {
    const streams = await openStreams({
      ...its,
      monotonic: its.now,
      shards,
      logBytesMax,
      checkpointMs,
      tickMs,
      placeOf,
      kinds: unitConnectors(kinds, unit, fence.token),
      stores: () => openRedisStores(fence, unit, options),
      threads: (parts) => {
        threads = options.threads(parts);
        return threads;
      },
      log,
      goesOnBehindSinks: true,
    });
    const { abandon, close } = streams;
    return { ...streams, abandon: () => abandon().finally(release), close: () => close().finally(release) };
  } catch (error) {
    release();
    throw error;
  }
}

/** Null: it is the first partition itself. */
function firstHeadOf({ cut, family, partition, partitions }: Unit, prefix: string): string | null {
  return partition === 0 ? null : unitKeys(prefix, partitionName(family, 0, partitions, cut)).head;
}

async function openRedisStores(fence: UnitFence, unit: Unit, options: UnitEngineOptions): Promise<Stores> {
  const idPrefix = unit.partitions === 1 ? '' : idIn(unit.partition, '');
  const { logBytesMax, replicasMin } = options;
  const [eventLog, checkpoints, deadLetters] = await Promise.all([
    openRedisLog(fence, { bytesMax: logBytesMax, replicasMin }),
    RedisCheckpointStore.open(fence),
    RedisDeadLetterStore.open(fence, DEAD_LETTER_LIMITS, idPrefix),
  ]);
  return storesOf('', eventLog, checkpoints, deadLetters);
}
