/**
 * What nodes share: sessions, their events, the bus, tasks, results, budgets, leases, and who is there.
 *
 * Role: chooses the implementation behind each port, embedded or Redis, in one place. With no Redis configured nothing
 * here opens a connection.
 */
import { randomBytes } from 'node:crypto';
import type { Leases, Membership } from '../cluster/port.ts';
import type { Settings } from '../config/settings.ts';
import type { Log } from '../observe/port.ts';
import { RedisConnection } from '../redis/connection.ts';
import { RedisSubscriber } from '../redis/subscriber.ts';
import { MemoryEventLog } from '../sessions/memory-event-log.ts';
import { MemorySessionStore } from '../sessions/memory-store.ts';
import type { EventLog, SessionStore } from '../sessions/port.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import type { Bus } from '../subscriptions/port.ts';
import { MemoryTaskStore } from '../tasks/memory-store.ts';
import type { TaskStore } from '../tasks/port.ts';

export interface SharedState {
  /** Null: this node is alone. */
  readonly redis: { readonly commands: RedisConnection; readonly subscriber: RedisSubscriber } | null;
  readonly sessions: SessionStore;
  readonly events: EventLog;
  readonly bus: Bus;
  readonly tasks: TaskStore;
  /** Null until the parts exist. */
  readonly membership: Membership | null;
  readonly leases: Leases | null;
  /** Seals request state and cursors, and proves that a message comes from a node; the same on all nodes. */
  readonly secret: string;
  readonly degraded: readonly string[];
  close(): Promise<void>;
}

/** How long a start waits for Redis before it goes on without. */
const START_MS_MAX = 3_000;

export async function openSharedState(settings: Settings, log: Log): Promise<SharedState> {
  const embedded = {
    redis: null,
    sessions: new MemorySessionStore(settings.sessions),
    events: new MemoryEventLog(settings.sessions),
    bus: new MemoryBus({ log }),
    tasks: new MemoryTaskStore({ tasksMax: settings.tasks.max }),
    membership: null,
    leases: null,
    secret: settings.stateSecret === '' ? randomBytes(32).toString('base64url') : settings.stateSecret,
    degraded: [],
    close: async () => undefined,
  };
  if (settings.redisUrl === '') return embedded;
  const { commandMsMax, tlsCaFile } = settings.cluster;
  const commands = new RedisConnection(settings.redisUrl, 'node', log, { commandMsMax, tlsCaFile });
  const subscriber = new RedisSubscriber(settings.redisUrl, log, tlsCaFile);
  subscriber.start();
  await Promise.race([commands.ready().catch(() => undefined), pause(START_MS_MAX)]);
  return {
    ...embedded,
    redis: { commands, subscriber },
    secret: await sharedSecret(commands, settings, log, embedded.secret),
    get degraded() {
      return commands.trouble === '' ? [] : [`redis ${commands.trouble}`];
    },
    async close() {
      subscriber.close();
      commands.close();
    },
  };
}

/** The first node writes one; a node that cannot ask keeps its own until it is started again. */
async function sharedSecret(redis: RedisConnection, settings: Settings, log: Log, own: string): Promise<string> {
  if (settings.cluster.secret !== '') return settings.cluster.secret;
  const key = `${settings.cluster.prefix}secret`;
  try {
    await redis.command('SET', key, own, 'NX');
    return String(await redis.command('GET', key));
  } catch (error) {
    log.warn(
      { err: error },
      'the secret of the nodes cannot be read: until a restart this node cannot exchange calls or request state with others; set cluster.secret to be independent of Redis',
    );
    return own;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
