import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { defineTool } from '../../src/catalogue/define.ts';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { Node, Stage, textOf } from '../tasks/node-pair.ts';

const PUBLIC = { cache: { ttlMs: 60_000, scope: 'public' } } as const;
const PRIVATE = { cache: { ttlMs: 60_000, scope: 'private' } } as const;
const AUTH = {
  auth: {
    tokens: [
      { token: 'secret-token-of-ann', id: 'ann' },
      { token: 'secret-token-of-ben', id: 'ben' },
    ],
  },
};
const as = (who: string) => ({ headers: { authorization: `Bearer secret-token-of-${who}` } });

const toolsOf = (stage: Stage) => [
  stage.tool('shared', PUBLIC),
  stage.tool('own', PRIVATE),
  stage.slowTool('slow', PUBLIC),
  stage.slowTool('hangs', { ...PUBLIC, timeoutMs: 1000 }),
  stage.tool('plain'),
  defineTool({ name: 'write' }, (_args, context) => {
    context.invalidate('shared');
    return 'written';
  }),
];

describe('calls of tools that declare a cache', () => {
  let stage: Stage;
  let node: Node;
  let signed: Node;
  before(async () => {
    stage = new Stage();
    node = await Node.start({}, toolsOf(stage));
    signed = await Node.start(AUTH, toolsOf(stage));
  });
  after(() => Promise.all([node.runtime.close(0), signed.runtime.close(0)]));
  beforeEach(() => {
    stage.release();
    stage.ran.length = 0;
    stage.cancelled.length = 0;
  });

  test('are made once for the same arguments, in whatever order, and answered under their own ids', async () => {
    const first = await node.call('shared', { a: 1, b: [2, { c: 3, d: 4 }] }, { id: 'x' });
    const again = await node.call('shared', { b: [2, { d: 4, c: 3 }], a: 1 }, { id: ',"result":{}' });
    assert.deepEqual([textOf(first), textOf(again)], ['shared 1', 'shared 1']);
    assert.deepEqual([first.id, again.id], ['x', ',"result":{}']);
    assert.deepEqual(again.result, first.result);
    assert.equal(textOf(await node.call('shared', { a: 2 })), 'shared 2');
    assert.equal(stage.executions('shared'), 2);
  });

  test('leave other tools alone', async () => {
    assert.deepEqual([textOf(await node.call('plain')), textOf(await node.call('plain'))], ['plain 1', 'plain 2']);
  });

  test('whose headers contradict the body are refused, though a result is kept', async () => {
    await node.call('shared', { a: 1 });
    const lied = await node.call('shared', { a: 1 }, { headers: { 'mcp-name': 'own' } });
    assert.deepEqual([lied.status, lied.error.code], [400, -32020]);
  });

  test('private results belong to a principal; those of nobody are not kept', async () => {
    assert.equal(textOf(await signed.call('own', {}, as('ann'))), 'own 1');
    assert.equal(textOf(await signed.call('own', {}, as('ben'))), 'own 2');
    assert.equal(textOf(await signed.call('own', {}, as('ann'))), 'own 1');
    assert.equal(textOf(await node.call('own')), 'own 3');
    assert.equal(textOf(await node.call('own')), 'own 4');
  });

  test('at the same time make one call, which goes on when the first caller leaves', async () => {
    const leaving = new AbortController();
    const left = node.call('slow', { n: 1 }, { signal: leaving.signal }).catch(() => 'left');
    await until('the call', () => stage.waiting === 1);
    const others = Array.from({ length: 5 }, (_, i) => node.call('slow', { n: 1 }, { id: i }));
    await until('the others', async () => (await node.runtime.metrics()).includes('millrace_shared_calls 5\n'));
    leaving.abort();
    assert.equal(await left, 'left');
    await node.call('plain');
    assert.deepEqual(stage.cancelled, []);
    stage.release();
    const answers = await Promise.all(others);
    assert.deepEqual(answers.map(textOf), Array(5).fill('slow 1'));
    assert.deepEqual(
      answers.map(({ id }) => id),
      [0, 1, 2, 3, 4],
    );
    assert.equal(stage.executions('slow'), 1);
  });

  test('that everybody has left are cancelled', async () => {
    const leaving = new AbortController();
    const left = [1, 2].map(() => node.call('slow', { n: 2 }, { signal: leaving.signal }).catch(() => 'left'));
    await until('the call', () => stage.waiting === 1);
    await until('the other', async () => (await node.runtime.metrics()).includes('millrace_shared_calls 1\n'));
    leaving.abort();
    await Promise.all(left);
    await until('the end of it', () => stage.cancelled.length === 1);
    stage.release();
  });

  test('are made again when the first fails', async () => {
    const failing = new Stage();
    let fails = true;
    const tool = failing.slowTool('unsteady', PUBLIC);
    const once = await Node.start({}, [
      {
        ...tool,
        handler: async (args: never, context: never) => {
          const text = await (tool.handler as (args: never, context: never) => Promise<string>)(args, context);
          if (!fails) return text;
          fails = false;
          throw new Error('not this time');
        },
      } as typeof tool,
    ]);
    try {
      const first = once.call('unsteady');
      await until('the call', () => failing.waiting === 1);
      const second = once.call('unsteady');
      await until('the second', async () => (await once.runtime.metrics()).includes('millrace_shared_calls 1\n'));
      failing.release();
      assert.equal((await first).result['isError'], true);
      await until('the second call', () => failing.waiting === 1);
      failing.release();
      assert.equal(textOf(await second), 'unsteady 2');
      assert.equal(textOf(await once.call('unsteady')), 'unsteady 2');
    } finally {
      await once.runtime.close(0);
    }
  });

  test('of a session are served to it, under the same key as those of nobody else', async () => {
    const session = async () => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const post = (body: object, more: Record<string, string>) =>
        fetch(node.url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });
      const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
      const opened = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, {});
      const own = {
        'mcp-session-id': String(opened.headers.get('mcp-session-id')),
        'mcp-protocol-version': '2025-11-25',
      };
      await opened.text();
      return async (): Promise<string> => {
        const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'own', arguments: {} } };
        const { result } = (await (await post(call, own)).json()) as { result: { content: { text: string }[] } };
        return String(result.content[0]?.text);
      };
    };
    const [ann, ben] = [await session(), await session()];
    assert.deepEqual([await ann(), await ann(), await ben(), await ann()], ['own 1', 'own 1', 'own 2', 'own 1']);
  });
});

describe('results on two nodes', () => {
  let redis: SharedRedis;
  let stage: Stage;
  let a: Node;
  let b: Node;
  before(async () => {
    redis = await SharedRedis.single();
    stage = new Stage();
    a = await Node.start({ redisUrl: redis.url, nodeId: 'a' }, toolsOf(stage));
    b = await Node.start({ redisUrl: redis.url, nodeId: 'b' }, toolsOf(stage));
  });
  after(async () => {
    await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
    await redis.end();
  });

  /** A call whose result both nodes keep. */
  let tried = 0;
  const keptByBoth = async (): Promise<{ args: { n: number }; text: string }> => {
    tried += 1;
    const args = { n: tried };
    const text = textOf(await a.call('shared', args));
    // Asked before the result has come to Redis, it waits for that.
    assert.equal(textOf(await b.call('shared', args)), text);
    return { args, text };
  };
  const waiting = async (): Promise<number> => {
    const texts = await Promise.all([a, b].map(({ runtime }) => runtime.metrics()));
    return texts.reduce((sum, text) => sum + Number(/millrace_shared_calls (\d+)\n/.exec(text)?.[1]), 0);
  };

  test('calls at the same time on both are one execution, answered under their own ids', async () => {
    const calls = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? a : b).call('slow', { n: 'both' }, { id: i }));
    await until('the call', () => stage.waiting === 1);
    await until('the others', async () => (await waiting()) === 19);
    stage.release();
    const answers = await Promise.all(calls);
    assert.deepEqual(answers.map(textOf), Array(20).fill('slow 1'));
    assert.deepEqual(
      answers.map(({ id }) => id),
      [...answers.keys()],
    );
    assert.equal(stage.executions('slow'), 1);
  });

  test('a call that is left on one node is made on the other, where somebody waits for it', async () => {
    const leaving = new AbortController();
    const left = a.call('slow', { n: 'left' }, { signal: leaving.signal }).catch(() => 'left');
    await until('the call', () => stage.waiting === 1);
    const other = b.call('slow', { n: 'left' });
    await until('the other', async () => (await waiting()) === 1);
    leaving.abort();
    assert.equal(await left, 'left');
    await until('the end of it', () => stage.cancelled.length === 1);
    await until('the other call', () => stage.waiting === 1);
    stage.release();
    assert.match(textOf(await other), /^slow/);
  });

  test('who waits for a node that does not answer in time is answered in its own time', async () => {
    const first = a.call('hangs');
    // It may be over by then.
    await until('the call', () => stage.executions('hangs') > 0);
    for (const answer of await Promise.all([first, b.call('hangs')])) {
      // While it ran, while it waited for the other's, or just before it would have begun itself.
      assert.match(answer.error.message, /the deadline passed/);
    }
  });

  test('what one node computed the other serves', async () => {
    const { args, text } = await keptByBoth();
    const executions = stage.executions('shared');
    for (const node of [a, b, a, b]) assert.equal(textOf(await node.call('shared', args)), text);
    assert.equal(stage.executions('shared'), executions);
  });

  test('a node that joins forgets nothing of the others', async () => {
    const { args, text } = await keptByBoth();
    const joined = await Node.start({ redisUrl: redis.url, nodeId: 'c' }, toolsOf(stage));
    try {
      for (const node of [joined, a, b]) assert.equal(textOf(await node.call('shared', args)), text);
      assert.deepEqual(await redis.server?.run('KEYS', '*cache:{shared}:gen'), [], 'nothing was made out of date');
    } finally {
      await joined.runtime.close(0);
    }
  });

  test('a call that makes the results of another tool out of date is heard on both', async () => {
    const { args, text } = await keptByBoth();
    assert.equal(textOf(await b.call('write')), 'written');
    for (const node of [a, b]) await until('its end', async () => textOf(await node.call('shared', args)) !== text);
  });

  test('a tool that is replaced on one node has its results forgotten on both', async () => {
    const { args, text } = await keptByBoth();
    a.runtime.catalogue.remove('tool', 'shared');
    a.runtime.catalogue.add({ definition: stage.tool('shared', PUBLIC), module: null });
    for (const node of [a, b]) await until('its end', async () => textOf(await node.call('shared', args)) !== text);
  });
});
