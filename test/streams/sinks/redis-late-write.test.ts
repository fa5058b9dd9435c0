/**
 * A write that reaches Redis after the one that was sent in its place, and after others: networks keep what was sent over
 * a connection that has been given up, and bring it when they can.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { redisSinkKind } from '../../../src/streams/sinks/redis-sink.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { line } from './sink.contract.ts';

test('a first try that comes late adds nothing, and moves no place', async () => {
  const redis = await RedisServer.start();
  const sent: Buffer[] = [];
  const wire = createServer((near) => {
    const far = connect(redis.port, '127.0.0.1');
    near.on('data', (chunk) => sent.push(chunk));
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  try {
    await once(wire, 'listening');
    const url = `redis://127.0.0.1:${(wire.address() as AddressInfo).port}`;
    const sink = redisSinkKind.create({ type: 'redis', url, stream: 'results' }, 's/redis');
    await sink.open();
    // Redis knows the script from here on.
    await sink.write({ seq: 0.5, lines: [line(0)] });
    sent.length = 0;
    await sink.write({ seq: 1, lines: [line(1)] });
    const first = Buffer.concat(sent);
    await sink.write({ seq: 2, lines: [line(2)] });
    await sink.write({ seq: 3, lines: [line(3)] });
    const socket = connect(redis.port, '127.0.0.1');
    socket.write(first);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    assert.equal(String(answer), ':0\r\n');
    assert.equal(await redis.run('XLEN', 'results'), 4);
    // And learns it again when it has forgotten it.
    await redis.run('SCRIPT', 'FLUSH');
    await sink.write({ seq: 4, lines: [line(4)] });
    assert.equal(await redis.run('XLEN', 'results'), 5);
    const stats = String(await redis.run('INFO', 'commandstats'));
    const calls = (command: string): number => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1]);
    assert.ok(calls('evalsha') > calls('eval'), 'it is sent whole only when it is not known');
    await sink.close();
    const again = redisSinkKind.create({ type: 'redis', url, stream: 'results' }, 's/redis');
    assert.equal(await again.open(), 4);
    await again.close();
  } finally {
    wire.close();
    await redis.end();
  }
});
