/**
 * One Redis for the tests of a file, a server or a Cluster, and connections to it that are closed with it. What several
 * tests keep in it has a prefix of its own for each, so that tests do not meet.
 */
import { randomBytes } from 'node:crypto';
import { NodeConnections } from './node-connections.ts';
import { RedisClusterServers } from './redis-cluster-servers.ts';
import { RedisServer } from './redis-server.ts';

/** Far more than a busy machine needs: that an answer is late is tested by those who say so. */
const COMMAND_MS_MAX = 10_000;

/** What shared state is tested on. */
export const TOPOLOGIES: readonly (readonly [name: string, start: () => Promise<SharedRedis>])[] = [
  ['Redis', () => SharedRedis.single()],
  ['Redis Cluster', () => SharedRedis.cluster()],
];

/** Start of the names of one test. */
export const newPrefix = (): string => `t${randomBytes(6).toString('hex')}:`;

export class SharedRedis {
  readonly url: string;
  /** Null: a Cluster. */
  readonly server: RedisServer | null;
  readonly #end: () => Promise<unknown>;
  readonly #opened: NodeConnections[] = [];

  constructor(url: string, server: RedisServer | null, end: () => Promise<unknown>) {
    this.url = url;
    this.server = server;
    this.#end = end;
  }

  static async single(): Promise<SharedRedis> {
    const server = await RedisServer.start();
    return new SharedRedis(server.url, server, () => server.end());
  }

  static async cluster(): Promise<SharedRedis> {
    const servers = await RedisClusterServers.start();
    return new SharedRedis(servers.url, null, () => servers.end());
  }

  /** One node's connections. */
  clients(commandMsMax = COMMAND_MS_MAX): Promise<NodeConnections> {
    const connections = new NodeConnections(this.url, commandMsMax);
    this.#opened.push(connections);
    return connections.ready();
  }

  async end(): Promise<void> {
    for (const connections of this.#opened) connections.close();
    await this.#end();
  }
}

/** Resolves with what `look` finds, as soon as it is not undefined; fails after `patienceMs`. */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>, patienceMs = 60_000) {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<T, false>;
    if (performance.now() > endMs) throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
