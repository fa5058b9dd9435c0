/**
 * A server that can be reached and takes no commands, or no writes: why is told, and it is not asked without pause.
 */
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { RedisConnection } from '../../src/redis/connection.ts';
import { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { eventually } from '../clients/eventually.ts';
import { answersAgain, expectUnavailable, PATIENCE_MS } from './connection.contract.ts';
import { RedisServer } from './redis-server.ts';

const LONGEST_MS = 120_000;
/** Between two questions for what was refused, twice. */
const PROBES_MS = 2 * 1000 + 500;
const RETURNS = 8;
/** Pauses double from 50 ms, up to half of each is left out, and the first one is. */
const RETURNS_MS_MIN = 25 + 50 + 100 + 200 + 400 + 800;

const server = await RedisServer.start();
after(() => server.end());

let told: string[] = [];
beforeEach(() => {
  told = [];
});

const note = (fields: object, message: string): void => {
  const { err } = fields as { readonly err?: Error };
  told.push(err === undefined ? message : `${message}: ${err.message}`);
};

async function connected(): Promise<RedisConnection> {
  const commands = new RedisConnection(server.url, 'test', { warn: note, info: note });
  await commands.ready();
  return commands;
}

test('a password that was changed is told once as the reason, whatever was told of the connection before', {
  timeout: LONGEST_MS,
}, async () => {
  const commands = await connected();
  try {
    await server.run('CONFIG', 'SET', 'requirepass', 'changed');
    await server.run('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    const reasons = (): string[] => told.filter((line) => line.includes('NOAUTH'));
    await eventually('the reason', reasons, (lines) => lines.length > 0, PATIENCE_MS);
    await server.run('CONFIG', 'SET', 'requirepass', '');
    await answersAgain(commands);
    assert.equal(reasons().length, 1, told.join('\n'));
    assert.match(told[0] ?? '', /was lost/);
    assert.match(told.at(-1) ?? '', /can be reached again/);
  } finally {
    await server.run('CONFIG', 'SET', 'requirepass', '');
    commands.close();
  }
});

test('a replica is left again and again, with pauses that grow', { timeout: LONGEST_MS }, async () => {
  const commands = await connected();
  try {
    let returns = 0;
    const write = (): Promise<unknown> => commands.command('SET', 'x', 'x').catch(expectUnavailable);
    commands.onChange((up) => {
      if (!up) return;
      returns += 1;
      void write();
    });
    await server.run('REPLICAOF', '127.0.0.1', '1');
    const fromMs = performance.now();
    for (; returns < RETURNS; await delay(1)) await write();
    const tookMs = performance.now() - fromMs;
    assert.ok(tookMs >= RETURNS_MS_MIN, `${returns} times within ${tookMs} ms`);
    await server.run('REPLICAOF', 'NO', 'ONE');
    await answersAgain(commands);
  } finally {
    await server.run('REPLICAOF', 'NO', 'ONE');
    commands.close();
  }
});

test('channels that are refused are told once and listened to as soon as they may be, and what was missed is told then', {
  timeout: LONGEST_MS,
}, async () => {
  const commands = await connected();
  const subscriber = new RedisSubscriber(server.url, { warn: note, info: note });
  let gaps = 0;
  subscriber.onGap = () => gaps++;
  const heard: string[] = [];
  for (const channel of ['first', 'second', 'third']) subscriber.on(channel, () => heard.push(channel));
  try {
    await server.run('ACL', 'SETUSER', 'default', '-subscribe');
    subscriber.start();
    await eventually('what was told', () => told.length, Boolean, PATIENCE_MS);
    // Long enough to be asked for once more.
    await delay(PROBES_MS);
    assert.equal(told.length, 1, told.join('\n'));
    assert.match(told[0] ?? '', /could not listen to first.*NOPERM/);
    assert.deepEqual([subscriber.up, subscriber.trouble, gaps], [false, 'not heard', 0]);
    await server.run('ACL', 'SETUSER', 'default', '+subscribe');
    await eventually('listening', () => subscriber.up, Boolean, PATIENCE_MS);
    assert.deepEqual([subscriber.trouble, gaps], ['', 1]);
    await commands.command('PUBLISH', 'second', 'x');
    await eventually(
      'a message',
      () => heard,
      (channels) => channels.includes('second'),
      PATIENCE_MS,
    );
    // One that was refused and is not wanted any more keeps nothing back.
    await server.run('ACL', 'SETUSER', 'default', '-subscribe');
    const leave = subscriber.on('fourth', () => undefined);
    await eventually(
      'what was told',
      () => told.length,
      (count) => count === 2,
      PATIENCE_MS,
    );
    assert.equal(subscriber.up, false);
    leave();
    await eventually('listening', () => subscriber.up, Boolean, PATIENCE_MS);
  } finally {
    await server.run('ACL', 'SETUSER', 'default', '+subscribe');
    subscriber.close();
    commands.close();
  }
});
