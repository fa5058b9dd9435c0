/**
 * A registry that loses everything just when a node is due to go: heartbeats that were in it, and that nobody had read,
 * are lost with it, and do not count as missing. Time is the test's own.
 */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Heart } from '../../../src/cluster/heartbeat/heart.ts';
import { LoadBoard } from '../../../src/cluster/heartbeat/load-board.ts';
import type { Sighting } from '../../../src/cluster/heartbeat/messages.ts';
import { BEAT, fieldsOf, LIST } from '../../../src/cluster/heartbeat/node-hash.ts';
import type { NodeFacts } from '../../../src/cluster/port.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { RedisSubscriber } from '../../../src/redis/subscriber.ts';
import { eventually } from '../../clients/eventually.ts';
import { QUIET, RedisServer } from '../../redis/redis-server.ts';

/** So long that nothing but the test makes the heart beat. */
const HEARTBEAT_MS = 600_000;
const TTL_MS = 3 * HEARTBEAT_MS;
const PATIENCE_MS = 20_000;
const FACTS: NodeFacts = { status: 'running', url: 'http://127.0.0.1:1', maxLoad: 1, tools: [], version: '1' };

class Beating {
  readonly heart: Heart;
  nowMs = 0;
  seen: Sighting = { nodes: [], epoch: 0, read: false, fenced: false, trouble: '' };
  sightings = 0;
  readonly #board = new LoadBoard();

  constructor(url: string) {
    this.#board.start(() => 0);
    const commands = new RedisConnection(url, 'heart', QUIET);
    const subscriber = new RedisSubscriber(url, QUIET);
    const setup = {
      id: 'n1',
      redisUrl: url,
      tlsCaFile: '',
      commandMsMax: 0,
      prefix: 'mcp:',
      heartbeatMs: HEARTBEAT_MS,
      presence: { key: 'mcp:there:n1', start: 's' },
    };
    this.heart = new Heart(
      { ...setup, epoch: 0, known: [], facts: FACTS, board: this.#board.shared },
      {
        commands,
        subscriber,
        board: this.#board,
        now: () => this.nowMs,
        tell: (message) => {
          if (message.kind !== 'seen') return;
          this.seen = message.sighting;
          this.sightings += 1;
        },
      },
    );
  }

  get ids(): string {
    return this.seen.nodes.map(({ id }) => id).join();
  }

  sees(wanted: string): Promise<string> {
    return eventually(
      'the nodes',
      () => this.ids,
      (ids) => ids === wanted,
      PATIENCE_MS,
    );
  }

  /** Resolves when it has looked at the registry so many times more. */
  async looked(times: number): Promise<void> {
    const before = this.sightings;
    await eventually(
      'looks',
      () => this.sightings - before,
      (count) => count >= times,
      PATIENCE_MS,
    );
  }

  /** As when its facts change. */
  beat(): void {
    this.heart.take({ kind: 'facts', facts: FACTS });
  }

  end(): void {
    this.heart.take({ kind: 'leave' });
    this.#board.stop();
  }
}

describe('a registry that lost everything', () => {
  let redis: RedisServer;
  let beating: Beating;
  const beatsElsewhere = async (epoch: number): Promise<void> => {
    const commands = redis.connect();
    await commands.ready();
    await commands.script(BEAT, ['mcp:node:n2'], [epoch, TTL_MS, ...fieldsOf(FACTS, 0, false)]);
    await commands.script(LIST, ['mcp:nodes'], ['n2', TTL_MS]);
    commands.close();
  };

  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.end());
  beforeEach(async () => {
    await redis.run('FLUSHALL');
    await beatsElsewhere(0);
    beating = new Beating(redis.url);
    beating.heart.start();
    await beating.sees('n1,n2');
  });

  test('whoever is due to go stays when this node is not in it either, and goes when it does not come back', async () => {
    try {
      await redis.run('FLUSHALL');
      beating.nowMs = TTL_MS + 1;
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.nowMs += TTL_MS - 1;
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.nowMs += 2;
      await beating.sees('n1');
    } finally {
      beating.end();
    }
  });

  test('so it is when this node beats before it looks', async () => {
    try {
      await redis.run('FLUSHALL');
      beating.beat();
      beating.nowMs = TTL_MS + 1;
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
      beating.beat();
      await beating.looked(1);
      assert.equal(beating.ids, 'n1,n2');
    } finally {
      beating.end();
    }
  });

  test('whoever is late in a registry that lost nothing goes', async () => {
    try {
      await redis.run('DEL', 'mcp:node:n2');
      beating.nowMs = TTL_MS + 1;
      await beating.sees('n1');
    } finally {
      beating.end();
    }
  });
});
