/**
 * What nodes share when there is a Redis: everything behind `shared-port.ts` for more than one node.
 *
 * Role: makes the Redis implementations and ties them together. Loaded only where a Redis is configured: a node that is
 * alone starts without the client and without what nodes tell each other.
 */
import { randomBytes } from 'node:crypto';
import { FLIGHT_LEASE_MS, RedisResultCache } from '../cache/redis-cache.ts';
import { Offer } from '../cluster/catalogue/offer.ts';
import { LoadBoard } from '../cluster/heartbeat/load-board.ts';
import { RedisLeases } from '../cluster/leases/redis-leases.ts';
import { RedisMembership } from '../cluster/members/redis-membership.ts';
import { HttpPeers } from '../cluster/peers/http-peers.ts';
import type { Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import { RedisLedger } from '../ledger/redis-ledger.ts';
import type { Log } from '../observe/port.ts';
import { SharedSecret } from '../protocol/shared-secret.ts';
import { RedisRates } from '../rates/redis-rates.ts';
import { RedisConnection } from '../redis/connection.ts';
import { RedisSubscriber } from '../redis/subscriber.ts';
import { presenceKey, RedisTaskStore } from '../tasks/redis-store.ts';
import { atMost } from '../waiting.ts';
import { ClusterNode, type ClusterOptions, type ClusterParts } from './cluster.ts';
import { NodeSecret } from './node-secret.ts';
import type { SharedRedis, SharedState } from './shared-port.ts';
import { openSharedSessions } from './shared-sessions.ts';

/** Heartbeats that a claim of a task or an idempotency key outlives its node. */
const CLAIM_BEATS = 3;
const START_BYTES = 12;
/** How long a start waits for Redis before it goes on without. */
const START_MS_MAX = 3_000;
/** Connections to one node for what is not a forwarded call. */
const PEER_SOCKETS_BESIDE = 64;
/** Messages between nodes may be so large whatever requests may be. */
const PEER_BODY_BYTES_MIN = 1024 * 1024;

/** Heartbeats that a lease outlives its holder, within bounds: who runs a heartbeat rarely still wants a quick takeover. */
const LEASE_BEATS = 2;
const LEASE_MS_MIN = 1000;
const LEASE_MS_MAX = 10_000;

export async function openRedisState(settings: Settings, log: Log, embedded: SharedState): Promise<SharedState> {
  const { commandMsMax, tlsCaFile } = settings.cluster;
  const commands = new RedisConnection(settings.redisUrl, 'node', log, { commandMsMax, tlsCaFile });
  const subscriber = new RedisSubscriber(settings.redisUrl, log, tlsCaFile);
  subscriber.start();
  // A node that serves before it listens keeps what others have made out of date.
  const listening = commands.ready().then(() => subscriber.standing);
  const tried = listening.catch(() => undefined);
  await atMost(tried, START_MS_MAX);
  const secret = await NodeSecret.open(commands, settings, log);
  const onGap = new Set<() => void>();
  subscriber.onGap = () => {
    for (const missed of onGap) missed();
  };
  const { close: closeSessions, gap, ...sessionEra } = openSharedSessions(settings, log, commands, subscriber);
  onGap.add(gap);
  const board = new LoadBoard();
  const start = randomBytes(START_BYTES).toString('base64url');
  const membership = openMembership(settings, log, board, start);
  const leases = openLeases(settings, commands);
  const peers = openPeers(settings, secret.current, (id) => membership.node(id)?.url ?? '');
  const offer = new Offer(settings.cluster);
  const redis = sharedRedis({ settings, log, membership, peers, commands, subscriber, onGap });
  const shared: SharedState = {
    ...embedded,
    membership,
    runs: (tool) => offer.runs(tool),
    leases,
    reportLoad: (read) => board.start(read),
    ...sessionEra,
    redis,
    tasks: openTasks(settings, commands, subscriber, start),
    peers,
    secret: SharedSecret.of(secret.current),
    get degraded() {
      // Where commands cannot be sent nothing is heard either: that is said once.
      const trouble = commands.trouble === '' ? subscriber.trouble : commands.trouble;
      return [...new Set([...(trouble === '' ? [] : [`redis ${trouble}`]), ...membership.degraded])];
    },
    async close() {
      secret.close();
      await closeSessions();
      await leases.close();
      await membership.leave();
      board.stop();
      peers.close();
      subscriber.close();
      commands.close();
    },
  };
  secret.onChange = (changed) => {
    peers.use(changed);
    shared.secret.use(changed);
  };
  return shared;
}

/** `start`: what this start of the node is called where its tasks are. */
function openMembership(settings: Settings, log: Log, board: LoadBoard, start: string): RedisMembership {
  const { heartbeatMs, nodeId, redisUrl } = settings;
  const { commandMsMax, prefix, tlsCaFile } = settings.cluster;
  const presence = { key: presenceKey(prefix, nodeId), start };
  const options = { id: nodeId, redisUrl, tlsCaFile, commandMsMax, prefix, heartbeatMs, presence, board, log };
  return new RedisMembership(options);
}

function openLeases({ cluster, heartbeatMs, nodeId }: Settings, commands: RedisConnection): RedisLeases {
  const ttlMs = Math.min(LEASE_MS_MAX, Math.max(LEASE_MS_MIN, LEASE_BEATS * heartbeatMs));
  return new RedisLeases({ commands, nodeId, prefix: cluster.prefix, ttlMs, now: () => performance.now() });
}

function openPeers(settings: Settings, secret: string, urlOf: (nodeId: string) => string): HttpPeers {
  const { nodeId, cluster, requestBytesMax, resultBytesMax } = settings;
  return new HttpPeers({
    nodeId,
    secret,
    urlOf,
    socketsMax: cluster.forwardedMax + PEER_SOCKETS_BESIDE,
    bodyBytesMax: Math.max(requestBytesMax, PEER_BODY_BYTES_MIN),
    answerBytesMax: resultBytesMax + PEER_BODY_BYTES_MIN,
    tlsCaFile: cluster.tlsCaFile,
  });
}

function openTasks(
  settings: Settings,
  commands: RedisConnection,
  subscriber: RedisSubscriber,
  start: string,
): RedisTaskStore {
  const { cluster, heartbeatMs, nodeId, tasks } = settings;
  const claimMs = CLAIM_BEATS * heartbeatMs;
  return new RedisTaskStore({
    commands,
    subscriber,
    prefix: cluster.prefix,
    tasksMax: tasks.max,
    claimMs,
    nodeId,
    start,
  });
}

function sharedRedis(ground: Omit<ClusterOptions, keyof ClusterParts>): SharedRedis {
  const { settings, log, membership, commands, subscriber, onGap } = ground;
  return {
    openResults(now) {
      const { resultsMax, bytesMax } = settings.cache;
      const bounds = { resultsMax, bytesMax, leaseMs: FLIGHT_LEASE_MS, prefix: settings.cluster.prefix };
      const results = new RedisResultCache({ commands, subscriber, ...bounds, now, log });
      onGap.add(() => results.gap());
      return results;
    },
    openLedger: () => openLedger(settings, log, commands),
    openRates: (now) => openRates(settings, commands, membership, now),
    joinCluster: (parts) => new ClusterNode({ ...parts, ...ground }),
  };
}

function openLedger(settings: Settings, log: Log, commands: RedisConnection): RedisLedger {
  const claimMs = CLAIM_BEATS * settings.heartbeatMs;
  return new RedisLedger({ commands, prefix: settings.cluster.prefix, ttlMs: settings.idempotencyTtlMs, claimMs, log });
}

function openRates(
  settings: Settings,
  commands: RedisConnection,
  membership: Membership,
  now: () => number,
): RedisRates {
  const { expectedNodes, prefix } = settings.cluster;
  const nodes = sharersOf(membership, expectedNodes);
  return new RedisRates({ commands, prefix, limits: settings.rateLimits, nodes, now });
}

/**
 * How many nodes share a budget. One that was started while Redis is away sees no others, and must not take all of it.
 */
function sharersOf(membership: Membership, expected: number): () => number {
  return () => (membership.known ? membership.nodes.length : Math.max(membership.nodes.length, expected));
}
