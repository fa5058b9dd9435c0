/**
 * How streams were cut into partitions the last time, noted in Redis.
 *
 * Role: streams that are cut otherwise begin anew, which is logged, so that nobody has to find it out by missing
 * results. A note that could not be written is tried again with every `look`. It lives as long as the units it is
 * about.
 */
import type { RedisConnection } from '../../redis/connection.ts';
import { Script } from '../../redis/script.ts';
import type { EngineLog } from '../engine/engine.ts';
import { UNIT_TTL_MS } from './unit-keys.ts';
import type { Unit } from './units.ts';

/** Between two times that the end of the notes is put off. */
const KEEP_MS = 3_600_000;

/** KEYS: how streams are cut. ARGV: stream, cut, ttl in ms. Gives how it was cut before. */
const NOTE = new Script(`
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before ~= ARGV[2] then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return before`);

export interface CutNotesPorts {
  readonly redis: RedisConnection;
  /** Start of all keys in Redis. */
  readonly prefix: string;
  readonly log: EngineLog;
}

export class CutNotes {
  readonly #ports: CutNotesPorts;
  readonly #key: string;
  #unnoted: readonly Unit[];
  #keepAtMs = performance.now() + KEEP_MS;
  #noting = false;

  constructor(ports: CutNotesPorts, units: readonly Unit[]) {
    this.#ports = ports;
    this.#key = `${ports.prefix}stream-partitions`;
    this.#unnoted = units.filter(({ partition }) => partition === 0);
  }

  look(): void {
    if (this.#unnoted.length > 0) void this.#note();
    if (performance.now() >= this.#keepAtMs) void this.#keep();
  }

  async #note(): Promise<void> {
    const { log, redis } = this.#ports;
    // Not connected yet, or away: the next look tries again.
    if (this.#noting || !redis.up) return;
    this.#noting = true;
    try {
      for (const unit of this.#unnoted) {
        const { cut, family } = unit;
        const before = await redis.script(NOTE, [this.#key], [family, cut, UNIT_TTL_MS]);
        this.#unnoted = this.#unnoted.filter((other) => other !== unit);
        if (before === null || String(before) === cut) continue;
        const facts = { stream: family, before: String(before), partitions: cut };
        const what = 'another number of partitions, or a key of other fields';
        log.warn(facts, `the stream has ${what}: it begins anew, what it held stays in Redis for a while`);
      }
    } catch (error) {
      log.info({ err: error }, 'whether streams have the partitions they had before is not known');
    } finally {
      this.#noting = false;
    }
  }

  async #keep(): Promise<void> {
    this.#keepAtMs = performance.now() + KEEP_MS;
    // Missed, it is put off with the next one.
    await this.#ports.redis.command('PEXPIRE', this.#key, UNIT_TTL_MS).catch(() => undefined);
  }
}
