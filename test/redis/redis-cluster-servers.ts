/**
 * A Redis Cluster of a test's own: three primaries, the slots in thirds, each with a replica where a test wants to lose
 * a primary. A replica takes over about three seconds after its primary has gone.
 */
import { type RedisArgument, RedisConnection, type RedisReply } from '../../src/redis/connection.ts';
import { eventually } from '../clients/eventually.ts';
import { freePort, plainArgs, type RedisProcess, startRedis } from './redis-process.ts';
import { QUIET } from './redis-server.ts';

const PRIMARIES = 3;
const SLOTS = 16_384;
const SETTLE_MS_MAX = 90_000;
/** After which a server counts as gone: soon where that is waited for, else never, however long the machine stands still. */
const GONE_MS = 2_000;
const NEVER_GONE_MS = 120_000;
/** Elections have failed for ever, once in some hundred runs, and are not what is tested. */
const ELECTION_MS_MAX = 20_000;
const STARTS_MAX = 5;
const FAST = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1'];

interface Member {
  readonly server: RedisProcess;
  readonly busPort: number;
}

type Slots = readonly [first: number, last: number, primary: readonly [host: string, port: number]];

export interface ClusterOptions {
  /** Of each primary. */
  readonly replicas: 0 | 1;
  /** Of every server. */
  readonly args: readonly string[];
}

export class RedisClusterServers {
  readonly url: string;
  readonly #options: ClusterOptions;
  #members: readonly Member[];
  readonly #client: RedisConnection;

  constructor(options: ClusterOptions, members: readonly Member[]) {
    this.url = `redis-cluster://${members.map(({ server }) => `127.0.0.1:${server.port}`).join(',')}`;
    this.#options = options;
    this.#members = members;
    this.#client = new RedisConnection(this.url, 'test', QUIET);
  }

  static async start(given: Partial<ClusterOptions> = {}): Promise<RedisClusterServers> {
    const options = { replicas: 0, args: [], ...given } as const;
    const members: Member[] = [];
    for (let i = 0; i < PRIMARIES * (1 + options.replicas); i++) members.push(await startMember(options.args));
    const cluster = new RedisClusterServers(options, members);
    await joined(members);
    for (const [i, replica] of members.slice(PRIMARIES).entries()) await follow(replica, members[i] as Member);
    await cluster.#client.ready();
    if (options.replicas === 0) {
      for (const { server } of members) {
        await ask(server.port, 'CONFIG', 'SET', 'cluster-node-timeout', NEVER_GONE_MS);
      }
    }
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
    for (const { server } of this.#members) {
      if ((await roleOf(server.port)).role === 'master') await ask(server.port, name, ...args);
    }
  }

  /** Port of the primary that has the slot of the key, as `witness` sees it; 0: no primary that lives. */
  async primaryOf(key: string, witness = this.ports[0] ?? 0): Promise<number> {
    const slot = Number(await ask(witness, 'CLUSTER', 'KEYSLOT', key));
    for (const [first, last, [, port]] of (await ask(witness, 'CLUSTER', 'SLOTS')) as unknown as readonly Slots[]) {
      if (first <= slot && slot <= last) return this.ports.includes(port) ? port : 0;
    }
    return 0;
  }

  /** The server that copies the primary of the key. */
  async replicaOf(key: string): Promise<RedisProcess> {
    const primary = await this.primaryOf(key);
    for (const { server } of this.#members) {
      const { of, role } = await roleOf(server.port);
      if (role === 'slave' && of === primary) return server;
    }
    throw new Error(`nothing copies the primary of ${key}`);
  }

  /** Resolves when the replica has what has been written so far. */
  async copied(key: string): Promise<void> {
    const [, written] = (await ask(await this.primaryOf(key), 'ROLE')) as readonly RedisReply[];
    const { port } = await this.replicaOf(key);
    const offset = async (): Promise<number> => Number(((await ask(port, 'ROLE')) as readonly RedisReply[])[4]);
    await eventually('the copy', offset, (copied) => copied >= Number(written), SETTLE_MS_MAX);
  }

  /** SIGKILL of the primary that has the slot of the key. */
  async killPrimaryOf(key: string): Promise<void> {
    const port = await this.primaryOf(key);
    await this.#members.find(({ server }) => server.port === port)?.server.kill();
    this.#members = this.#members.filter(({ server }) => server.port !== port);
  }

  /** Resolves when another server has the slots of a primary that was killed, and all of them know. */
  async promoted(key: string): Promise<void> {
    const beganMs = performance.now();
    for (const witness of this.ports) {
      const has = async (): Promise<number> => {
        const port = (await isWhole(witness)) ? await this.primaryOf(key, witness) : 0;
        if (port === 0 && performance.now() - beganMs > ELECTION_MS_MAX) await this.#takeOver();
        return port;
      };
      await eventually('another primary', has, (port) => port !== 0, SETTLE_MS_MAX);
    }
  }

  /** Who copied a primary that was killed does without the votes of the others. */
  async #takeOver(): Promise<void> {
    for (const { server } of this.#members) {
      const { of, role } = await roleOf(server.port);
      if (role === 'slave' && !this.ports.includes(of)) await ask(server.port, 'CLUSTER', 'FAILOVER', 'TAKEOVER');
    }
  }

  /** An empty server takes the place of the replica that was promoted; resolves when it has the same data. */
  async replace(key: string): Promise<void> {
    const port = await this.primaryOf(key);
    const primary = this.#members.find(({ server }) => server.port === port) as Member;
    const replica = await startMember(this.#options.args);
    this.#members = [...this.#members, replica];
    await ask(replica.server.port, 'CLUSTER', 'MEET', '127.0.0.1', port, primary.busPort);
    await follow(replica, primary);
  }

  /** The primary that has the slot of the key stands still, until `resume`. */
  async pausePrimaryOf(key: string): Promise<void> {
    const port = await this.primaryOf(key);
    this.#members.find(({ server }) => server.port === port)?.server.signal('SIGSTOP');
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

async function startMember(args: readonly string[]): Promise<Member> {
  for (let attempt = 1; ; attempt++) {
    const [port, busPort] = [await freePort(), await freePort()];
    const bus = ['--cluster-enabled', 'yes', '--cluster-port', String(busPort)];
    const timeout = ['--cluster-node-timeout', String(GONE_MS)];
    try {
      const server = await startRedis(port, () => [...plainArgs(port), ...bus, ...timeout, ...FAST, ...args]);
      return { server, busPort };
    } catch (error) {
      // Another test may have found one of them free as well.
      if (attempt === STARTS_MAX) throw error;
    }
  }
}

async function joined(members: readonly Member[]): Promise<void> {
  const [first] = members;
  for (const [index, { busPort, server }] of members.entries()) {
    const share = Math.floor(SLOTS / PRIMARIES);
    const last = index === PRIMARIES - 1 ? SLOTS - 1 : (index + 1) * share - 1;
    if (index < PRIMARIES) await ask(server.port, 'CLUSTER', 'ADDSLOTSRANGE', index * share, last);
    await ask(first?.server.port ?? 0, 'CLUSTER', 'MEET', '127.0.0.1', server.port, busPort);
  }
  for (const { server } of members) {
    const state = async (): Promise<string> => String(await ask(server.port, 'CLUSTER', 'INFO'));
    const whole = (text: string): boolean =>
      text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${members.length}`);
    await eventually('the cluster', state, whole, SETTLE_MS_MAX);
  }
}

/** Resolves when the replica has what the primary has. */
async function follow(replica: Member, primary: Member): Promise<void> {
  const id = String(await ask(primary.server.port, 'CLUSTER', 'MYID'));
  // It has to have heard of it first.
  const asked = (): Promise<string> =>
    ask(replica.server.port, 'CLUSTER', 'REPLICATE', id).then(String, (error: unknown) => String(error));
  await eventually('a replica', asked, (reply) => reply === 'OK', SETTLE_MS_MAX);
  const inStep = async (): Promise<boolean> => {
    const { linked, of } = await roleOf(replica.server.port);
    const copies = String(await ask(primary.server.port, 'INFO', 'replication'));
    return linked && of === primary.server.port && copies.includes('state=online');
  };
  await eventually('the copy', inStep, Boolean, SETTLE_MS_MAX);
}

async function roleOf(port: number): Promise<{ role: string; of: number; linked: boolean }> {
  const [role, , of, state] = (await ask(port, 'ROLE')) as readonly RedisReply[];
  return { role: String(role), of: Number(of), linked: state === 'connected' };
}

async function isWhole(port: number): Promise<boolean> {
  return String(await ask(port, 'CLUSTER', 'INFO')).includes('cluster_state:ok');
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
