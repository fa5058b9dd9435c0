/**
 * What becomes of tasks and keyed calls when the process that runs them is killed, or stands still for longer than its
 * claims last.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { asChild } from '../cli/millrace.ts';
import { readyUrl } from '../cli/served.ts';
import { SharedRedis, until } from '../redis/shared-redis.ts';
import { type Answer, NodeClient, textOf } from './node-pair.ts';

const TOOLS = fileURLToPath(new URL('fixtures', import.meta.url));
/** Claims last three heartbeats. */
const HEARTBEAT_MS = 700;
/** Twice a claim. */
const STALL_MS = 6 * HEARTBEAT_MS;

interface NodeProcess {
  readonly nodeId: string;
  readonly client: NodeClient;
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
}

describe('tasks whose process', () => {
  let redis: SharedRedis;
  const folders: string[] = [];
  let pairs = 0;
  before(async () => {
    redis = await SharedRedis.single();
  });
  after(async () => {
    await redis.end();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  async function start(context: TestContext, nodeId: string): Promise<NodeProcess> {
    const flags = ['--port', '0', '--workers', '1', '--no-builtin-tools', '--tools', TOOLS, '--node-id', nodeId];
    const more = [
      '--redis-url',
      redis.url,
      '--heartbeat-ms',
      String(HEARTBEAT_MS),
      '--log-level',
      'error',
      '--cluster-command-timeout-ms',
      '10000',
    ];
    const child = asChild({ after: (done) => context.after(done) }, ['serve', ...flags, ...more]);
    const client = new NodeClient(await readyUrl(child));
    const pid = Number(child.process.pid);
    return { nodeId, client, pid, signal: (name) => void child.process.kill(name) };
  }

  const field = (key: string, name: string) => redis.server?.run('HGET', `mcp:{tasks}:${key}`, name);
  /** The start that the heartbeat of a node tells. */
  const there = ({ nodeId }: NodeProcess) => field(`node:${nodeId}`, 'start');
  const claimOf = (taskId: string) => field(`t:${taskId}`, 'k');
  const waitedFor = (taskId: string) => field(`t:${taskId}`, 'w');

  /** Two nodes, and a call of a tool on the first of them, once it has begun. */
  async function begun(context: TestContext, tool: string) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-marks-'));
    folders.push(folder);
    pairs += 1;
    const [a, b] = await Promise.all([start(context, `a${pairs}`), start(context, `b${pairs}`)]);
    const marks = (): string => (existsSync(join(folder, 'marks')) ? readFileSync(join(folder, 'marks'), 'utf8') : '');
    const go = (pid: number): void => writeFileSync(join(folder, String(pid)), '');
    const call = (node: NodeProcess, headers: Record<string, string> = {}): Promise<Answer> =>
      node.client.call(tool, { folder }, { headers });
    return { a, b, marks, go, call };
  }

  test('was killed are run again elsewhere, under the same id, if they may be', async (context) => {
    const { a, b, call, go, marks } = await begun(context, 'work-again');
    const taskId = String((await call(a)).result['taskId']);
    await until('the execution', () => marks().includes(`began ${a.pid}`));
    a.signal('SIGKILL');
    await until('the other execution', () => marks().includes(`began ${b.pid}`));
    assert.equal(await b.client.status(taskId), 'working');
    go(b.pid);
    await until('the end', async () => (await b.client.status(taskId)) === 'completed');
    const { result } = await b.client.task(taskId);
    assert.equal(textOf({ result: result['result'] } as never), `of ${b.pid}`);
  });

  test('was killed fail, if they must not be repeated, and say why', async (context) => {
    const { a, b, call, marks } = await begun(context, 'work-once');
    const taskId = String((await call(a)).result['taskId']);
    await until('the execution', () => marks().includes(`began ${a.pid}`));
    a.signal('SIGKILL');
    await until('the end', async () => (await b.client.status(taskId)) === 'failed');
    const { result } = await b.client.task(taskId);
    assert.match(String(result['statusMessage']), /the server that ran this task is gone/);
    assert.equal(marks(), `began ${a.pid}\n`);
  });

  test('stood still are another node’s, and what it says afterwards is refused', async (context) => {
    const { a, b, call, go, marks } = await begun(context, 'work-again');
    const taskId = String((await call(a)).result['taskId']);
    await until('the execution', () => marks().includes(`began ${a.pid}`));
    a.signal('SIGSTOP');
    go(a.pid);
    await until('the other execution', () => marks().includes(`began ${b.pid}`));
    go(b.pid);
    await until('the end', async () => (await b.client.status(taskId)) === 'completed');
    a.signal('SIGCONT');
    await until('the first execution to stop', () => /(ended|gave up)/.test(marks().replace(`ended ${b.pid}`, '')));
    for (const { client } of [a, b, a]) {
      const { result } = await client.task(taskId);
      assert.equal(textOf({ result: result['result'] } as never), `of ${b.pid}`);
    }
  });

  test('lives, with a front end that stood still for longer than a claim, stay where they are', async (context) => {
    const { a, b, call, go, marks } = await begun(context, 'work-again');
    await until('the first heartbeat', async () => (await there(a)) !== null);
    const taskId = String((await call(a)).result['taskId']);
    await until('the execution', () => marks().includes(`began ${a.pid}`));
    const claim = await claimOf(taskId);
    await a.client.call('stand-still', { ms: STALL_MS });
    assert.notEqual(await there(a), null);
    await until('the claim to be renewed', async () => (await waitedFor(taskId)) === null);
    assert.equal(await claimOf(taskId), claim);
    go(a.pid);
    await until('the end', async () => (await b.client.status(taskId)) === 'completed');
    assert.equal(marks(), `began ${a.pid}\nended ${a.pid}\n`);
  });

  test('was killed while it executed a call with a key: the outcome is unknown, and nothing is executed again', async (context) => {
    const { a, b, call, go, marks } = await begun(context, 'pay');
    const key = { 'idempotency-key': 'k' };
    const lost = call(a, key).catch(() => 'lost');
    await until('the execution', () => marks().includes(`began ${a.pid}`));
    a.signal('SIGKILL');
    assert.equal(await lost, 'lost');
    const told = await call(b, key);
    assert.match(told.error.message, /"k".*unknown/);
    assert.equal(marks(), `began ${a.pid}\n`);
    go(b.pid);
    assert.equal(textOf(await call(b, { 'idempotency-key': 'l' })), `of ${b.pid}`);
  });
});
