/**
 * What `CachedCalls` promises of calls at the same time, whatever its results are kept in: on one node, and on nodes that
 * share their results. `open` gives three nodes, or three times the same.
 */
import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Entry } from '../../src/catalogue/entry.ts';
import { until } from '../redis/shared-redis.ts';
import { type CallingNode, Executions, TOOL, waitingOn } from './calling-nodes.ts';

export type ThreeNodes = readonly [CallingNode, CallingNode, CallingNode];

export function sharedFlightsContract(
  name: string,
  open: (executions: Executions, rest: Partial<Entry>) => Promise<ThreeNodes>,
): void {
  describe(`calls at the same time: ${name}`, () => {
    const opened: CallingNode[] = [];
    afterEach(() => {
      for (const { results } of opened.splice(0)) results.close();
    });
    const stage = async (rest: Partial<Entry> = {}) => {
      const executions = new Executions();
      const nodes = await open(executions, rest);
      opened.push(...nodes);
      return { nodes, executions, a: nodes[0], b: nodes[1], c: nodes[2] };
    };

    test('of one key on all nodes are one execution, and all are answered with its result', async () => {
      const { executions, nodes } = await stage();
      const calls = Array.from({ length: 60 }, (_, i) => (nodes[i % 3] as CallingNode).call());
      const execution = await executions.begun(1);
      await until('the others', () => waitingOn(nodes) === 59);
      execution.succeed('once');
      assert.deepEqual(await Promise.all(calls.map(({ answer }) => answer)), Array(60).fill('result once'));
      for (const node of nodes) assert.equal(await node.call().answer, 'result once');
      assert.equal(executions.all.length, 1);
      assert.equal(waitingOn(nodes), 0);
    });

    test('again and again, with other arguments each time, are one execution each', async () => {
      const { executions, nodes } = await stage();
      for (let n = 1; n <= 20; n += 1) {
        const calls = nodes.map((node) => node.call({ n }).answer);
        (await executions.begun(n)).succeed(`of ${n}`);
        assert.deepEqual(await Promise.all(calls), Array(3).fill(`result of ${n}`));
      }
    });

    test('are made again by who waits, when the first one fails', async () => {
      const { a, b, c, executions, nodes } = await stage();
      const first = a.call().answer;
      const execution = await executions.begun(1);
      const others = [b.call().answer, c.call().answer];
      await until('the others', () => waitingOn(nodes) === 2);
      execution.fail();
      assert.equal(await first, 'error failed');
      (await executions.begun(2)).succeed('second');
      assert.deepEqual(await Promise.all(others), ['result second', 'result second']);
      assert.equal(executions.all.length, 2);
    });

    test('are not made again for who has no time left when the first one fails', async () => {
      const timeoutMs = 300;
      const { a, executions } = await stage({ timeoutMs });
      const first = a.call();
      const execution = await executions.begun(1);
      const second = a.call();
      const sinceMs = performance.now();
      await until('the end of its time', () => performance.now() - sinceMs > timeoutMs);
      execution.fail();
      assert.deepEqual([await first.answer, await second.answer], ['error failed', 'timeout']);
      assert.equal(executions.all.length, 1);
      const next = a.call().answer;
      (await executions.begun(2)).succeed('second');
      assert.equal(await next, 'result second');
    });

    test('with other arguments are executions of their own', async () => {
      const { a, b, executions } = await stage();
      const calls = [a.call({ n: 1 }).answer, b.call({ n: 2 }).answer];
      await until('both', () => executions.all.length === 2);
      for (const execution of executions.all) execution.succeed('own');
      assert.deepEqual(await Promise.all(calls), ['result own', 'result own']);
    });

    test('of a private tool are one execution for each principal, and none for nobody in common', async () => {
      const { executions, nodes } = await stage({ cacheScope: 'private' });
      const calls = nodes.flatMap((node) => ['ann', 'ben', ''].map((principal) => node.call({ principal }).answer));
      // Of Ann, of Ben, and three of nobody.
      await until('the executions', () => executions.all.length === 5);
      for (const execution of executions.all) execution.succeed(execution.principal);
      const answers = ['result ann', 'result ben', 'result '];
      assert.deepEqual(await Promise.all(calls), [...answers, ...answers, ...answers]);
      assert.equal(executions.all.length, 5);
    });

    test('who leaves while it waits is not answered, and the others are', async () => {
      const { a, b, c, executions, nodes } = await stage();
      const first = a.call().answer;
      const execution = await executions.begun(1);
      const leaving = b.call();
      const staying = [b.call().answer, c.call().answer];
      await until('the others', () => waitingOn(nodes) === 3);
      leaving.leave();
      await until('that it has left', () => waitingOn(nodes) === 2);
      execution.succeed('once');
      assert.deepEqual(await Promise.all([first, ...staying]), Array(3).fill('result once'));
      assert.equal(leaving.isAnswered, false);
    });

    test('that everybody has left are cancelled, and the next call is made at once', async () => {
      const { a, b, executions } = await stage();
      const call = a.call();
      const execution = await executions.begun(1);
      call.leave();
      assert.equal(execution.cancelled, true);
      const next = b.call().answer;
      (await executions.begun(2)).succeed('second');
      assert.equal(await next, 'result second');
    });

    test('a result that was invalidated while it was computed answers nobody who came after that', async () => {
      const { a, b, c, executions, nodes } = await stage();
      const before = a.call().answer;
      const first = await executions.begun(1);
      const generations = nodes.map(({ results }) => results.generation(TOOL));
      b.calls.invalidate(TOOL);
      await until('the news', () => {
        const now = nodes.map(({ results }) => results.generation(TOOL));
        return now[0] !== generations[0] && now.every((generation) => generation === now[0]);
      });
      const after = [a.call().answer, b.call().answer, c.call().answer];
      const second = await executions.begun(2);
      await until('the others', () => waitingOn(nodes) === 2);
      first.succeed('old');
      assert.equal(await before, 'result old');
      second.succeed('new');
      assert.deepEqual(await Promise.all(after), Array(3).fill('result new'));
      for (const node of nodes) assert.equal(await node.call().answer, 'result new');
      assert.equal(executions.all.length, 2);
    });
  });
}
