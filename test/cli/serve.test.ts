import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS } from '../clients/serve.ts';
import { folderWith } from '../config/sources.ts';
import { asChild } from './millrace.ts';
import { callTool, readyUrl } from './served.ts';

/** It lasts until there is a file `goes-on` where the command was started. */
const SLOW = `import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
export const slow = { kind: 'tool', name: 'slow', handler: async () => {
  while (!existsSync('goes-on')) await delay(20);
  return 'done';
} };
`;
const AGAIN_MS = 50;
const PATIENT = ['--request-timeout-ms', '120000', '--shutdown-grace-ms', '60000'];

describe('serve', () => {
  test('prints the ready line alone on stdout, serves, and drains on SIGTERM', async (context) => {
    const cwd = folderWith(context, { 'tools/slow.mjs': SLOW });
    const child = asChild(context, ['serve', '--port', '0', '--workers', '1', '--tools', 'tools', ...PATIENT], { cwd });
    const url = await readyUrl(child);
    assert.equal((await fetch(new URL('/health/live', url))).status, 200);
    assert.equal((await fetch(new URL('/health/ready', url))).status, 200);
    const metrics = await (await fetch(new URL('/metrics', url))).text();
    assert.match(metrics, /^millrace_worker_starts_total 1$/m);
    const slow = callTool(url, 'slow', {});
    await oneInFlight(url);
    child.process.kill('SIGTERM');
    await child.logged('draining');
    writeFileSync(join(cwd, 'goes-on'), '');
    const answer = await slow;
    const body = (await answer.json()) as { result?: { isError?: boolean } };
    assert.deepEqual([answer.status, body.result !== undefined && body.result.isError !== true], [200, true]);
    const { code, out, err } = await child.ended;
    assert.deepEqual([code, out], [0, `millrace ready ${url}\n`], err);
    for (const line of err.trim().split('\n')) assert.equal(typeof JSON.parse(line).msg, 'string');
  });

  test('leaves at once on a second signal', async (context) => {
    const args = ['serve', '--port', '0', '--workers', '1', ...PATIENT];
    const child = asChild(context, args, { cwd: folderWith(context) });
    const url = await readyUrl(child);
    const abandoned = callTool(url, 'sleep', { ms: 60_000 }).catch((error: unknown) => error);
    await oneInFlight(url);
    child.process.kill('SIGINT');
    await child.logged('draining');
    // One right behind the first counts as its echo, so further ones are sent until it has gone.
    while (child.process.exitCode === null && child.process.signalCode === null) {
      child.process.kill('SIGINT');
      await fetch(new URL('/health/live', url)).catch(() => 'refused, or gone');
      await delay(AGAIN_MS);
    }
    assert.equal((await child.ended).code, 130);
    await abandoned;
  });

  test('says who holds the port and ends with 1', async (context) => {
    const holder = createServer().listen(0, '127.0.0.1');
    context.after(() => void holder.close());
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const reasons = {
      uws: 'address in use or not available',
      node: `listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
    };
    for (const frontend of FRONT_ENDS) {
      const quiet = ['--workers', '1', '--log-level', 'silent'];
      const child = asChild(context, ['serve', '--port', String(port), '--frontend', frontend, ...quiet]);
      const { code, out, err } = await child.ended;
      assert.deepEqual([code, out], [1, '']);
      assert.equal(err, `millrace: cannot listen on 127.0.0.1 port ${port}: ${reasons[frontend]}\n`);
    }
  });

  test('refuses a configuration before anything is started', async (context) => {
    const cwd = folderWith(context, { 'millrace.config.json': '{"port": -1}' });
    const { code, out, err } = await asChild(context, ['serve', '--redis-url', 'redis://r'], { cwd }).ended;
    assert.deepEqual([code, out], [78, '']);
    assert.equal(err, 'millrace: millrace.config.json: port = -1: must be an integer from 0 to 65535\n');
  });

  test('names the tool module that cannot be served, without a stack, and ends with 1', async (context) => {
    const cwd = folderWith(context, {
      'tools/bad.mjs': 'export const bad = { kind: "tool", name: "bad", handler: 3 };',
      'broken/throws.mjs': 'throw new TypeError("not today");',
    });
    const args = ['serve', '--port', '0', '--workers', '1', '--log-level', 'silent', '--tools'];
    const { code, out, err } = await asChild(context, [...args, 'tools'], { cwd }).ended;
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^millrace: cannot start: .*bad\.mjs.*\n$/);
    const broken = await asChild(context, [...args, 'broken'], { cwd }).ended;
    assert.match(broken.err, /^millrace: cannot start: cannot load \S*throws\.mjs: TypeError: not today\n$/);
  });

  test('reads a TypeScript configuration and serves the tools it names', async (context) => {
    const cwd = folderWith(context, {
      'package.json': '{"type":"module"}',
      'millrace.config.ts':
        'const port: number = 0;\nexport default { port, tools: ["tools"], builtinTools: false, workers: 1 };',
      'tools/answer.mjs': 'export const answer = { kind: "tool", name: "answer", handler: () => "42" };\n',
    });
    const child = asChild(context, ['serve'], { cwd });
    const url = await readyUrl(child);
    const cluster = (await (await fetch(new URL('/cluster', url))).json()) as { nodes: { tools: string[] }[] };
    assert.deepEqual(
      cluster.nodes.map((node) => node.tools),
      [['answer']],
    );
    child.process.kill('SIGTERM');
    assert.equal((await child.ended).code, 0);
  });
});

async function oneInFlight(url: string): Promise<void> {
  const load = async (): Promise<number> => {
    const { nodes } = (await (await fetch(new URL('/cluster', url))).json()) as { nodes: { load: number }[] };
    return nodes[0]?.load ?? 0;
  };
  await eventually('a call in flight', load, (count) => count === 1);
}
