/**
 * What nodes share: sessions, their events, the bus, tasks, results, budgets, leases, and who is there.
 *
 * Role: chooses the implementation behind each port, embedded or Redis, in one place. With no Redis configured nothing
 * here opens a connection.
 */
import { randomBytes } from 'node:crypto';
import { LoadBoard } from '../cluster/heartbeat/load-board.ts';
import { MemoryLeases } from '../cluster/leases/memory-leases.ts';
import { RedisLeases } from '../cluster/leases/redis-leases.ts';
import { RedisMembership } from '../cluster/members/redis-membership.ts';
import { SoleNode } from '../cluster/members/sole-node.ts';
import { HttpPeers } from '../cluster/peers/http-peers.ts';
import type { Leases, Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import { SharedSecret } from '../protocol/shared-secret.ts';
import { RedisConnection } from '../redis/connection.ts';
import { RedisSubscriber } from '../redis/subscriber.ts';
import { MemoryEventLog } from '../sessions/memory-event-log.ts';
import { MemorySessionStore } from '../sessions/memory-store.ts';
import type { EventLog, SessionRelay, SessionStore } from '../sessions/port.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import type { Bus } from '../subscriptions/port.ts';
import { MemoryTaskStore } from '../tasks/memory-store.ts';
import type { SharedTaskStore, TaskStore } from '../tasks/port.ts';
import { presenceKey, RedisTaskStore } from '../tasks/redis-store.ts';
import { NodeSecret } from './node-secret.ts';
import { openSharedSessions } from './shared-sessions.ts';

export interface SharedState {
  /** Null: this node is alone. */
  readonly redis: {
    readonly commands: RedisConnection;
    readonly subscriber: RedisSubscriber;
    /** Called when messages of other nodes may have been missed. */
    readonly onGap: Set<() => void>;
  } | null;
  /** Sessions over HTTP: any node serves them. */
  readonly sessions: SessionStore;
  readonly events: EventLog;
  /** What nodes tell each other about sessions; null when this node is alone. */
  readonly relay: SessionRelay | null;
  /** Sessions that live with a connection of this node. */
  readonly connectionSessions: { readonly store: SessionStore; readonly events: EventLog };
  readonly bus: Bus;
  readonly tasks: TaskStore | SharedTaskStore;
  readonly membership: Membership;
  readonly leases: Leases;
  /** Where membership has the load of this node from. */
  readonly reportLoad: (read: () => number) => void;
  /** Messages to and from other nodes; null when this node is alone. */
  readonly peers: HttpPeers | null;
  /** Seals request state and cursors; the same on all nodes. */
  readonly secret: SharedSecret;
  readonly degraded: readonly string[];
  close(): Promise<void>;
}

/** Heartbeats that a claim of a task or an idempotency key outlives its node. */
export const CLAIM_BEATS = 3;
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

export async function openSharedState(settings: Settings, log: Log): Promise<SharedState> {
  const embedded = embeddedState(settings, log);
  return settings.redisUrl === '' ? embedded : openRedisState(settings, log, embedded);
}

function embeddedState(settings: Settings, log: Log): SharedState {
  const sessions = new MemorySessionStore(settings.sessions);
  const events = new MemoryEventLog(settings.sessions);
  return {
    redis: null,
    sessions,
    events,
    relay: null,
    connectionSessions: { store: sessions, events },
    bus: new MemoryBus({ log }),
    tasks: new MemoryTaskStore({ tasksMax: settings.tasks.max }),
    membership: new SoleNode(settings.nodeId),
    leases: new MemoryLeases(settings.nodeId),
    reportLoad: () => undefined,
    peers: null,
    secret: SharedSecret.of(settings.stateSecret),
    degraded: [],
    close: async () => undefined,
  };
}

async function openRedisState(settings: Settings, log: Log, embedded: SharedState): Promise<SharedState> {
  const { commandMsMax, tlsCaFile } = settings.cluster;
  const commands = new RedisConnection(settings.redisUrl, 'node', log, { commandMsMax, tlsCaFile });
  const subscriber = new RedisSubscriber(settings.redisUrl, log, tlsCaFile);
  subscriber.start();
  // A node that serves before it listens keeps what others have made out of date.
  const listening = commands.ready().then(() => subscriber.standing);
  await Promise.race([listening.catch(() => undefined), pause(START_MS_MAX)]);
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
  const shared: SharedState = {
    ...embedded,
    membership,
    leases,
    reportLoad: (read) => board.start(read),
    ...sessionEra,
    redis: { commands, subscriber, onGap },
    tasks: new RedisTaskStore({
      commands,
      subscriber,
      prefix: settings.cluster.prefix,
      tasksMax: settings.tasks.max,
      claimMs: CLAIM_BEATS * settings.heartbeatMs,
      nodeId: settings.nodeId,
      start,
    }),
    peers: openPeers(settings, secret.current, (id) => membership.node(id)?.url ?? ''),
    secret: SharedSecret.of(secret.current),
    get degraded() {
      const trouble = commands.trouble === '' ? [] : [`redis ${commands.trouble}`];
      return [...new Set([...trouble, ...membership.degraded])];
    },
    async close() {
      secret.close();
      await closeSessions();
      await leases.close();
      await membership.leave();
      board.stop();
      shared.peers?.close();
      subscriber.close();
      commands.close();
    },
  };
  secret.onChange = (changed) => {
    shared.peers?.use(changed);
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

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
