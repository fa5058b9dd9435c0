/**
 * What users of Redis rely on, whatever stands behind the URL: scripts, pub/sub, and coming back.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RedisConnection } from '../../src/redis/connection.ts';
import { Script } from '../../src/redis/script.ts';
import { RedisSubscriber } from '../../src/redis/subscriber.ts';
import { RedisUnavailable } from '../../src/redis/unavailable.ts';
import { eventually } from '../clients/eventually.ts';
import { NodeConnections } from './node-connections.ts';
import { QUIET } from './redis-server.ts';

export interface Topology {
  readonly url: string;
  readonly caFile: string;
  /** On every server. */
  flushScripts(): Promise<void>;
  end(): Promise<void>;
}

/** Far more than a busy machine needs. */
const COMMAND_MS_MAX = 10_000;
export const PATIENCE_MS = 90_000;

const SET_AND_GET = new Script(`redis.call('SET', KEYS[1], ARGV[1]) return {redis.call('GET', KEYS[2]), ARGV[1]}`);

export const clientsOf = (url: string, caFile = '', commandMsMax = COMMAND_MS_MAX): Promise<NodeConnections> =>
  new NodeConnections(url, commandMsMax, caFile).ready();

/** Publishes until it is heard: what was published before the subscription stood is lost. */
export async function heard({ commands, subscriber }: NodeConnections, channel: string, text: string): Promise<void> {
  const told: string[] = [];
  const off = subscriber.on(channel, (message) => told.push(message.toString()));
  try {
    const publish = async (): Promise<readonly string[]> => {
      await commands.command(subscriber.publishCommand, channel, text).catch(expectUnavailable);
      return told;
    };
    await eventually(`a message on ${channel}`, publish, (list) => list.includes(text), PATIENCE_MS);
  } finally {
    off();
  }
}

/** The command works again within the patience; every failure before that is one of the expected kind. */
export function answersAgain(commands: RedisConnection, patienceMs = PATIENCE_MS): Promise<unknown> {
  const ask = (): Promise<unknown> => commands.command('SET', 'again', 'x').catch(expectUnavailable);
  return eventually('an answer', ask, (reply) => reply === 'OK', patienceMs);
}

export function expectUnavailable(error: unknown): RedisUnavailable {
  assert.ok(error instanceof RedisUnavailable, String(error));
  return error;
}

export function connectionContract(name: string, start: () => Promise<Topology>): void {
  describe(name, () => {
    let topology: Topology;
    let clients: NodeConnections;
    before(async () => {
      topology = await start();
      clients = await clientsOf(topology.url, topology.caFile);
    });
    after(async () => {
      clients.close();
      await topology.end();
    });

    test('a script runs, on two keys of one tag, also after the servers forgot it', async () => {
      const { commands } = clients;
      const run = async (text: string): Promise<string[]> => {
        const reply = await commands.script(SET_AND_GET, ['{a}:1', '{a}:1'], [text]);
        return (reply as Buffer[]).map(String);
      };
      assert.deepEqual(await run('one'), ['one', 'one']);
      assert.deepEqual(await run('two'), ['two', 'two']);
      await topology.flushScripts();
      assert.deepEqual(await run('three'), ['three', 'three']);
    });

    test('a connection that is ready takes commands for all keys at once', async () => {
      for (let n = 0; n < 5; n++) {
        const fresh = await clientsOf(topology.url, topology.caFile);
        const sent = ['a', 'b', 'c', 'd', 'e'].map((key) => fresh.commands.command('SET', key, 'x'));
        assert.deepEqual(await Promise.all(sent), ['OK', 'OK', 'OK', 'OK', 'OK']);
        fresh.close();
      }
    });

    test('a connection that has just come up takes commands for all keys once it is asked whether it is ready', async () => {
      for (let n = 0; n < 5; n++) {
        const options = { commandMsMax: COMMAND_MS_MAX, tlsCaFile: topology.caFile };
        const commands = new RedisConnection(topology.url, 'test', QUIET, options);
        try {
          const first = commands.ready();
          while (!commands.up) await new Promise((resolve) => setImmediate(resolve));
          await commands.ready();
          const sent = ['a', 'b', 'c', 'd', 'e'].map((key) => commands.command('SET', key, 'x'));
          assert.deepEqual(await Promise.all(sent), ['OK', 'OK', 'OK', 'OK', 'OK']);
          await first;
        } finally {
          commands.close();
        }
      }
    });

    test('who listens before there is a connection is told when it may have missed something, and then misses nothing', async () => {
      const { commands } = clients;
      const subscriber = new RedisSubscriber(topology.url, QUIET, topology.caFile);
      try {
        const told: string[] = [];
        subscriber.on('early', (message) => told.push(message.toString()));
        const gap = new Promise<void>((resolve) => {
          subscriber.onGap = resolve;
        });
        subscriber.start();
        await subscriber.standing;
        await gap;
        await commands.command(subscriber.publishCommand, 'early', 'x');
        await eventually(
          'the message',
          () => told,
          (list) => list.includes('x'),
          PATIENCE_MS,
        );
      } finally {
        subscriber.close();
      }
    });

    test('an error reply is told by its code, and the connection stays', async () => {
      const failed = await clients.commands.command('INCR', 'no', 'number').catch(expectUnavailable);
      assert.equal((failed as RedisUnavailable).why, 'refused');
      assert.equal(clients.commands.up, true);
      assert.equal(clients.commands.trouble, '');
    });

    test('what is published on many channels is heard on each', async () => {
      const channels = Array.from({ length: 6 }, (_, index) => `channel:${index}`);
      await Promise.all(channels.map((channel) => heard(clients, channel, `to ${channel}`)));
    });

    test('a password never stands in an address', () => {
      assert.doesNotMatch(clients.commands.address, /secret/);
    });
  });
}
