/**
 * What becomes of calls that wait for a result of another process, when that is killed or stands still.
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
import { NodeClient, textOf } from '../tasks/node-pair.ts';

const TOOLS = fileURLToPath(new URL('fixtures', import.meta.url));
const WAITING = 5;

describe('calls that wait for a process', () => {
  let redis: SharedRedis;
  const folders: string[] = [];
  before(async () => {
    redis = await SharedRedis.single();
  });
  after(async () => {
    await redis.end();
    for (const folder of folders) rmSync(folder, { recursive: true });
  });

  async function start(context: TestContext, nodeId: string) {
    const flags = ['--port', '0', '--workers', '1', '--no-builtin-tools', '--tools', TOOLS, '--node-id', nodeId];
    const more = ['--redis-url', redis.url, '--log-level', 'error', '--cluster-command-timeout-ms', '10000'];
    const child = asChild({ after: (done) => context.after(done) }, ['serve', ...flags, ...more]);
    const client = new NodeClient(await readyUrl(child));
    const { process } = child;
    return { client, pid: Number(process.pid), signal: (name: NodeJS.Signals) => void process.kill(name) };
  }

  /** A call that runs on `a`, and some on `b` that wait for it. */
  async function waiting(context: TestContext, name: string) {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-marks-'));
    folders.push(folder);
    const [a, b] = await Promise.all([start(context, `${name}-a`), start(context, `${name}-b`)]);
    const marks = (): string => (existsSync(join(folder, 'marks')) ? readFileSync(join(folder, 'marks'), 'utf8') : '');
    const go = (pid: number): void => writeFileSync(join(folder, String(pid)), '');
    const call = (client: NodeClient) => client.call('kept-work', { folder });
    const first = call(a.client).then(textOf, () => 'lost');
    await until('the execution', () => marks() === `began ${a.pid}\n`);
    const others = Array.from({ length: WAITING }, () => call(b.client).then(textOf));
    await until('that they wait', async () => {
      const metrics = await (await fetch(new URL('/metrics', b.client.url))).text();
      return metrics.includes(`millrace_shared_calls ${WAITING}\n`);
    });
    return { a, b, first, others, marks, go, call };
  }

  test('that is killed are one more execution, and all are answered', async (context) => {
    const { a, b, first, go, marks, others } = await waiting(context, 'killed');
    a.signal('SIGKILL');
    assert.equal(await first, 'lost');
    await until('the other execution', () => marks() === `began ${a.pid}\nbegan ${b.pid}\n`);
    go(b.pid);
    assert.deepEqual(await Promise.all(others), Array(WAITING).fill(`of ${b.pid}`));
    assert.equal(marks(), `began ${a.pid}\nbegan ${b.pid}\n`);
  });

  test('that stands still are one more execution, and it answers its own call when it goes on', async (context) => {
    const { a, b, call, first, go, marks, others } = await waiting(context, 'still');
    a.signal('SIGSTOP');
    await until('the other execution', () => marks() === `began ${a.pid}\nbegan ${b.pid}\n`);
    go(b.pid);
    assert.deepEqual(await Promise.all(others), Array(WAITING).fill(`of ${b.pid}`));
    a.signal('SIGCONT');
    go(a.pid);
    assert.equal(await first, `of ${a.pid}`);
    for (const { client } of [a, b]) assert.match(textOf(await call(client)), /^of \d+$/);
    assert.equal(marks(), `began ${a.pid}\nbegan ${b.pid}\n`, 'what either found is kept');
  });
});
