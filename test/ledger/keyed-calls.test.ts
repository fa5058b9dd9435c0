import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { defineTool, ProtocolError } from '../../src/catalogue/define.ts';
import { KeyedCalls } from '../../src/ledger/keyed-calls.ts';
import type { Begun, Ledger, LedgerQuestion } from '../../src/ledger/port.ts';
import { callerOf, entry, envelopeOf, FakeChannel } from '../protocol/fakes.ts';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { Node, Stage, TASK_CLIENT, textOf } from '../tasks/node-pair.ts';

const META_KEY = 'io.millrace/idempotencyKey';
const keyed = (key: string) => ({ headers: { 'idempotency-key': key } });
const inMeta = (key: unknown) => ({ meta: { [META_KEY]: key } });
const REPEATABLE = { annotations: { idempotentHint: true } };

const toolsOf = (stage: Stage) => [
  stage.tool('pay'),
  stage.tool('read', { annotations: { readOnlyHint: true } }),
  stage.slowTool('slow'),
  stage.slowTool('long', { task: 'optional' }),
  stage.slowTool('hangs', { timeoutMs: 200 }),
  stage.slowTool('hangs-again', { timeoutMs: 200, ...REPEATABLE }),
  defineTool({ name: 'fails' }, () => {
    stage.ran.push('fails');
    throw new ProtocolError(-32000, 'no such account');
  }),
  defineTool({ name: 'asks' }, async (_args, context) => {
    stage.ran.push('asks');
    const { action } = await context.elicit({ message: '?', key: 'q' });
    return action;
  }),
];

/** Promises that hold on one node and on two that share a Redis. */
function promises(
  name: string,
  open: (stage: Stage) => Promise<{ a: Node; b: Node; close(): Promise<unknown> }>,
): void {
  describe(`calls with an idempotency key: ${name}`, () => {
    let stage: Stage;
    let a: Node;
    let b: Node;
    let close: () => Promise<unknown>;
    before(async () => {
      stage = new Stage();
      ({ a, b, close } = await open(stage));
    });
    after(() => close());
    beforeEach(() => {
      stage.ran.length = 0;
      stage.cancelled.length = 0;
    });

    test('are executed once, and answered alike under their own ids', async () => {
      const first = await a.call('pay', { sum: 1, to: 'x' }, { ...keyed('k1'), id: 'first' });
      for (const node of [a, b]) {
        const again = await node.call('pay', { to: 'x', sum: 1 }, { ...keyed('k1'), id: 'again' });
        assert.deepEqual([again.id, again.status, again.result], ['again', first.status, first.result]);
      }
      assert.equal(stage.executions('pay'), 1);
      assert.equal(textOf(await b.call('pay', { sum: 1, to: 'x' }, keyed('k1-other'))), 'pay 2');
    });

    test('carry it in a header, quoted or not, or in _meta; two that differ are refused', async () => {
      const texts = [
        await a.call('pay', {}, keyed('k2')),
        await a.call('pay', {}, keyed('"k2"')),
        await a.call('pay', {}, inMeta('k2')),
        await a.call('pay', {}, { ...keyed('k2'), ...inMeta('k2') }),
      ].map(textOf);
      assert.deepEqual(texts, Array(4).fill('pay 1'));
      const both = await a.call('pay', {}, { ...keyed('k2'), ...inMeta('other') });
      assert.equal(both.error.code, -32602);
    });

    test('that is too long, empty or not visible ASCII are refused', async () => {
      for (const options of [keyed('x'.repeat(256)), inMeta(''), inMeta('a b'), inMeta('ä'), inMeta(7)]) {
        const refused = await a.call('pay', {}, options);
        assert.deepEqual([refused.error?.code, stage.executions('pay')], [-32602, 0]);
      }
      assert.equal(textOf(await a.call('pay', {}, keyed('y'.repeat(255)))), 'pay 1');
    });

    test('another request under the same key is refused, by name of the key', async () => {
      await a.call('pay', { sum: 1 }, keyed('k3'));
      for (const [tool, args] of [
        ['pay', { sum: 2 }],
        ['read', { sum: 1 }],
      ] as const) {
        const refused = await b.call(tool, args, keyed('k3'));
        assert.equal(refused.error.code, -32602);
        assert.match(refused.error.message, /"k3"/);
      }
      assert.deepEqual(stage.ran, ['pay']);
    });

    test('at the same time, on every node, make one execution', async () => {
      const calls = Array.from({ length: 10 }, (_, i) =>
        (i % 2 === 0 ? a : b).call('slow', {}, { ...keyed('k4'), id: i }),
      );
      await until('the execution', () => stage.waiting === 1);
      stage.release();
      const answers = await Promise.all(calls);
      assert.deepEqual(answers.map(textOf), Array(10).fill('slow 1'));
      assert.deepEqual(
        answers.map(({ id }) => id),
        [...answers.keys()],
      );
      assert.equal(stage.executions('slow'), 1);
    });

    test('go on when their connection breaks, and answer the next attempt', async () => {
      const leaving = new AbortController();
      const left = a.call('slow', {}, { ...keyed('k5'), signal: leaving.signal }).catch(() => 'left');
      await until('the execution', () => stage.waiting === 1);
      leaving.abort();
      await left;
      const again = b.call('slow', {}, keyed('k5'));
      stage.release();
      assert.equal(textOf(await again), 'slow 1');
      assert.deepEqual([stage.executions('slow'), stage.cancelled], [1, []]);
    });

    test('that failed are not executed again', async () => {
      const first = await a.call('fails', {}, keyed('k6'));
      const again = await b.call('fails', {}, { ...keyed('k6'), id: 'again' });
      assert.deepEqual([again.error, again.id], [first.error, 'again']);
      assert.equal(stage.executions('fails'), 1);
    });

    test('that took too long are not executed again, unless they may be', async () => {
      for (const [tool, executions] of [
        ['hangs', 1],
        ['hangs-again', 2],
      ] as const) {
        const first = await a.call(tool, {}, keyed(`k-${tool}`));
        assert.match(first.error.message, /did not finish within \d+ ms/);
        await a.call(tool, {}, keyed(`k-${tool}`));
        assert.equal(stage.executions(tool), executions);
      }
    });

    test('that asked a question begin anew with the answer, under the same key', async () => {
      const asked = await a.call('asks', {}, keyed('k7'));
      assert.equal(asked.result['resultType'], 'input_required');
      const { requestState } = asked.result;
      const params = { name: 'asks', arguments: {}, requestState, inputResponses: { q: { action: 'accept' } } };
      const answered = await a.request('tools/call', params, keyed('k7'));
      assert.equal(textOf(answered), 'accept');
      const again = await a.request('tools/call', params, keyed('k7'));
      assert.deepEqual(again.result, answered.result);
      assert.equal(stage.executions('asks'), 2);
    });

    test('that became a task name the same task again', async () => {
      const options = { ...keyed('k8'), capabilities: TASK_CLIENT };
      const first = await a.call('long', {}, options);
      assert.equal(first.result['resultType'], 'task');
      const again = await b.call('long', {}, options);
      assert.equal(again.result['taskId'], first.result['taskId']);
      await until('the execution', () => stage.waiting === 1);
      stage.release();
      assert.equal(stage.executions('long'), 1);
    });

    test('keys of one caller are not those of another', async () => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
      const post = (body: object, more: Record<string, string>) =>
        fetch(a.url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(body) });
      const texts: string[] = [];
      for (let i = 0; i < 2; i += 1) {
        const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'c', version: '1' } };
        const opened = await post({ jsonrpc: '2.0', id: 1, method: 'initialize', params }, {});
        const session = {
          'mcp-session-id': String(opened.headers.get('mcp-session-id')),
          'mcp-protocol-version': '2025-11-25',
        };
        await opened.text();
        for (const inHeader of [true, false]) {
          const meta = inHeader ? {} : { _meta: { [META_KEY]: 'k9' } };
          const more: Record<string, string> = inHeader ? { 'idempotency-key': 'k9' } : {};
          const call = { jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'pay', arguments: {}, ...meta } };
          const { result } = (await (await post(call, { ...session, ...more })).json()) as { result: never };
          texts.push(textOf({ result } as never));
        }
      }
      assert.deepEqual(texts, ['pay 1', 'pay 1', 'pay 2', 'pay 2']);
    });
  });
}

promises('one node', async (stage) => {
  const node = await Node.start({}, toolsOf(stage));
  return { a: node, b: node, close: () => node.runtime.close(0) };
});

promises('two nodes', async (stage) => {
  const redis = await SharedRedis.single();
  const a = await Node.start({ redisUrl: redis.url, nodeId: 'a' }, toolsOf(stage));
  const b = await Node.start({ redisUrl: redis.url, nodeId: 'b' }, toolsOf(stage));
  const close = async (): Promise<void> => {
    await Promise.all([a.runtime.close(0), b.runtime.close(0)]);
    await redis.end();
  };
  return { a, b, close };
});

test('while Redis is away a call with a key is refused for now, and one without is served', async () => {
  const redis = await SharedRedis.single();
  const stage = new Stage();
  const node = await Node.start({ redisUrl: redis.url }, toolsOf(stage));
  try {
    await redis.server?.end();
    const refused = await node.call('pay', {}, keyed('k'));
    assert.deepEqual([refused.status, refused.error.code], [503, -32000]);
    assert.ok(Number(refused.retryAfter) >= 1);
    assert.equal(stage.executions('pay'), 0);
    assert.equal(textOf(await node.call('pay')), 'pay 1');
    await redis.server?.startAgain();
    await until('Redis', async () => (await node.call('pay', {}, keyed('k'))).status === 200);
    assert.equal(stage.executions('pay'), 2);
  } finally {
    await node.runtime.close(0);
    await redis.end();
  }
});

test('the time of a call counts from its arrival: waiting for its key leaves it the rest', async () => {
  const asked: LedgerQuestion[] = [];
  const seen: number[] = [];
  let give = (_begun: Begun): void => undefined;
  const ledger: Ledger = {
    running: 0,
    begin: (question) => {
      asked.push(question);
      return new Promise((resolve) => {
        give = resolve;
      });
    },
    finish: async () => true,
    abandon: async () => undefined,
    close: () => undefined,
  };
  const log = { error: () => undefined, warn: () => undefined };
  const calls = new KeyedCalls({ ledger, timeoutMs: 1_000, answered: () => undefined, log });
  const params = { name: 'pay' };
  const envelope = envelopeOf('tools/call', params);
  const beganMs = performance.now();
  calls.call(
    entry('tool', 'pay'),
    callerOf(),
    envelope,
    params,
    'k',
    new FakeChannel(),
    (_entry, _caller, _envelope, _channel, waitedMs) => {
      seen.push(waitedMs);
      return null;
    },
  );
  // Something is left for running.
  assert.equal(asked[0]?.waitMs, 900);
  await until('some time', () => performance.now() - beganMs > 30);
  give({ kind: 'run', token: 't' });
  await until('the run', () => seen.length === 1);
  assert.ok((seen[0] as number) >= 30 && (seen[0] as number) <= performance.now() - beganMs, String(seen[0]));
});
