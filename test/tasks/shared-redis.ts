/**
 * One Redis for the tests of a file, and connections to it that are closed with it. Each store of a test has a prefix
 * of its own, so that tests do not meet.
 */
import { type Clients, clientsOf } from '../redis/connection.contract.ts';
import { RedisClusterServers } from '../redis/redis-cluster-servers.ts';
import { QUIET, RedisServer } from '../redis/redis-server.ts';

export { QUIET };

export class SharedRedis {
  readonly url: string;
  /** Null: a Cluster. */
  readonly server: RedisServer | null;
  readonly #end: () => Promise<unknown>;
  readonly #opened: Clients[] = [];
  #prefixes = 0;

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
  async clients(): Promise<Clients> {
    const clients = await clientsOf(this.url);
    this.#opened.push(clients);
    return clients;
  }

  prefix(): string {
    this.#prefixes += 1;
    return `t${this.#prefixes}:`;
  }

  async end(): Promise<void> {
    for (const { commands, subscriber } of this.#opened) {
      commands.close();
      subscriber.close();
    }
    await this.#end();
  }
}

/** Resolves with what `look` finds, as soon as it is not undefined; fails after `patienceMs`. */
export async function until<T>(what: string, look: () => T | undefined | Promise<T | undefined>, patienceMs = 20_000) {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found as Exclude<T, false>;
    if (performance.now() > endMs) throw new Error(`waited ${patienceMs} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
