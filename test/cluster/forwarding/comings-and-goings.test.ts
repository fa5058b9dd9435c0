/**
 * Nodes that come, go, drain and are loaded, while others forward calls to them.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inProcess } from '../../cli/millrace.ts';
import { eventually } from '../../clients/eventually.ts';
import { fixture } from '../../clients/serve.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { SessionClient } from '../../session-era/http-client.ts';
import { until } from '../peers/two-nodes.ts';
import { own, type SpecialNode, startSpecialNode, textOf, untilShown } from './specialised-nodes.ts';

interface Shown {
  readonly id: string;
  readonly status: string;
  readonly load: number;
}

const ROUNDS = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
};

/** Its state, sealed by a worker. */
async function firstRound(node: SpecialNode): Promise<unknown> {
  const { last, result } = await node.stateless.call('ask-name', {}, { _meta: ROUNDS });
  assert.equal(result['resultType'], 'input_required', JSON.stringify(last));
  return result['requestState'];
}

async function secondRound(node: SpecialNode, requestState: unknown): Promise<string> {
  const inputResponses = { name: { action: 'accept', content: { name: 'Ada' } } };
  const { last, result } = await node.stateless.call('ask-name', {}, { _meta: ROUNDS, requestState, inputResponses });
  return textOf(result) || JSON.stringify(last);
}

/** Much longer than the news of it takes. */
const DRAIN_DELAY_MS = 5_000;

describe('nodes that come and go', () => {
  let redis: RedisServer;
  let a: SpecialNode;

  before(async () => {
    redis = await RedisServer.start();
    a = await startSpecialNode(redis.url, 'a', '-a');
  });
  after(async () => {
    await a.close();
    await redis.end();
  });

  /** Another node as `a` sees it. */
  async function seen(id: string): Promise<Shown | undefined> {
    const answer = (await (await fetch(a.url.replace('/mcp', '/cluster'))).json()) as { nodes: Shown[] };
    return answer.nodes.find((node) => node.id === id);
  }

  async function warnings(): Promise<readonly string[]> {
    const answer = await (await fetch(a.url.replace('/mcp', '/cluster'))).json();
    return (answer as { warnings: string[] }).warnings;
  }

  test('a tool that a new node brings is shown everywhere, and gone after it; clients hear of both', async () => {
    const client = await new SessionClient().initialize(a.url);
    const heard = await client.listen(a.url);
    const changes = (): number =>
      heard.messages.filter(({ method }) => method === 'notifications/tools/list_changed').length;
    const b = await startSpecialNode(redis.url, 'b', '-b');
    await untilShown([a, b], [...own('-a'), ...own('-b')]);
    await until(() => changes() >= 1);
    const told = changes();
    await b.close();
    // Restarted within a few heartbeats nothing is taken away.
    const again = await startSpecialNode(redis.url, 'b', '-b');
    await untilShown([a, again], [...own('-a'), ...own('-b')]);
    assert.equal(JSON.parse(textOf((await a.stateless.call('where-b')).result)).node, 'b');
    await again.close();
    await untilShown([a], own('-a'));
    await until(() => changes() > told);
    client.close();
    const gone = await a.stateless.call('where-b');
    assert.match(gone.error.message, /unknown tool: where-b/);
    // Operators still miss it.
    assert.ok((await warnings()).includes('no node runs the tool where-b'));
    const { code, out } = await inProcess(['status', '--all', '--url', new URL(a.url).origin]);
    assert.equal(code, 1);
    assert.match(out, /no node runs the tool where-b/);
    const back = await startSpecialNode(redis.url, 'b', '-b');
    await eventually('the warnings', warnings, (lines) => lines.length === 0);
    await back.close();
  });

  test('a node that drains answers what it has and is sent nothing more; no call fails', async () => {
    const b = await startSpecialNode(redis.url, 'b', '-s');
    const c = await startSpecialNode(redis.url, 'c', '-s');
    try {
      await untilShown([a], [...own('-a'), ...own('-s')]);
      await eventually(
        'both nodes',
        () => seen('c'),
        (node) => node?.status === 'running',
      );
      const waits = Array.from({ length: 16 }, () => a.stateless.call('wait-s'));
      await until(() => b.done.length + c.done.length === 16);
      assert.ok(b.done.length > 0 && c.done.length > 0, `${b.done.length} and ${c.done.length}`);
      const closing = b.close();
      for (let n = 0; n < 40; n++) {
        const { error, result } = await a.stateless.call('once-s');
        assert.match(textOf(result), /^[bc]$/, JSON.stringify(error));
      }
      await eventually(
        'the node that drains',
        () => seen('b'),
        (node) => node?.status !== 'running',
      );
      for (let n = 0; n < 20; n++) assert.equal(textOf((await a.stateless.call('once-s')).result), 'c');
      b.release();
      c.release();
      const ran = await Promise.all(waits);
      for (const { error, result } of ran) assert.match(textOf(result), /^[bc]$/, JSON.stringify(error));
      await closing;
    } finally {
      await Promise.all([b.close(), c.close()]);
    }
  });

  test('a tool that only a node that drains runs is called there until its drain delay is over', async () => {
    const b = await startSpecialNode(redis.url, 'b2', '-d', { drainDelayMs: DRAIN_DELAY_MS });
    try {
      await untilShown([a], [...own('-a'), ...own('-d')]);
      const closing = b.close();
      await eventually(
        'the node that drains',
        () => seen('b2'),
        (node) => node?.status === 'draining',
      );
      const { error, result } = await a.stateless.call('once-d');
      assert.equal(textOf(result), 'b2', JSON.stringify(error));
      await closing;
      const gone = await a.stateless.call('once-d');
      assert.equal(gone.status, 503, JSON.stringify(gone.error));
    } finally {
      await b.close();
    }
  });

  test('nodes that start after Redis has lost everything share the secret of those that were there', async () => {
    await redis.run('FLUSHALL');
    await eventually(
      'the secret',
      () => redis.run('EXISTS', 'mcp:secret'),
      (count) => count === 1,
    );
    const b = await startSpecialNode(redis.url, 'b3', '-f');
    try {
      await eventually(
        'the tools',
        () => a.names(),
        (names) => names.includes('where-f'),
      );
      await eventually(
        'the node',
        () => seen('b3'),
        (node) => node?.status === 'running',
      );
      assert.equal(JSON.parse(textOf((await a.stateless.call('where-f')).result)).node, 'b3');
      await eventually(
        'the tools there',
        () => b.names(),
        (names) => names.includes('where-a'),
      );
      assert.equal(JSON.parse(textOf((await b.stateless.call('where-a')).result)).node, 'a');
    } finally {
      await b.close();
    }
  });

  test('calls go to the node that has less to do', async () => {
    const b = await startSpecialNode(redis.url, 'b2', '-l', { builtinTools: true, requestTimeoutMs: 120_000 });
    const c = await startSpecialNode(redis.url, 'c2', '-l');
    const leaving = new AbortController();
    try {
      await eventually(
        'the tools',
        () => a.names(),
        (names) => names.includes('where-l'),
      );
      await eventually(
        'both nodes',
        () => seen('c2'),
        (node) => node?.status === 'running',
      );
      const sleep = { name: 'sleep', arguments: { ms: 100_000 } };
      const held = Array.from({ length: 12 }, () => b.stateless.open('tools/call', sleep, {}, leaving.signal));
      const gone = Promise.allSettled(held);
      await eventually(
        'the load',
        () => seen('b2'),
        (node) => (node?.load ?? 0) >= 12,
      );
      const nodes = await Promise.all(Array.from({ length: 5 }, () => a.stateless.call('where-l')));
      assert.deepEqual(
        nodes.map(({ result }) => JSON.parse(textOf(result)).node),
        ['c2', 'c2', 'c2', 'c2', 'c2'],
      );
      leaving.abort();
      await gone;
    } finally {
      leaving.abort();
      await Promise.all([b.close(), c.close()]);
    }
  });
});

test('nodes that were started while Redis was away exchange calls and rounds once it is there', async () => {
  const redis = await RedisServer.start();
  await redis.end();
  const options = { modules: [fixture('talking-tools')] };
  const [a, b] = await Promise.all([
    startSpecialNode(redis.url, 'a', '-a', options),
    startSpecialNode(redis.url, 'b', '-b', options),
  ]);
  const nodes = [a, b];
  try {
    const begun = await Promise.all(nodes.map(firstRound));
    const talking = (await a.names()).filter((name) => !own('-a').includes(name));
    await redis.startAgain();
    await untilShown(nodes, [...own('-a'), ...own('-b'), ...talking]);
    for (const [i, tool] of ['where-b', 'where-a'].entries()) {
      const call = async (): Promise<string> => {
        const { error, result } = await (nodes[i] as SpecialNode).stateless.call(tool);
        return error.message === '' ? JSON.parse(textOf(result)).node : error.message;
      };
      await eventually(tool, call, (node) => node === tool.at(-1));
    }
    // Its workers had the node's own secret when they began: what they seal opens elsewhere now, and what they sealed
    // before still opens with them.
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      assert.equal(await secondRound(to, await firstRound(from)), 'Hello, Ada');
    }
    for (const [i, node] of nodes.entries()) assert.equal(await secondRound(node, begun[i]), 'Hello, Ada');
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
    await redis.end();
  }
});
