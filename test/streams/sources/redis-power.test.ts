/**
 * Nodes that lose their power while they read a Redis stream: their connections stay, as far as Redis knows, and what
 * waits on them is handed entries that nobody receives. Checker: each entry is in the log exactly once, and what is
 * acknowledged is in the log.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Source } from '../../../src/streams/sources/port.ts';
import { CLAIMED, nameOf, positionOf, positionText, tagOf } from '../../../src/streams/sources/redis-readers.ts';
import { redisSourceKind } from '../../../src/streams/sources/redis-source.ts';
import { eventually } from '../../clients/eventually.ts';
import { randomFrom } from '../../random.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { TcpProxy } from '../../redis/tcp-proxy.ts';
import { refusalForGood, TestHost } from './test-host.ts';

const PATIENCE_MS = 120_000;
/** A read of a connection that is no more waits on for so long: the next node starts before, though the machine stands still. */
const BLOCK_MS = 7_000;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);
const ROUNDS = 14;
/** Entries that may go to reads of nodes that are no more, before one comes to the node that lives. */
const TRIES_MAX = 200;

let redis: RedisServer;
let streams = 0;
before(async () => {
  redis = await RedisServer.start();
});
after(() => redis.end());

/** One start of a node, with a network of its own. */
class PoweredNode {
  readonly host: TestHost;
  readonly proxy: TcpProxy;
  readonly source: Source;
  readonly #stream: string;

  private constructor(host: TestHost, proxy: TcpProxy, stream: string) {
    this.host = host;
    this.proxy = proxy;
    this.#stream = stream;
    const url = `redis://127.0.0.1:${proxy.port}`;
    const given = { type: 'redis', url, stream, field: 'event', blockMs: BLOCK_MS, batch: 3 };
    this.source = redisSourceKind.create(given, 'prices', host);
    this.source.done.catch(() => undefined);
  }

  /** Goes on where the log of `former` is. Resolves when it waits for entries. */
  static async start(stream: string, former: PoweredNode | null): Promise<PoweredNode> {
    const host = former === null ? new TestHost() : former.host.successor();
    const node = new PoweredNode(host, await TcpProxy.start(redis.port), stream);
    const waiting = await blocked();
    await node.source.start(host.positions());
    await eventually('the reader', blocked, (count) => count > waiting, PATIENCE_MS);
    return node;
  }

  /** Nothing of it is heard again, and nobody tells Redis. */
  losePower(): void {
    this.proxy.lose();
    this.proxy.blackHole();
    this.host.refusals.push(refusalForGood());
  }

  async end(): Promise<void> {
    await this.proxy.end();
    await this.source.stop();
  }

  async logs(count: number): Promise<void> {
    await eventually(
      `${count} entries`,
      () => this.host.lines().length,
      (lines) => lines >= count,
      PATIENCE_MS,
    );
    await eventually(
      'all acknowledged',
      () => pendingOf(this.#stream),
      (left) => left === 0,
      PATIENCE_MS,
    );
  }
}

async function blocked(): Promise<number> {
  return Number(/blocked_clients:(\d+)/.exec(String(await redis.run('INFO', 'clients')))?.[1]);
}

async function pendingOf(stream: string): Promise<number> {
  const [count] = (await redis.run('XPENDING', stream, 'millrace')) as [number];
  return count;
}

async function consumersOf(stream: string): Promise<string[]> {
  const all = (await redis.run('XINFO', 'CONSUMERS', stream, 'millrace')) as unknown[][];
  return all.map((facts) => String(facts[facts.indexOf('name') + 1]));
}

function checkOnce({ host }: PoweredNode, count: number): void {
  const expected = Array.from({ length: count }, (_, i) => `${i + 1}`);
  const numbers = host.lines().toSorted((a, b) => Number(a) - Number(b));
  assert.deepEqual(numbers, expected, 'each entry is in the log exactly once');
}

describe('a Redis source whose nodes lose their power', () => {
  const nodes: PoweredNode[] = [];
  let stream = '';
  let added = 0;
  afterEach(async () => {
    for (const node of nodes.splice(0)) await node.end();
  });
  const begin = (): void => {
    streams += 1;
    stream = `power:${streams}`;
    added = 0;
  };
  const start = async (former: PoweredNode | null): Promise<PoweredNode> => {
    const node = await PoweredNode.start(stream, former);
    nodes.push(node);
    return node;
  };
  const add = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      added += 1;
      await redis.run('XADD', stream, `${added}-0`, 'event', `${added}`);
    }
  };

  test('twice in a row: what the first one was handed after its end is taken, though the second went on behind it', async () => {
    begin();
    await redis.run('XGROUP', 'CREATE', stream, 'millrace', '0', 'MKSTREAM');
    const a = await start(null);
    a.losePower();
    const b = await start(a);
    // To the read of the first node, which waits longest.
    await add(1);
    assert.deepEqual(b.host.lines(), []);
    await add(1);
    await b.host.until(() => b.host.lines().includes('2'));
    await eventually('it waits again', blocked, (count) => count >= 1, PATIENCE_MS);
    b.losePower();
    const c = await start(b);
    await add(2);
    await c.logs(3);
    const d = await start(c);
    await d.logs(4);
    checkOnce(d, 4);
  });

  test('once: what it was handed after its end is taken by a reader that has no trouble of its own', async () => {
    begin();
    await redis.run('XGROUP', 'CREATE', stream, 'millrace', '0', 'MKSTREAM');
    const a = await start(null);
    a.losePower();
    const b = await start(a);
    await add(2);
    await b.logs(2);
    checkOnce(b, 2);
    assert.deepEqual(b.host.lines(), ['2', '1']);
  });

  test('at random, or lose their connections, or end in order', async () => {
    begin();
    await redis.run('XGROUP', 'CREATE', stream, 'millrace', '0', 'MKSTREAM');
    const random = randomFrom(SEED);
    let node = await start(null);
    for (let round = 0; round < ROUNDS; round++) {
      const fate = Math.floor(random() * 4);
      if (fate === 0) node.proxy.cut();
      else if (fate === 1) await node.source.stop();
      else node.losePower();
      // Some of them to a read that nobody waits for.
      await add(Math.floor(random() * 3));
      if (fate !== 0) node = await start(node);
      const { host } = node;
      const before = host.logged.length;
      for (let tries = 0; host.logged.length === before && tries < TRIES_MAX; tries++) {
        await add(1);
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
    node.losePower();
    const last = await start(node);
    await last.logs(added);
    checkOnce(last, added);
    const names = await consumersOf(stream);
    assert.ok(names.length <= 3, `names that are over are forgotten: ${names.join(' ')}`);
  });
});

describe('names of readers', () => {
  test('say whose they are, and nothing of names that begin alike', () => {
    assert.equal(tagOf('millrace-a', 'millrace-a'), '');
    assert.equal(tagOf('millrace-a', nameOf('millrace-a', CLAIMED)), CLAIMED);
    assert.equal(tagOf('millrace-a', 'millrace-a.0123456789ab'), '0123456789ab');
    for (const other of ['millrace-ab', 'millrace-a.b', 'millrace-a.0123456789ab.claimed', 'millrace', 'millrace-a.']) {
      assert.equal(tagOf('millrace-a', other), null, other);
    }
  });

  test('are beside the id in the log, which reads without one as well', () => {
    for (const text of ['', '5-0', '5-0 0123456789ab']) assert.equal(positionText(positionOf(text)), text);
    assert.deepEqual(positionOf('5-0 0123456789ab'), { id: '5-0', tag: '0123456789ab' });
  });
});
