/**
 * A process that stood still, as it does on a machine that is overloaded or was suspended, takes the answers that came
 * meanwhile, and does not think that Redis is slow.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { RedisConnection } from '../../src/redis/connection.ts';
import { answerInTime } from '../../src/redis/timed-command.ts';
import { standStill } from '../clients/stand-still.ts';
import { QUIET, RedisServer } from './redis-server.ts';

const COMMAND_MS_MAX = 1000;
const STILL_MS = 2000;

let server: RedisServer;
before(async () => {
  server = await RedisServer.start();
});
after(() => server.end());

test('commands under way are answered, and the connection stays', async () => {
  const commands = new RedisConnection(server.url, 'test', QUIET, { commandMsMax: COMMAND_MS_MAX });
  try {
    await commands.ready();
    const sent = Array.from({ length: 5 }, () => commands.command('PING'));
    standStill(STILL_MS);
    assert.deepEqual(await Promise.all(sent), ['PONG', 'PONG', 'PONG', 'PONG', 'PONG']);
    assert.deepEqual([commands.up, commands.trouble], [true, '']);
  } finally {
    commands.close();
  }
});

test('without an answer it is given up all the same, after as long once more at most', async () => {
  const fromMs = performance.now();
  const given = assert.rejects(answerInTime(new Promise(() => undefined), COMMAND_MS_MAX), /timed out/);
  standStill(STILL_MS);
  await given;
  assert.ok(performance.now() - fromMs >= STILL_MS + COMMAND_MS_MAX - 1);
  await assert.rejects(answerInTime(new Promise(() => undefined), 10), /timed out/);
});
