/**
 * A heartbeat in a place of its own, for scripts that have to know whether a node is there in the same step in which
 * they act on it: a hash, `epoch` and `start`, with the heartbeat's time to live by the clock of Redis.
 *
 * Role: the registry is in another slot of a Cluster, and a view of it may be old, or not be there yet. The owner of
 * something writes the start of its node beside it (a word made up by the process, since its epoch is not known before
 * the first heartbeat); whoever wants to take it over compares the two.
 * Invariants: of two starts of one id the later one stands there, or none; it ends with the heartbeats, or with their
 * goodbye. When its slot cannot be written, nothing else in the slot can be either, so that nobody acts on what is
 * missing: the rest of the heartbeat does not depend on it.
 */
import type { RedisConnection } from '../../redis/connection.ts';
import { Script } from '../../redis/script.ts';
import { RedisUnavailable } from '../../redis/unavailable.ts';
import type { HeartSetup } from './messages.ts';

/** KEYS: the place. ARGV: epoch, start, ttl in ms. */
const THERE = new Script(`
if (tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) or 0) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'start', ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[3])
`);

/** KEYS: the place. ARGV: epoch. A later start is left alone. */
const GONE = new Script(`
if (tonumber(redis.call('HGET', KEYS[1], 'epoch') or 0) or 0) > tonumber(ARGV[1]) then return 0 end
return redis.call('DEL', KEYS[1])
`);

export class Presence {
  readonly #commands: RedisConnection;
  readonly #place: HeartSetup['presence'];
  readonly #ttlMs: number;

  constructor(commands: RedisConnection, place: HeartSetup['presence'], ttlMs: number) {
    this.#commands = commands;
    this.#place = place;
    this.#ttlMs = ttlMs;
  }

  tell(epoch: number): Promise<void> {
    return this.#run(THERE, [epoch, this.#place.start, this.#ttlMs]);
  }

  end(epoch: number): Promise<void> {
    return this.#run(GONE, [epoch]);
  }

  async #run(script: Script, args: readonly (string | number)[]): Promise<void> {
    try {
      await this.#commands.script(script, [this.#place.key], args);
    } catch (error) {
      // The next heartbeat says it again; after the last one it ends by itself.
      if (!(error instanceof RedisUnavailable)) throw error;
    }
  }
}
