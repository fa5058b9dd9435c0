/**
 * Nodes that share a Redis, with HAProxy in front: everything fresh for each round, everything ended by its process id.
 */
import { RedisClient } from '../tools/shop/redis-client.ts';
import { millrace } from './commands.ts';
import { type Haproxy, haproxyMissing, startHaproxy } from './haproxy.ts';
import { redisMissing, startRedis, steadyPort } from './redis.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const STATISTICS_ROW = /^cmdstat_([^:]+):calls=(\d+),/;
/** How the statistics are asked for. */
const OWN_COMMAND = 'info';

const KNOWN_MS_MAX = 10_000;
const KNOWN_CHECK_MS = 20;

export interface ClusterPlan {
  readonly nodes: number;
  /** Of node `index`, from 0. */
  readonly flags: (index: number) => readonly string[];
  /** With HAProxy in front. */
  readonly balanced: boolean;
}

export const clusterMissing = (): string | null => redisMissing() ?? haproxyMissing();

export class Cluster {
  readonly redisPort: number;
  readonly nodes: ServerProcess[] = [];
  readonly #flags: ClusterPlan['flags'];
  readonly #redis: ServerProcess;
  #balancer: Haproxy | null = null;
  #started = 0;

  private constructor(redis: ServerProcess & { readonly port: number }, flags: ClusterPlan['flags']) {
    this.#redis = redis;
    this.redisPort = redis.port;
    this.#flags = flags;
  }

  static async start({ balanced, flags, nodes }: ClusterPlan): Promise<Cluster> {
    const cluster = new Cluster(await startRedis(), flags);
    try {
      for (let i = 0; i < nodes; i++) cluster.nodes.push(await cluster.node(await steadyPort(), i));
      for (const { url } of cluster.nodes) await allKnownAt(url, nodes);
      if (balanced) cluster.#balancer = await startHaproxy(cluster.nodes.map(({ url }) => url));
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  get balancer(): Haproxy {
    if (this.#balancer === null) throw new Error('the balancer has not been started');
    return this.#balancer;
  }

  /** Another node in place `index`, under an id that no other one has had. */
  node(port: number, index: number): Promise<ServerProcess> {
    this.#started++;
    const own = ['--redis-url', `redis://127.0.0.1:${this.redisPort}`, '--node-id', `node-${this.#started}`];
    return startServer(millrace(...this.#flags(index), ...own, '--port', String(port)));
  }

  /** Id of the node that was started last. */
  get lastId(): string {
    return `node-${this.#started}`;
  }

  /** Commands that Redis has run so far, inside of scripts, too. */
  async commands(): Promise<number> {
    const client = new RedisClient(this.redisPort);
    try {
      const rows = String(await client.call('INFO', 'commandstats')).split(/\r?\n/);
      const counted = rows.map((row) => STATISTICS_ROW.exec(row)).filter((row) => row?.[1] !== OWN_COMMAND);
      return counted.reduce((sum, row) => sum + Number(row?.[2] ?? 0), 0);
    } finally {
      client.close();
    }
  }

  async end(): Promise<void> {
    await this.#balancer?.end();
    for (const node of this.nodes) await node.end();
    await this.#redis.end();
  }
}

/** A node that is ready is heard of by the others a moment later. */
async function allKnownAt(url: string, nodes: number): Promise<void> {
  const giveUpAtMs = performance.now() + KNOWN_MS_MAX;
  for (;;) {
    const answer = await fetch(new URL('/cluster', url));
    const known = ((await answer.json()) as { nodes?: readonly { status: string }[] }).nodes ?? [];
    if (known.filter(({ status }) => status === 'running').length === nodes) return;
    if (performance.now() > giveUpAtMs) throw new Error(`${url} knows ${known.length} of ${nodes} nodes`);
    await new Promise((resolve) => setTimeout(resolve, KNOWN_CHECK_MS));
  }
}
