/**
 * Nodes as processes: killed, stopped, with wrong clocks, stalled, and with a Redis that comes and goes.
 */
import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { RedisLeases } from '../../../src/cluster/leases/redis-leases.ts';
import { FROM_SOURCE, inProcess } from '../../cli/millrace.ts';
import { callTool, resultOf } from '../../cli/served.ts';
import { eventually } from '../../clients/eventually.ts';
import { folderWith } from '../../config/sources.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { allSeeAll, PATIENCE_MS, Stillness, seesNodes, serveNode, unchangedFor } from './serving-nodes.ts';

let redis: RedisServer;
before(async () => {
  redis = await RedisServer.start();
});
after(() => redis.end());

const echoes = async (url: string): Promise<void> => {
  assert.equal((await callTool(url, 'echo', { text: 'x' })).status, 200);
};

describe('a node that dies', () => {
  test('killed, it is gone from all others, and nobody else is', async (context) => {
    const nodes = await Promise.all(['n1', 'n2', 'n3'].map((id) => serveNode(context, id, redis.url)));
    await allSeeAll(nodes);
    await unchangedFor(nodes, 4);
    const [one, two, three] = nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
    three.child.process.kill('SIGKILL');
    await Promise.all([seesNodes(one, 'n1,n2'), seesNodes(two, 'n1,n2')]);
    await unchangedFor([one, two], 1);
    // One that goes in good order is gone at once, long before its time to live.
    two.child.process.kill('SIGTERM');
    assert.equal((await two.child.ended).code, 0);
    assert.equal(await redis.run('EXISTS', 'mcp:node:n2'), 0);
    await seesNodes(one, 'n1');
    assert.deepEqual(await one.warnings(), []);
  });

  test('stopped for longer than it may and continued, it is back; with another start under its id it is fenced', async (context) => {
    const [one, two] = await Promise.all([serveNode(context, 'n1', redis.url), serveNode(context, 'n2', redis.url)]);
    await allSeeAll([one, two]);
    two.child.process.kill('SIGSTOP');
    await seesNodes(one, 'n1');
    two.child.process.kill('SIGCONT');
    await allSeeAll([one, two]);
    two.child.process.kill('SIGSTOP');
    await seesNodes(one, 'n1');
    const again = await serveNode(context, 'n2', redis.url);
    await allSeeAll([one, again]);
    const [, record] = await one.nodes();
    two.child.process.kill('SIGCONT');
    const fenced = async (): Promise<string> => (await two.readiness()).degraded.join();
    await eventually('the fence', fenced, (text) => text === 'fenced', PATIENCE_MS);
    await unchangedFor([one, again], 4);
    assert.deepEqual([(await one.nodes())[1]?.epoch, (await one.nodes())[1]?.url], [record?.epoch, again.url]);
    const hurts = async (): Promise<string> => (await again.readiness()).degraded.join();
    await eventually('nothing hurts', hurts, (text) => text === '', PATIENCE_MS);
    // What needs no cluster it still does.
    await echoes(two.url);
  });
});

describe('a holder of a lease that is stopped for three times its time to live', () => {
  const LEASE_MS = 1000;
  const LATER_MS = 60_000;
  const AGAIN_MAX = 5;
  const children: ChildProcessWithoutNullStreams[] = [];
  after(() => {
    for (const child of children) child.kill('SIGKILL');
  });

  test('finds its lease lost and its late write refused', async () => {
    const file = fileURLToPath(new URL(`lease-holder.${FROM_SOURCE ? 'ts' : 'js'}`, import.meta.url));
    const loader = FROM_SOURCE ? ['--import', import.meta.resolve('tsx')] : [];
    const hold = async (name: string) => {
      const child = spawn(process.execPath, [...loader, file, redis.url, 'n1', name, String(LEASE_MS)], {
        stdio: 'pipe',
      });
      children.push(child);
      child.stderr.pipe(process.stderr);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const said = async (): Promise<string> => String((await lines.next()).value);
      const token = Number(await said());
      child.stdin.write('early\n');
      return { child, name, said, token, early: JSON.parse(await said()) as { held: boolean; outcome: string } };
    };
    let holder = await hold('shard');
    // It may have stood still for too long: then another one begins.
    for (let again = 1; holder.early.outcome !== 'saved' && again <= AGAIN_MAX; again++) {
      holder.child.kill('SIGKILL');
      holder = await hold(`shard-${again}`);
    }
    const { child, early, name, said, token } = holder;
    assert.deepEqual(early, { held: true, outcome: 'saved' });

    child.kill('SIGSTOP');
    const stoppedAtMs = performance.now();
    const commands = redis.connect();
    await commands.ready();
    const now = (): number => performance.now();
    const leases = new RedisLeases({ commands, nodeId: 'n2', prefix: 'mcp:', ttlMs: LATER_MS, now });
    try {
      const acquire = (): ReturnType<RedisLeases['acquire']> => leases.acquire(name);
      const next = await eventually('the lease', acquire, (lease) => lease !== null, PATIENCE_MS);
      assert.ok(next !== null && next.token > token);
      await eventually(
        'the time',
        () => now() - stoppedAtMs,
        (ms) => ms > 3 * LEASE_MS,
        PATIENCE_MS,
      );
      child.kill('SIGCONT');
      child.stdin.write('late\n');
      assert.deepEqual(JSON.parse(await said()), { held: false, outcome: 'fenced' });
      assert.equal(await redis.run('GET', `data:{${name}}`), 'early');
      child.stdin.end();
      await once(child, 'exit');
      assert.equal(next.held, true);
    } finally {
      await leases.close();
      commands.close();
    }
  });
});

describe('clocks', () => {
  /** Loaded into every thread of the process. */
  const shift = (ms: number): Record<string, string> => {
    const code = `const now=Date.now.bind(Date);Date.now=()=>now()+${ms};const Old=Date;
globalThis.Date=class extends Old{constructor(...a){if(a.length===0)super(now()+${ms});else super(...a)}};
globalThis.Date.now=()=>now()+${ms};
Object.defineProperty(performance,'timeOrigin',{value:performance.timeOrigin+${ms}});
process.stderr.write('clock shifted '+(Date.now()-now()>0?'forward':'back')+'\\n');`;
    return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
  };

  test('an hour fast or slow on one node changes nothing', async (context) => {
    const hourMs = 3600 * 1000;
    const [fast, right, slow] = await Promise.all([
      serveNode(context, 'fast', redis.url, { env: shift(hourMs) }),
      serveNode(context, 'right', redis.url),
      serveNode(context, 'slow', redis.url, { env: shift(-hourMs) }),
    ]);
    await fast.child.logged('clock shifted forward');
    await slow.child.logged('clock shifted back');
    await allSeeAll([fast, right, slow]);
    await unchangedFor([fast, right, slow], 6);
    for (const node of [fast, right, slow]) {
      for (const { heartbeatAgeMs, id } of await node.nodes()) {
        assert.ok(heartbeatAgeMs >= 0 && heartbeatAgeMs < hourMs / 2, `${id} at ${node.id}: ${heartbeatAgeMs}`);
      }
      const hurts = async (): Promise<string> => (await node.readiness()).degraded.join();
      await eventually('nothing hurts', hurts, (text) => text === '', PATIENCE_MS);
    }
    slow.child.process.kill('SIGKILL');
    await seesNodes(fast, 'fast,right');
  });
});

describe('a front end that stands still', () => {
  /** Until there is a file of that name. */
  const STALL = `import { existsSync } from 'node:fs';
const nothing = new Int32Array(new SharedArrayBuffer(4));
export const stall = {
  kind: 'tool', name: 'stall', run: 'inline', timeoutMs: 300000,
  handler: () => { while (!existsSync('goes-on')) Atomics.wait(nothing, 0, 0, 20); return 'done'; },
};
`;

  test('is busy, and not gone; then it is well again', async (context) => {
    const cwd = folderWith(context, { 'tools/stall.mjs': STALL });
    const [one, two] = await Promise.all([
      serveNode(context, 'n1', redis.url),
      serveNode(context, 'n2', redis.url, { cwd, args: ['--tools', 'tools'] }),
    ]);
    await allSeeAll([one, two]);
    const stalled = callTool(two.url, 'stall', {});
    const seen = new Set<string>();
    const stillness = new Stillness();
    const busy = async (): Promise<boolean> => {
      const nodes = await one.nodes();
      if (stillness.isCalm) seen.add(nodes.map(({ id }) => id).join());
      return nodes[1]?.busy === true;
    };
    await eventually('a busy node', busy, (is) => is, PATIENCE_MS);
    const warned = (): Promise<readonly string[]> => one.warnings();
    await eventually('a warning', warned, (lines) => lines.includes('the front end of n2 stands still'), PATIENCE_MS);
    const { code, out } = await inProcess(['status', '--all', '--url', new URL(one.url).origin]);
    assert.equal(code, 1);
    assert.match(out, /^n2 +running, busy /m);
    writeFileSync(join(cwd, 'goes-on'), '');
    await stalled;
    await eventually('a node that is well', busy, (is) => !is, PATIENCE_MS);
    assert.deepEqual([...seen], ['n1,n2']);
  });
});

describe('Redis comes and goes', () => {
  test('absent at start, then there, restarted empty, flushed: calls go on, what hurts is told, all meet again', async (context) => {
    const own = await RedisServer.start();
    await own.end();
    context.after(() => own.end());
    const both = await Promise.all([serveNode(context, 'n1', own.url), serveNode(context, 'n2', own.url)]);
    const [one] = both;
    const degradedAt = async (index: 0 | 1): Promise<string> => (await both[index]?.readiness())?.degraded.join() ?? '';
    const hurts = async (): Promise<void> => {
      for (const index of [0, 1] as const) {
        await eventually(
          'what hurts',
          () => degradedAt(index),
          (text) => text.includes('redis away'),
          PATIENCE_MS,
        );
        // Ready all the same: a balancer that took every node out would make it worse.
        assert.equal((await both[index]?.readiness())?.status, 200);
      }
      for (const { url } of both) assert.deepEqual(await resultOf(url, 'fibonacci', { n: 5 }), { value: 5 });
      assert.equal((await inProcess(['status', '--url', new URL(one.url).origin])).code, 1);
    };
    const meetAgain = async (): Promise<void> => {
      await allSeeAll(both);
      for (const index of [0, 1] as const) {
        await eventually(
          'nothing hurts',
          () => degradedAt(index),
          (text) => text === '',
          PATIENCE_MS,
        );
      }
      await eventually(
        'registered',
        () => own.run('SCARD', 'mcp:nodes'),
        (count) => count === 2,
        PATIENCE_MS,
      );
    };
    await hurts();
    await own.startAgain();
    await meetAgain();
    await own.end();
    await hurts();
    // Nobody is thought dead because the registry is.
    await unchangedFor(both, 2);
    await own.startAgain();
    await meetAgain();
    await own.run('FLUSHALL');
    await unchangedFor(both, 4);
    await meetAgain();
  });
});
