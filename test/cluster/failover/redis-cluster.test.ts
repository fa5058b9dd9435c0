/**
 * A primary of a Redis Cluster dies under load, its replica takes over, and later gets a replica of its own.
 *
 * Redis copies asynchronously. A primary answers before its replica has what it answered for, so what was acknowledged
 * in the moments before its death may be missing on the replica that takes over: with `min-replicas-to-write 1` only if
 * the replica lags, and then by no more than `min-replicas-max-lag` (10 s by default), for a primary whose replica says
 * nothing for longer refuses writes. `WAIT` would narrow that to nothing for a single failure, but cannot be sent to the
 * right node of a Cluster by this client. So there are two promises, and a test for each: with a replica in step nothing
 * acknowledged is lost; with one that lags, the loss is noticed, and no token is given out twice.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RedisLeases } from '../../../src/cluster/leases/redis-leases.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { UnitFence } from '../../../src/streams/cluster/fence.ts';
import { unitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import { LogDamaged, LogUnavailable } from '../../../src/streams/log/port.ts';
import { openRedisLog } from '../../../src/streams/log/redis-log.ts';
import { changeKey } from '../../../src/subscriptions/change-key.ts';
import { busChannel, busShard } from '../../../src/subscriptions/redis-bus.ts';
import { eventually } from '../../clients/eventually.ts';
import { answersAgain, expectUnavailable } from '../../redis/connection.contract.ts';
import { RedisClusterServers } from '../../redis/redis-cluster-servers.ts';
import { QUIET } from '../../redis/redis-server.ts';
import { type Message, SessionClient } from '../../session-era/http-client.ts';
import { Nodes } from '../../session-era/nodes.ts';
import { numberedRecord, plain, readAll } from '../../streams/log/records.ts';
import { NodeClient, Stage } from '../../tasks/node-pair.ts';
import { RecordedWork } from './recorded-work.ts';
import {
  cachedWork,
  KeyedWork,
  LeaseWork,
  limitedWork,
  PREFIX,
  sessionWork,
  TaskWork,
  UnitWriter,
} from './work-kinds.ts';

const COMMAND_MS_MAX = 2_000;
/** Far more than the commands of any attempt may take together: what takes longer hangs. */
const ATTEMPT_MS_MAX = 30_000;
const PATIENCE_MS = 90_000;
/** What the slot of the tasks, the lease and the unit have in common. */
const TAG = 'tasks';
const SAFE = ['--min-replicas-to-write', '1'];
/** A replica that stands still for as long as the test needs it to is waited for, and may take over after it. */
const PATIENT = ['--min-replicas-max-lag', '120', '--cluster-replica-validity-factor', '0'];
/** What cannot be done without the primary of its keys. */
const BOUND = ['sessions', 'leases 1', 'leases 2', 'tasks', 'stream'];
/** What is better with Redis, and goes on without. */
const FREE = ['kept results', 'budgets'];
/** Of each kind, before and after. */
const SUCCESSES = 10;
const COPIED = 5;
const PAD_BYTES = 8 * 2 ** 20;
/** Twice what a socket may hold on this machine, and some more. */
const PAD_WRITES = 10;

async function connected(url: string): Promise<RedisConnection> {
  const redis = new RedisConnection(url, 'test', QUIET, { commandMsMax: COMMAND_MS_MAX });
  await redis.ready();
  return redis;
}

const leasesOf = (commands: RedisConnection, nodeId: string): RedisLeases =>
  new RedisLeases({ commands, nodeId, prefix: PREFIX, ttlMs: 1000, now: () => performance.now() });

/** A session whose keys the primary has that dies. */
async function boundSession(servers: RedisClusterServers, url: string): Promise<SessionClient> {
  const dying = await servers.primaryOf(`{${TAG}}`);
  for (;;) {
    const client = await new SessionClient().initialize(url);
    if ((await servers.primaryOf(`{${client.sessionId}}`)) === dying) return client;
  }
}

/** A resource whose changes are told on a channel of the primary that dies. */
async function boundUri(servers: RedisClusterServers): Promise<string> {
  const dying = await servers.primaryOf(`{${TAG}}`);
  for (let n = 0; ; n++) {
    const uri = `notes://day/${n}`;
    if ((await servers.primaryOf(busChannel(PREFIX, busShard(changeKey({ kind: 'resource', uri }))))) === dying)
      return uri;
  }
}

describe('a primary of a Redis Cluster dies', () => {
  test('under load: clear refusals until its replica has taken over and is copied; nothing acknowledged is lost', async () => {
    const servers = await RedisClusterServers.start({
      replicas: 1,
      args: [...SAFE, '--cluster-replica-validity-factor', '0'],
    });
    const stage = new Stage();
    const work = new RecordedWork();
    const [redis, other] = [await connected(servers.url), await connected(servers.url)];
    const leases = [leasesOf(redis, 'one'), leasesOf(other, 'two')] as const;
    let client: SessionClient | null = null;
    let nodes: Nodes | null = null;
    try {
      nodes = await startNodes(servers.url, stage);
      const { urls } = nodes;
      const [a, b] = urls as [string, string];
      const clients = urls.map((url) => new NodeClient(url));
      client = await boundSession(servers, a);
      const uri = await boundUri(servers);
      const subscribed = await client.request(b, 'resources/subscribe', { uri });
      assert.ok(subscribed.message?.result !== undefined, JSON.stringify(subscribed.message));
      const listening = await client.listen(a);
      const leaseWork = new LeaseWork(TAG, redis);
      const tasks = new TaskWork(clients);
      const keyed = new KeyedWork(clients);
      const writer = new UnitWriter(redis, unitKeys(PREFIX, TAG));
      work.add('sessions', sessionWork(client, urls));
      work.add('leases 1', leaseWork.by(leases[0]));
      work.add('leases 2', leaseWork.by(leases[1]));
      work.add('tasks', tasks.begin);
      work.add('keyed calls', keyed.call);
      work.add('kept results', cachedWork(clients));
      work.add('budgets', limitedWork(clients));
      work.add('stream', writer.append);
      await work.goesOn(SUCCESSES, PATIENCE_MS);

      const replica = await servers.replicaOf(`{${TAG}}`);
      await servers.killPrimaryOf(`{${TAG}}`);
      const killedMs = performance.now();
      // It takes over when all that needs a primary has been refused.
      replica.signal('SIGSTOP');
      // The other node cannot be told of it now.
      assert.equal((await client.call(b, 'touch', { uri })).status, 200);
      await work.refused(BOUND, killedMs, PATIENCE_MS);
      replica.signal('SIGCONT');
      await servers.promoted(`{${TAG}}`);
      const promotedMs = performance.now();
      await servers.replace(`{${TAG}}`);
      await work.goesOn(SUCCESSES, PATIENCE_MS);
      await work.stop();

      checkRefusals(work, killedMs, promotedMs);
      assert.ok(leaseWork.tokens.every((token, i, all) => i === 0 || token > (all[i - 1] as number)));
      await writer.check();
      for (const taskId of tasks.accepted) {
        const status = (): Promise<unknown> => clients[0]?.status(taskId) ?? Promise.resolve();
        await eventually(`the end of ${taskId}`, status, (is) => is === 'completed', PATIENCE_MS);
      }
      for (const told of keyed.answers.values()) assert.equal(new Set(told).size, 1, told.join(' and '));
      await listening.until('the change', () => updatesOf(listening, uri) > 0);
      for (const url of urls)
        await eventually(
          'both nodes',
          () => idsAt(url),
          (ids) => ids.length === 2,
          PATIENCE_MS,
        );
    } finally {
      client?.close();
      // What it failed with has been thrown already, or is of no interest after what was.
      await work.stop().catch(() => undefined);
      await nodes?.close();
      for (const each of leases) await each.close();
      redis.close();
      other.close();
      await servers.end();
    }
  });

  test('while its replica lags: what is lost is noticed, and tokens rise all the same', async () => {
    const servers = await RedisClusterServers.start({ replicas: 1, args: [...SAFE, ...PATIENT] });
    const redis = await connected(servers.url);
    const leases = leasesOf(redis, 'one');
    const keys = unitKeys(PREFIX, TAG);
    try {
      const log = await openRedisLog((await UnitFence.claim(redis, keys, 1)).fence);
      for (let n = 1; n <= COPIED; n++) await log.append(numberedRecord(n, 100)).durable;
      await servers.copied(`{${TAG}}`);
      const replica = await servers.replicaOf(`{${TAG}}`);
      replica.signal('SIGSTOP');
      // More than sockets hold: what comes after it does not leave the primary.
      for (let i = 0; i < PAD_WRITES; i++) await redis.command('SET', `pad:{${TAG}}`, Buffer.alloc(PAD_BYTES));
      for (let n = COPIED + 1; n <= 2 * COPIED; n++) await log.append(numberedRecord(n, 100)).durable;
      const before = await leases.acquire(TAG);
      assert.ok(before !== null);
      await servers.killPrimaryOf(`{${TAG}}`);
      replica.signal('SIGCONT');
      await servers.promoted(`{${TAG}}`);
      await servers.replace(`{${TAG}}`);
      await answersAgain(redis);

      await assert.rejects(async () => log.append(numberedRecord(2 * COPIED + 1, 100)).durable, LogUnavailable);
      const recovered = (): Promise<unknown> => log.recover().catch((error: unknown) => error);
      // Its connection may be on the way to the new primary.
      const noticed = await eventually('the log', recovered, (is) => !(is instanceof LogUnavailable), PATIENCE_MS);
      assert.ok(noticed instanceof LogDamaged, String(noticed));
      const next = await openRedisLog((await UnitFence.claim(redis, keys, 2)).fence);
      const left = (await readAll(next, 0)).map(({ record }) => record);
      assert.ok(left.length >= COPIED && left.length < 2 * COPIED, `${left.length} are left`);
      const wanted = left.map((_, i) => plain(numberedRecord(i + 1, 100)));
      assert.deepEqual(left, wanted, 'without a gap');
      await next.close();
      const after = await eventually(
        'the lease',
        () => leases.acquire(TAG).catch(expectUnavailable),
        (got) => got !== null && 'token' in got,
        PATIENCE_MS,
      );
      assert.ok(after !== null && 'token' in after && after.token > before.token);
    } finally {
      await leases.close();
      redis.close();
      await servers.end();
    }
  });
});

function startNodes(redisUrl: string, stage: Stage): Promise<Nodes> {
  return Nodes.start(2, redisUrl, {
    cluster: { commandTimeoutMs: COMMAND_MS_MAX },
    heartbeatMs: 500,
    rateLimits: [{ tool: 'limited', perSecond: 1000, burst: 1000, by: 'all' }],
    definitions: [
      stage.tool('once'),
      stage.tool('limited'),
      stage.tool('kept', { cache: { ttlMs: 200, scope: 'public' } }),
      stage.tool('task', { task: 'required' }),
    ],
  });
}

/** What needs the primary is refused while there is none, what does not is never; and nothing hangs. */
function checkRefusals(work: RecordedWork, killedMs: number, promotedMs: number): void {
  for (const kind of work.kinds) {
    const attempts = work.of(kind);
    for (const { endedMs, startedMs } of attempts) assert.ok(endedMs - startedMs < ATTEMPT_MS_MAX, kind);
    const without = attempts.filter(({ endedMs, startedMs }) => startedMs > killedMs && endedMs < promotedMs);
    const refused = without.filter((attempt) => attempt.refused !== '');
    if (FREE.includes(kind)) assert.deepEqual(refused, [], kind);
  }
}

const updatesOf = ({ messages }: { readonly messages: readonly Message[] }, uri: string): number =>
  messages.filter(({ method, params }) => method === 'notifications/resources/updated' && params?.['uri'] === uri)
    .length;

async function idsAt(url: string): Promise<readonly string[]> {
  const { nodes } = (await (await fetch(new URL('/cluster', url))).json()) as { nodes: readonly { id: string }[] };
  return nodes.map(({ id }) => id);
}
