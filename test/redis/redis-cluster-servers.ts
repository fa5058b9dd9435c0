/**
 * A Redis Cluster of a test's own: three primaries, the slots in thirds, no replicas.
 */
import { type RedisArgument, RedisConnection, type RedisReply } from '../../src/redis/connection.ts';
import { eventually } from '../clients/eventually.ts';
import { freePort, plainArgs, type RedisProcess, startRedis } from './redis-process.ts';
import { QUIET } from './redis-server.ts';

const PRIMARIES = 3;
const SLOTS = 16_384;
const SETTLE_MS_MAX = 30_000;

interface Member {
  readonly server: RedisProcess;
  readonly busPort: number;
}

export class RedisClusterServers {
  readonly url: string;
  readonly #members: readonly Member[];
  readonly #client: RedisConnection;

  constructor(members: readonly Member[]) {
    this.url = `redis-cluster://${members.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`;
    this.#members = members;
    this.#client = new RedisConnection(this.url, 'test', QUIET);
  }

  static async start(): Promise<RedisClusterServers> {
    const members: Member[] = [];
    for (let i = 0; i < PRIMARIES; i++) members.push(await startMember());
    const cluster = new RedisClusterServers(members);
    await joined(members);
    await cluster.#client.ready();
    return cluster;
  }

  get ports(): readonly number[] {
    return this.#members.map(({ server }) => server.port);
  }

  async run(name: string, ...args: RedisArgument[]): Promise<RedisReply> {
    await this.#client.ready();
    return this.#client.command(name, ...args);
  }

  /** On every primary. */
  async runEverywhere(name: string, ...args: RedisArgument[]): Promise<void> {
    for (const { server } of this.#members) await ask(server.port, name, ...args);
  }

  /** All of them stand still, and answer nothing, until `resume`. */
  pause(): void {
    for (const { server } of this.#members) server.signal('SIGSTOP');
  }

  resume(): void {
    for (const { server } of this.#members) server.signal('SIGCONT');
  }

  async end(): Promise<void> {
    this.#client.close();
    await Promise.all(this.#members.map(({ server }) => server.kill()));
  }
}

async function startMember(): Promise<Member> {
  const busPort = await freePort();
  const bus = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000'];
  const server = await startRedis(0, (port) => [...plainArgs(port), ...bus]);
  return { server, busPort };
}

async function joined(members: readonly Member[]): Promise<void> {
  const [first] = members;
  for (const [index, { busPort, server }] of members.entries()) {
    const share = Math.floor(SLOTS / members.length);
    const last = index === members.length - 1 ? SLOTS - 1 : (index + 1) * share - 1;
    await ask(server.port, 'CLUSTER', 'ADDSLOTSRANGE', index * share, last);
    await ask(first?.server.port ?? 0, 'CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
  }
  for (const { server } of members) {
    const state = async (): Promise<string> => String(await ask(server.port, 'CLUSTER', 'INFO'));
    const whole = (text: string): boolean =>
      text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${members.length}`);
    await eventually('the cluster', state, whole, SETTLE_MS_MAX);
  }
}

async function ask(port: number, name: string, ...args: RedisArgument[]): Promise<RedisReply> {
  const client = new RedisConnection(`redis://127.0.0.1:${port}`, 'test', QUIET);
  try {
    await client.ready();
    return await client.command(name, ...args);
  } finally {
    client.close();
  }
}
