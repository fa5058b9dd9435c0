/**
 * Stateless calls over three nodes: any node serves any call, behind HAProxy and behind nginx, and Redis is not asked.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../../clients/eventually.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import { type Balancer, Nginx } from './balancers.ts';
import { failedOf, RecordedLoad } from './recorded-load.ts';
import { commandCounts } from './redis-commands.ts';
import { ClusterRig } from './rig.ts';

const CALLS = 120;
const REDIS_CALLS = 1000;
const AT_ONCE = 20;
const LOOK_MS = 200;
/** More than nodes do by the clock in the same time, heartbeats and renewals: one command in so many calls would be seen. */
const CALLS_PER_COMMAND = 25;

async function calls(load: RecordedLoad, count: number): Promise<void> {
  const caller = async (): Promise<void> => {
    for (let i = 0; i < count / AT_ONCE; i++) await load.echo();
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
}

/** What has come of a body when `text` was in it. */
async function beginning(response: Response, text: string): Promise<string> {
  const decoder = new TextDecoder();
  let come = '';
  for await (const chunk of response.body ?? []) {
    come += decoder.decode(chunk as Uint8Array, { stream: true });
    if (come.includes(text)) break;
  }
  return come;
}

describe('three nodes behind a balancer', () => {
  let rig: ClusterRig;
  let nginx: Balancer;
  before(async () => {
    // Heartbeats as they usually are: what is counted here are commands.
    rig = await ClusterRig.start(['--heartbeat-ms', '5000']);
    nginx = await Nginx.start(rig.ports);
  });
  after(async () => {
    await nginx?.end();
    await rig?.end();
  });

  /** How many calls each node got while `count` were made at `url`. */
  async function shares(url: string, count: number): Promise<number[]> {
    const read = (): Promise<number[]> => Promise.all(rig.nodes.map((node) => node.answered()));
    const before = await read();
    const load = new RecordedLoad(url);
    await calls(load, count);
    assert.deepEqual(failedOf(await load.stop()), []);
    const afterwards = await read();
    return afterwards.map((each, i) => each - (before[i] ?? 0));
  }

  for (const name of ['HAProxy', 'nginx'] as const) {
    test(`${name} spreads the calls of the same clients evenly over all nodes`, async () => {
      const got = await shares(name === 'nginx' ? nginx.url : rig.url, CALLS);
      assert.equal(
        got.reduce((sum, each) => sum + each, 0),
        CALLS,
      );
      for (const each of got) assert.ok(each > CALLS / 6 && each < CALLS / 2, `${name}: ${got.join(', ')}`);
    });

    test(`${name} passes events on when they come`, async () => {
      const url = name === 'nginx' ? nginx.url : rig.url;
      const aborted = new AbortController();
      const notifications = { toolsListChanged: true };
      const stream = await new Stateless(url).open('subscriptions/listen', { notifications }, {}, aborted.signal);
      // The stream stays open: a balancer that gathered would pass nothing on.
      assert.match(await beginning(stream, 'acknowledged'), /notifications\/subscriptions\/acknowledged/);
      aborted.abort();
    });

    test(`${name} keeps what is for operators and nodes to itself`, async () => {
      const url = name === 'nginx' ? nginx.url : rig.url;
      for (const path of ['/metrics', '/cluster', '/internal/call']) {
        assert.equal((await fetch(new URL(path, url))).status, 404, path);
      }
      assert.equal((await fetch(new URL('/health/ready', url))).status, 200);
    });
  }

  test('stateless calls make no command to Redis: there are as many in as long a time without calls', async () => {
    const countDuring = async (work: () => Promise<unknown>): Promise<number> => {
      const before = await commandCounts(rig.redis);
      await work();
      const made = await commandCounts(rig.redis);
      return [...made].reduce((sum, [name, count]) => sum + count - (before.get(name) ?? 0), 0);
    };
    const load = new RecordedLoad(rig.url);
    const beganMs = performance.now();
    const withCalls = await countDuring(() => calls(load, REDIS_CALLS));
    const tookMs = performance.now() - beganMs;
    assert.deepEqual(failedOf(await load.stop()), []);
    const without = await countDuring(() => delay(tookMs));
    const most = 1.5 * without + REDIS_CALLS / CALLS_PER_COMMAND;
    assert.ok(withCalls < most, `${withCalls} in ${tookMs} ms with calls, ${without} without`);
    const counted = (): Promise<number> => countDuring(() => delay(LOOK_MS));
    await eventually('commands of nodes that beat', counted, (count) => count > 0);
  });
});
