/**
 * Cuts a Redis stream down to a length, but never what a group of consumers still needs.
 *
 * Role: `XTRIM MAXLEN` would delete entries that nobody has read yet when readers fall behind. So the oldest entry that
 * any group needs is looked up (its oldest pending one, or the last one it was given), and only older ones go, at most
 * as many as there are too many. Redis cuts whole nodes of its list, so the length is approximate, and never below.
 */
import type { RedisConnection } from '../../redis/connection.ts';
import { isAfter, listOf, memberOf } from './redis-entries.ts';

/** Looked at this often. */
const TRIM_EVERY_ENTRIES = 1000;

export class RedisTrimmer {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #maxLen: number;
  #acknowledged = 0;

  /** `maxLen` 0: never trims. */
  constructor(redis: RedisConnection, key: string, maxLen: number) {
    this.#redis = redis;
    this.#key = key;
    this.#maxLen = maxLen;
  }

  async acknowledged(entries: number): Promise<void> {
    if (this.#maxLen === 0) return;
    this.#acknowledged += entries;
    if (this.#acknowledged < TRIM_EVERY_ENTRIES) return;
    this.#acknowledged = 0;
    await this.#trim();
  }

  async #trim(): Promise<void> {
    const surplus = Number(await this.#redis.command('XLEN', this.#key)) - this.#maxLen;
    if (surplus <= 0) return;
    let needed = '';
    for (const facts of listOf(await this.#redis.command('XINFO', 'GROUPS', this.#key))) {
      const given = memberOf(facts, 'last-delivered-id');
      const [, oldest] = listOf(await this.#redis.command('XPENDING', this.#key, memberOf(facts, 'name')));
      const first = oldest === null || oldest === undefined ? given : String(oldest);
      if (needed === '' || isAfter(needed, first)) needed = first;
    }
    if (needed === '') return;
    await this.#redis.command('XTRIM', this.#key, 'MINID', '~', needed, 'LIMIT', surplus);
  }
}
