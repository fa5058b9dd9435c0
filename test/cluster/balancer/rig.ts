/**
 * Three nodes that share a Redis, and what stands in front of them: everything real, everything on free ports of
 * loopback, everything ended by its process id.
 */
import { freePort } from '../../redis/redis-process.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { Haproxy } from './balancers.ts';
import { NodeProcess } from './node-process.ts';

/** Between health checks: short, since tests wait for them. */
export const CHECK_MS = 100;
/** Noticed after two checks, the second one 250 ms after the first; the rest is for a machine that is busy. */
export const DRAIN_DELAY_MS = 2500;
export const HEARTBEAT_MS = 500;
/** Far more than a busy machine needs. */
const REQUEST_MS_MAX = 30_000;
const NODES = 3;

export class ClusterRig {
  readonly redis: RedisServer;
  readonly nodes: readonly NodeProcess[];
  #balancer: Haproxy | null = null;

  private constructor(redis: RedisServer, nodes: readonly NodeProcess[]) {
    this.redis = redis;
    this.nodes = nodes;
  }

  /** The nodes serve, and HAProxy has found all of them. */
  static async start(flags: readonly string[] = []): Promise<ClusterRig> {
    const redis = await RedisServer.start();
    const all = [
      ...['--redis-url', redis.url, '--workers', '1', '--log-level', 'warn'],
      ...['--request-timeout-ms', String(REQUEST_MS_MAX)],
      ...['--drain-delay-ms', String(DRAIN_DELAY_MS), '--heartbeat-ms', String(HEARTBEAT_MS), ...flags],
    ];
    const nodes: NodeProcess[] = [];
    for (let i = 1; i <= NODES; i++) nodes.push(new NodeProcess(`node-${i}`, await freePort(), all));
    const rig = new ClusterRig(redis, nodes);
    try {
      await Promise.all(nodes.map((node) => node.start()));
      rig.#balancer = await Haproxy.start(rig.ports, CHECK_MS);
    } catch (error) {
      await rig.end();
      throw error;
    }
    return rig;
  }

  get ports(): readonly number[] {
    return this.nodes.map((node) => node.port);
  }

  get balancer(): Haproxy {
    if (this.#balancer === null) throw new Error('the balancer has not been started');
    return this.#balancer;
  }

  /** Where clients call. */
  get url(): string {
    return this.balancer.url;
  }

  async end(): Promise<void> {
    await this.#balancer?.end();
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.redis.end();
  }
}
