/**
 * What nodes do with Redis, one kind after the other, each with the part of its history that its checker needs.
 */
import assert from 'node:assert/strict';
import { leaseKey } from '../../../src/cluster/leases/lease-script.ts';
import type { RedisLeases } from '../../../src/cluster/leases/redis-leases.ts';
import type { Lease } from '../../../src/cluster/port.ts';
import type { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisUnavailable } from '../../../src/redis/unavailable.ts';
import { UnitFence } from '../../../src/streams/cluster/fence.ts';
import type { UnitKeys } from '../../../src/streams/cluster/unit-keys.ts';
import type { EventLog } from '../../../src/streams/log/port.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';
import { openRedisLog } from '../../../src/streams/log/redis-log.ts';
import type { SessionClient } from '../../session-era/http-client.ts';
import { numberedRecord, plain, readAll } from '../../streams/log/records.ts';
import type { Answer, NodeClient } from '../../tasks/node-pair.ts';
import { guardedScript, isFenced } from '../members/guarded-script.ts';
import { refusable, type Try } from './recorded-work.ts';

export const PREFIX = 'mcp:';
const SAVE = guardedScript(`return redis.call('SET', KEYS[2], ARGV[2])`);
const RECORD_BYTES = 100;
/** Made durable together. */
const RECORDS_AT_ONCE = 5;

/** The two nodes in turn. */
const inTurn = <T>(nodes: readonly T[]): (() => T) => {
  let turn = 0;
  return () => nodes[turn++ % nodes.length] as T;
};

/** Of an HTTP answer that must be 200, or say when to come again. */
function refusalOf(status: number, retryAfter: string | null, code: number | undefined): string {
  if (status === 200) return '';
  assert.deepEqual([status, code], [503, -32000]);
  assert.ok(Number(retryAfter) >= 1, `Retry-After: ${retryAfter}`);
  return 'unavailable';
}

const refusal = (answer: Answer): string => refusalOf(answer.status, answer.retryAfter, answer.error?.code);

/** Changes of a session that have to be stored. */
export function sessionWork(client: SessionClient, urls: readonly string[]): Try {
  const next = inTurn(urls);
  const levels = inTurn(['debug', 'info', 'warning', 'error']);
  return async () => {
    const { headers, message, status } = await client.request(next(), 'logging/setLevel', { level: levels() });
    return refusalOf(status, headers.get('retry-after'), message?.error?.code);
  };
}

/** Leases of one name, taken and given back by two nodes; what is done under them carries their token. */
export class LeaseWork {
  readonly tokens: number[] = [];
  readonly #name: string;
  readonly #redis: RedisConnection;

  constructor(name: string, redis: RedisConnection) {
    this.#name = name;
    this.#redis = redis;
  }

  by(leases: RedisLeases): Try {
    return refusable(async () => {
      const lease = await leases.acquire(this.#name);
      if (lease === null) return;
      this.tokens.push(lease.token);
      try {
        await this.#save(lease);
      } finally {
        await leases.release(lease);
      }
    });
  }

  async #save(lease: Lease): Promise<void> {
    const keys = [leaseKey(PREFIX, this.#name), `data:{${this.#name}}`];
    try {
      await this.#redis.script(SAVE, keys, [lease.token, 'x']);
    } catch (error) {
      // A lease given to a primary that died before its replica knew: the write is refused, which is what matters.
      if (!isFenced(error)) throw error;
    }
  }
}

export class TaskWork {
  readonly accepted: string[] = [];
  readonly #next: () => NodeClient;

  constructor(nodes: readonly NodeClient[]) {
    this.#next = inTurn(nodes);
  }

  readonly begin: Try = async () => {
    const answer = await this.#next().call('task');
    const refused = refusal(answer);
    if (refused === '') this.accepted.push(String(answer.result['taskId']));
    return refused;
  };
}

/** Each key until it is answered, then once more through another node: the same answer. */
export class KeyedWork {
  /** By key. */
  readonly answers = new Map<string, string[]>();
  readonly #next: () => NodeClient;
  #number = 0;

  constructor(nodes: readonly NodeClient[]) {
    this.#next = inTurn(nodes);
  }

  readonly call: Try = async () => {
    const key = `key-${this.#number}`;
    const answer = await this.#next().call('once', {}, { headers: { 'idempotency-key': key } });
    const refused = refusal(answer);
    if (refused !== '') return refused;
    const told = [...(this.answers.get(key) ?? []), JSON.stringify(answer.result ?? answer.error)];
    this.answers.set(key, told);
    if (told.length === 2) this.#number += 1;
    return '';
  };
}

/** A tool whose results are kept: nothing is refused because they cannot be. */
export function cachedWork(nodes: readonly NodeClient[]): Try {
  const next = inTurn(nodes);
  let number = 0;
  return async () => refusal(await next().call('kept', { number: number++ % 20 }));
}

/** A tool with a budget over all nodes. */
export function limitedWork(nodes: readonly NodeClient[]): Try {
  const next = inTurn(nodes);
  return async () => {
    const answer = await next().call('limited');
    return answer.status === 429 ? 'over the budget' : refusal(answer);
  };
}

/** The owner of a unit, who appends and learns which records are durable; number n is record n. */
export class UnitWriter {
  /** Acknowledged. */
  acked = 0;
  readonly #redis: RedisConnection;
  readonly #keys: UnitKeys;
  #log: EventLog | null = null;
  #token = 0;

  constructor(redis: RedisConnection, keys: UnitKeys) {
    this.#redis = redis;
    this.#keys = keys;
  }

  readonly append: Try = async () => {
    try {
      this.#log ??= await this.#claim();
      if (!this.#log.available) await this.#log.recover();
      const log = this.#log;
      const from = this.acked + 1;
      const records = Array.from({ length: RECORDS_AT_ONCE }, (_, i) => numberedRecord(from + i, RECORD_BYTES));
      await Promise.all(records.map((record) => log.append(record).durable));
      this.acked += RECORDS_AT_ONCE;
      return '';
    } catch (error) {
      if (error instanceof RedisUnavailable) return error.why;
      if (!(error instanceof LogUnavailable)) throw error;
      assert.ok(error.cause instanceof RedisUnavailable, String(error.stack));
      return error.cause.why;
    }
  };

  /** As the next owner finds the log: what was acknowledged, in order, and nothing after it. */
  async check(): Promise<void> {
    const before = this.#log;
    const after = await this.#claim();
    const found = (await readAll(after, 0)).map(({ record }) => record);
    const wanted = Array.from({ length: this.acked }, (_, i) => plain(numberedRecord(i + 1, RECORD_BYTES)));
    assert.deepEqual(found, wanted);
    await assert.rejects(async () => before?.append(numberedRecord(0, 1)).durable, LogUnavailable);
    await after.close();
  }

  async #claim(): Promise<EventLog> {
    this.#token += 1;
    return openRedisLog((await UnitFence.claim(this.#redis, this.#keys, this.#token)).fence);
  }
}
