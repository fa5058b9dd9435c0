/**
 * The node that runs a call is killed: real processes, SIGKILL, and a file that counts executions.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';
import { eventually } from '../../clients/eventually.ts';
import { freePort } from '../../redis/redis-process.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { NodeProcess } from '../balancer/node-process.ts';
import { HEARTBEAT_MS, type SpecialNode, startSpecialNode, textOf } from './specialised-nodes.ts';

const TOOLS = join(PACKAGE_ROOT, 'dist/test/cluster/forwarding/fixtures/effects');

/** Longer than another node takes to start on a busy machine. */
const CALL_MS_MAX = 90_000;

describe('a node that is killed while it runs a call for another', () => {
  let redis: RedisServer;
  let asker: SpecialNode;
  let folder = '';
  let file = '';

  before(async () => {
    redis = await RedisServer.start();
    asker = await startSpecialNode(redis.url, 'asker', '-asker', { requestTimeoutMs: CALL_MS_MAX });
    folder = await mkdtemp(join(tmpdir(), 'millrace-effects-'));
    file = join(folder, 'effects');
    await writeFile(file, '');
  });
  after(async () => {
    await asker.close();
    await redis.end();
    await rm(folder, { recursive: true, force: true });
  });

  async function node(id: string): Promise<NodeProcess> {
    const flags = ['--redis-url', redis.url, '--workers', '1', '--log-level', 'warn', '--no-builtin-tools'];
    const started = new NodeProcess(id, await freePort(), [
      ...flags,
      ...['--tools', TOOLS, '--heartbeat-ms', String(HEARTBEAT_MS), '--request-timeout-ms', String(CALL_MS_MAX)],
    ]);
    await started.start();
    await eventually(`${id} among the nodes`, seen, (ids) => ids.includes(id));
    return started;
  }

  async function seen(): Promise<string[]> {
    const shown = (await (await fetch(asker.url.replace('/mcp', '/cluster'))).json()) as {
      nodes: { id: string; tools: string[]; status: string }[];
    };
    return shown.nodes.filter(({ status, tools }) => status === 'running' && tools.length > 0).map(({ id }) => id);
  }

  /** Processes that executed a call, in order. */
  async function executions(line: string): Promise<string[]> {
    const text = await readFile(file, 'utf8').catch(() => '');
    return text.split('\n').flatMap((each) => (each.startsWith(`${line} `) ? [each.slice(line.length + 1)] : []));
  }

  /** It lasts until there is a file of that name. */
  const call = (name: string, line: string, gate: string) =>
    asker.stateless.call(name, { file, line, gate: join(folder, gate) });

  /** The call runs on the first node, the only one; a second one comes; the first is killed, and only then calls end. */
  async function killedDuring(name: string, line: string) {
    const first = await node(`${line}-1`);
    const calling = eventually(
      'the tool',
      () => asker.names(),
      (names) => names.includes(name),
    ).then(() => call(name, line, line));
    const [pid] = await eventually(
      'the execution',
      () => executions(line),
      (pids) => pids.length === 1,
    );
    const second = await node(`${line}-2`);
    await first.kill();
    await writeFile(join(folder, line), '');
    const answer = await calling;
    return { answer, pid, second };
  }

  test('an idempotent call is answered by another node', async () => {
    const { answer, pid, second } = await killedDuring('effect-again', 'again');
    try {
      const pids = await executions('again');
      assert.equal(pids.length, 2);
      assert.notEqual(pids[1], pid);
      assert.equal(textOf(answer.result), pids[1], JSON.stringify(answer.error));
    } finally {
      await second.kill();
    }
  });

  test('any other is executed once, and its client is told that the outcome is unknown', async () => {
    const { answer, second } = await killedDuring('effect-once', 'once');
    try {
      assert.equal(answer.error.code, -32000);
      assert.match(answer.error.message, /node once-1, which ran tool effect-once, was lost.*unknown/);
      assert.equal((await executions('once')).length, 1);
    } finally {
      await second.kill();
    }
  });

  test('calls that come right after it find the node that is left, each executed once', async () => {
    const first = await node('left-1');
    const second = await node('left-2');
    try {
      // Connections to both are kept open.
      for (let n = 0; n < 10; n++) await call('effect-once', 'warm', 'effects');
      await first.kill();
      for (let n = 0; n < 40; n++) {
        const { error, result } = await call('effect-once', `after-${n}`, 'effects');
        assert.notEqual(textOf(result), '', JSON.stringify(error));
        assert.equal((await executions(`after-${n}`)).length, 1);
      }
    } finally {
      await second.kill();
    }
  });
});
