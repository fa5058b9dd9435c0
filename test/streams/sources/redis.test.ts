/**
 * The Redis source beyond the contract: real Redis, real groups, and what goes wrong between the two.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseRedisUrl } from '../../../src/redis/address.ts';
import { pauseMs } from '../../../src/redis/topology.ts';
import type { Source } from '../../../src/streams/sources/port.ts';
import { isAfter } from '../../../src/streams/sources/redis-entries.ts';
import { redisSourceKind } from '../../../src/streams/sources/redis-source.ts';
import { eventually } from '../../clients/eventually.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { CutLine } from '../sinks/cut-line.ts';
import { TestHost } from './test-host.ts';

let redis: RedisServer;
let number = 0;
before(async () => {
  redis = await RedisServer.start();
});
after(() => redis.end());

function newStream(): string {
  number += 1;
  return `stream:${number}`;
}

function sourceOf(host: TestHost, stream: string, options: object = {}): Source {
  const given = { type: 'redis', url: redis.url, stream, blockMs: 20, ...options };
  return redisSourceKind.create(given, 'prices', host);
}

async function pendingOf(stream: string): Promise<number> {
  const [count] = (await redis.run('XPENDING', stream, 'millrace')) as [number];
  return count;
}

describe('Redis source', () => {
  test('flat fields are members; those named are numbers and booleans', async () => {
    const stream = newStream();
    await redis.run('XADD', stream, '*', 'symbol', '007', 'price', '12.50', 'ok', 'true', 'note', 'a "b"\n');
    await redis.run('XADD', stream, '*', 'symbol', 'A', 'price', 'cheap', 'ok', 'yes');
    const host = new TestHost();
    const source = sourceOf(host, stream, { numbers: ['price'], booleans: ['ok'] });
    await source.start(new Map());
    await host.until(() => host.lines().length === 2);
    await source.stop();
    assert.deepEqual(host.lines(), [
      '{"symbol":"007","price":12.50,"ok":true,"note":"a \\"b\\"\\n"}',
      '{"symbol":"A","price":"cheap","ok":"yes"}',
    ]);
  });

  test('hands on bytes as they are, so that what is no UTF-8 is refused and kept, not made another key', async () => {
    const stream = newStream();
    const bytes = Buffer.from([0x61, 0xff, 0x22, 0x0a]);
    await redis.run('XADD', stream, '*', 'symbol', bytes, 'größe', '1', 'note', '💧é');
    await redis.run('XADD', stream, '*', 'note', bytes);
    const host = new TestHost();
    const flat = sourceOf(host, stream, { numbers: ['größe'] });
    await flat.start(new Map());
    await host.until(() => host.lines().length === 2);
    await flat.stop();
    const written = Buffer.from([0x61, 0xff, ...Buffer.from('\\"\\n')]);
    const lines = [
      [Buffer.from('{"symbol":"'), written, Buffer.from('","größe":1,"note":"💧é"}\n')],
      [Buffer.from('{"note":"'), written, Buffer.from('"}\n')],
    ].flat();
    assert.deepEqual(Buffer.concat(host.logged.map(({ body }) => body)), Buffer.concat(lines));
  });

  test('JSON over several lines is one event, and an entry without the field says so', async () => {
    const stream = newStream();
    await redis.run('XADD', stream, '*', 'event', '{\n "a": 1\r\n}');
    await redis.run('XADD', stream, '5000000000000-0', 'other', 'x');
    const host = new TestHost();
    const source = sourceOf(host, stream, { field: 'event' });
    await source.start(new Map());
    await host.until(() => host.lines().length === 2);
    await source.stop();
    const [first, second] = host.lines().map((line) => JSON.parse(line) as unknown);
    assert.deepEqual(first, { a: 1 });
    assert.equal(second, 'entry 5000000000000-0 has no field event: {"other":"x"}');
  });

  test('after a crash acknowledges what is in the log, takes what is not, and leaves nothing pending', async () => {
    const stream = newStream();
    for (let n = 1; n <= 6; n++) await redis.run('XADD', stream, `${n}-0`, 'event', `{"n":${n}}`);
    await redis.run('XGROUP', 'CREATE', stream, 'millrace', '0');
    // Handed over to the consumer before the crash; the log has them up to the third; the fifth was deleted.
    await redis.run('XREADGROUP', 'GROUP', 'millrace', 'millrace-prices', 'COUNT', 5, 'STREAMS', stream, '>');
    await redis.run('XDEL', stream, '5-0');
    const host = new TestHost();
    const source = sourceOf(host, stream, { field: 'event' });
    await source.start(new Map([[stream, '3-0']]));
    await host.until(() => host.lines().length === 2);
    await source.stop();
    assert.deepEqual(host.lines(), ['{"n":4}', '{"n":6}']);
    assert.equal(await pendingOf(stream), 0);
  });

  test('claims what another consumer abandoned, older than the log, once even over a crash', async () => {
    const stream = newStream();
    for (let n = 1; n <= 4; n++) await redis.run('XADD', stream, `${n}-0`, 'event', `{"n":${n}}`);
    await redis.run('XGROUP', 'CREATE', stream, 'millrace', '0');
    await redis.run('XREADGROUP', 'GROUP', 'millrace', 'gone', 'COUNT', 2, 'STREAMS', stream, '>');
    const host = new TestHost();
    const options = { field: 'event', claimIdleMs: 1 };
    const first = sourceOf(host, stream, options);
    // The entries of its own (3, 4), then the first claimed one: in the log, and not acknowledged.
    host.holdFrom = 1;
    await first.start(new Map());
    await host.until(() => host.logged.length === 2);
    // A part of the batch may be its own entries only.
    const next = host.successor();
    const second = sourceOf(next, stream, options);
    await second.start(next.positions());
    await next.until(() => next.lines().length === 4);
    host.release();
    await first.stop();
    await second.stop();
    assert.deepEqual(next.lines().toSorted(), ['{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}']);
    assert.equal(await pendingOf(stream), 0);
  });

  test('takes what a reader of its name that is no more was handed, though it went on behind it', async () => {
    const stream = newStream();
    await redis.run('XADD', stream, '1-0', 'event', '{"n":1}');
    const host = new TestHost();
    const source = sourceOf(host, stream, { field: 'event' });
    host.holdFrom = 0;
    await source.start(new Map());
    await host.until(() => host.logged.length === 1);
    // As Redis does for a connection whose other end lost its power while it waited for entries.
    await redis.run('XADD', stream, '2-0', 'event', '{"n":2}');
    await redis.run('XREADGROUP', 'GROUP', 'millrace', 'millrace-prices', 'COUNT', 1, 'STREAMS', stream, '>');
    await redis.run('XADD', stream, '3-0', 'event', '{"n":3}');
    host.release();
    await host.until(() => host.lines().length === 2);
    await redis.run('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await host.until(() => host.lines().length === 3);
    await source.stop();
    assert.deepEqual(host.lines(), ['{"n":1}', '{"n":3}', '{"n":2}']);
    assert.equal(await pendingOf(stream), 0);
  });

  test('comes back by itself when Redis does, and goes on where the log is', async () => {
    const line = await CutLine.to(redis.port);
    const stream = newStream();
    try {
      await redis.run('XADD', stream, '1-0', 'event', '1');
      const host = new TestHost();
      const source = sourceOf(host, stream, { url: `redis://127.0.0.1:${line.port}`, field: 'event' });
      await source.start(new Map());
      await host.until(() => host.lines().length === 1);
      line.goAway();
      await eventually('it is told', () => host.warnings.length, Boolean);
      // The group is lost, and what else it knew.
      await redis.run('DEL', stream);
      await redis.run('SCRIPT', 'FLUSH');
      await redis.run('XADD', stream, '1-0', 'event', '1');
      await redis.run('XADD', stream, '2-0', 'event', '2');
      line.back();
      await host.until(() => host.lines().length === 2);
      await source.stop();
      assert.deepEqual(host.lines(), ['1', '2']);
      assert.ok(host.warnings.some((text) => /Redis cannot be reached|connection to Redis was lost/.test(text)));
    } finally {
      line.close();
    }
  });

  test('starts while Redis is away, and stops while it is away', async () => {
    const host = new TestHost();
    const source = redisSourceKind.create({ type: 'redis', url: 'redis://127.0.0.1:1', stream: 's' }, 'prices', host);
    await source.start(new Map());
    await eventually(
      'warnings',
      () => host.warnings.length,
      (count) => count >= 2,
    );
    await source.stop();
    await source.done;
  });

  test('trims what is done with, and never what another group has not read', async () => {
    const stream = newStream();
    await redis.run('XGROUP', 'CREATE', stream, 'slow', '0', 'MKSTREAM');
    for (let n = 1; n <= 2000; n++) await redis.run('XADD', stream, `${n}-0`, 'event', '1');
    const host = new TestHost();
    const source = sourceOf(host, stream, { field: 'event', maxLen: 100, batch: 1000 });
    await source.start(new Map());
    await host.until(() => host.lines().length === 2000);
    assert.equal(await redis.run('XLEN', stream), 2000);
    await redis.run('XGROUP', 'SETID', stream, 'slow', '1500-0');
    for (let n = 2001; n <= 3000; n++) await redis.run('XADD', stream, `${n}-0`, 'event', '1');
    await host.until(() => host.lines().length === 3000);
    await source.stop();
    const [[oldest]] = (await redis.run('XRANGE', stream, '-', '+', 'COUNT', 1)) as [[string]];
    const first = Number(oldest.split('-')[0]);
    assert.ok(first > 1000 && first <= 1501, `the oldest entry left is ${oldest}`);
  });

  test('names the option that is wrong, and never a password', () => {
    const create = (options: object) => () =>
      redisSourceKind.create({ type: 'redis', ...options }, 'prices', new TestHost());
    assert.throws(create({ url: 'redis://h:1' }), /prices\/redis\.stream: missing, expected a text/);
    assert.throws(
      create({ url: 'redis://h:1', stream: 's', batch: 1.5 }),
      /prices\/redis\.batch: 1\.5, expected a whole/,
    );
    assert.throws(create({ url: 'redis://h:1', stream: 's', numbers: 'n' }), /prices\/redis\.numbers/);
    assert.throws(create({ url: 'http://me:secret@h', stream: 's' }), (error: Error) => {
      assert.match(error.message, /prices\/redis\.url.*expected redis:\/\/host:port/);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    assert.equal(parseRedisUrl('redis://me:secret@h:1/2').shown, 'redis://h:1/2');
  });

  test('ids are ordered by their numbers, all 64 bits of them', () => {
    assert.ok(isAfter('10-0', '9-9'));
    assert.ok(isAfter('9-10', '9-9'));
    assert.ok(!isAfter('9-9', '9-9'));
    assert.ok(isAfter('18446744073709551615-1', '18446744073709551614-2'));
    assert.ok(isAfter('0-1', ''));
  });

  test('pauses double, vary in their second half and end at five seconds', () => {
    assert.deepEqual(
      [1, 2, 3, 20].map((attempt) => pauseMs(attempt, 1)),
      [50, 100, 200, 2000],
    );
    assert.deepEqual(
      [1, 20, 1000].map((attempt) => pauseMs(attempt, 0)),
      [25, 1000, 1000],
    );
  });
});
