/**
 * A primary, a replica and three sentinels of a test's own, which notice a dead primary within a second or two.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type RedisArgument, RedisConnection, type RedisReply } from '../../src/redis/connection.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { eventually } from '../clients/eventually.ts';
import { plainArgs, type RedisProcess, startRedis } from './redis-process.ts';
import { QUIET } from './redis-server.ts';

const SENTINELS = 3;
const QUORUM = 2;
/** Where the death of a primary is waited for; else it never counts as dead, however long the machine stands still. */
export const DOWN_AFTER_MS = 1000;
const NEVER_DOWN_MS = 300_000;
const FAILOVER_MS_MAX = 1500;
/** Sentinels whose machine stood still do nothing for half a minute. */
const SETTLE_MS_MAX = 120_000;
const RETRY_MS = 20;
export const SENTINEL_NAME = 'main';
const FAST = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

export class SentinelGroup {
  readonly url: string;
  #data: readonly RedisProcess[];
  readonly #sentinels: readonly RedisProcess[];
  readonly #client: RedisConnection;

  constructor(data: readonly RedisProcess[], sentinels: readonly RedisProcess[]) {
    this.url = `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${SENTINEL_NAME}`;
    this.#data = data;
    this.#sentinels = sentinels;
    this.#client = new RedisConnection(this.url, 'test', QUIET);
  }

  static async start(downAfterMs = NEVER_DOWN_MS): Promise<SentinelGroup> {
    const primary = await startRedis(0, (port) => [...plainArgs(port), ...FAST]);
    const replicaOf = ['--replicaof', '127.0.0.1', String(primary.port), ...FAST];
    const replica = await startRedis(0, (port) => [...plainArgs(port), ...replicaOf]);
    await replicating(primary.port);
    const sentinels: RedisProcess[] = [];
    for (let i = 0; i < SENTINELS; i++) sentinels.push(await startSentinel(primary.port, downAfterMs));
    const group = new SentinelGroup([primary, replica], sentinels);
    await group.settled();
    return group;
  }

  /** The replica is in step, and every sentinel knows it and the others: from now on a failover works. */
  async settled(): Promise<void> {
    await replicating(await this.primaryPort());
    for (const { port } of this.#sentinels) {
      await asked(port, 'sentinel', async (run) => {
        const state = async (): Promise<string> => fieldsOf(await run('SENTINEL', 'MASTER', SENTINEL_NAME));
        const wanted = `num-slaves=1 num-other-sentinels=${SENTINELS - 1}`;
        await eventually('the sentinels', state, (value) => value === wanted, SETTLE_MS_MAX);
      });
    }
  }

  async run(name: string, ...args: RedisArgument[]): Promise<RedisReply> {
    await this.#client.ready();
    return this.#client.command(name, ...args);
  }

  sentinelPort(index: number): number {
    return this.#sentinels[index]?.port ?? 0;
  }

  async primaryPort(): Promise<number> {
    return asked(this.sentinelPort(0), 'sentinel', async (run) => {
      const [, port] = (await run('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', SENTINEL_NAME)) as [string, string];
      return Number(port);
    });
  }

  /** The primary is killed; resolves when the sentinels have made the replica the primary. */
  async killPrimary(): Promise<void> {
    const dead = await this.primaryPort();
    await this.#data.find(({ port }) => port === dead)?.kill();
    this.#data = this.#data.filter(({ port }) => port !== dead);
    await eventually(
      'another primary',
      () => this.primaryPort(),
      (port) => port !== dead,
      SETTLE_MS_MAX,
    );
  }

  /** Ends the connections of all clients of the primary. */
  async killClients(): Promise<void> {
    await asked(await this.primaryPort(), 'primary', (run) => run('CLIENT', 'KILL', 'TYPE', 'normal'));
    await asked(await this.primaryPort(), 'primary', (run) => run('CLIENT', 'KILL', 'TYPE', 'pubsub'));
  }

  /**
   * The replica becomes the primary and the primary a replica, which answers READONLY from then on. `by`: the sentinel
   * that does it, and tells of it first.
   */
  async failover(by = 0): Promise<void> {
    const before = await this.primaryPort();
    await this.#begin(before, by);
    await eventually(
      'another primary',
      () => this.primaryPort(),
      (port) => port !== before,
      SETTLE_MS_MAX,
    );
  }

  /** Refused where one is under way already, or the replica was not heard of for a moment. */
  async #begin(before: number, by: number): Promise<void> {
    const begin = async (): Promise<boolean> =>
      asked(this.sentinelPort(by), 'sentinel', (run) => run('SENTINEL', 'FAILOVER', SENTINEL_NAME)).then(
        () => true,
        async () => (await this.primaryPort()) !== before,
      );
    await eventually('a failover', begin, Boolean, SETTLE_MS_MAX);
  }

  async end(): Promise<void> {
    this.#client.close();
    await Promise.all([...this.#data, ...this.#sentinels].map((server) => server.kill()));
  }
}

function startSentinel(primaryPort: number, downAfterMs: number): Promise<RedisProcess> {
  const lines = [
    `sentinel monitor ${SENTINEL_NAME} 127.0.0.1 ${primaryPort} ${QUORUM}`,
    `sentinel down-after-milliseconds ${SENTINEL_NAME} ${downAfterMs}`,
    `sentinel failover-timeout ${SENTINEL_NAME} ${FAILOVER_MS_MAX}`,
  ];
  return startRedis(0, (port, folder) => {
    const file = join(folder, 'sentinel.conf');
    writeFileSync(file, `${lines.join('\n')}\n`);
    return [file, '--sentinel', '--port', String(port), '--bind', '127.0.0.1'];
  });
}

async function replicating(port: number): Promise<void> {
  await asked(port, 'primary', async (run) => {
    const read = async (): Promise<string> => String(await run('INFO', 'replication'));
    await eventually('the replica', read, (text) => text.includes('state=online'), SETTLE_MS_MAX);
  });
}

async function asked<T>(
  port: number,
  owner: string,
  ask: (run: (name: string, ...args: RedisArgument[]) => Promise<RedisReply>) => Promise<T>,
): Promise<T> {
  const client = new RedisConnection(`redis://127.0.0.1:${port}`, owner, QUIET);
  try {
    return await ask((name, ...args) => untilConnected(client, name, args));
  } finally {
    client.close();
  }
}

/** Sentinels end the connections of clients to a server whose role they change. */
async function untilConnected(client: RedisConnection, name: string, args: readonly RedisArgument[]) {
  const endMs = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    try {
      await client.ready();
      return await client.command(name, ...args);
    } catch (error) {
      if (!(error instanceof RedisUnavailable) || error.why !== 'away' || performance.now() > endMs) throw error;
      await delay(RETRY_MS);
    }
  }
}

function fieldsOf(reply: RedisReply): string {
  const list = reply as readonly string[];
  const field = (name: string): string => `${name}=${list[list.indexOf(name) + 1]}`;
  return `${field('num-slaves')} ${field('num-other-sentinels')}`;
}
