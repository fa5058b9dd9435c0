/**
 * SIGTERM in the middle of work: every call that was accepted, running or queued, gets exactly one answer, in both eras
 * and on every transport; streams end; the process leaves with 0. A second signal is tested with the command line.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { asChild, type Child } from '../cli/millrace.ts';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS } from '../clients/serve.ts';
import { openSocket } from '../wire/message-client.ts';
import { type Answer, Session, Stateless } from '../wire/raw-clients.ts';
import type { Json } from '../wire/wire-check.ts';

const EACH = 10;

async function start(
  context: { after(done: () => void): void },
  frontend: string,
  more: readonly string[],
): Promise<{ child: Child; url: string }> {
  const flags = ['--port', '0', '--frontend', frontend, '--workers', '1', '--request-timeout-ms', '60000', ...more];
  const child = asChild(context, ['serve', ...flags, '--log-level', 'warn']);
  const url = (await child.line()).replace('millrace ready ', '');
  return { child, url };
}

/** Calls in flight and waiting, as `/cluster` has it. */
async function loadOf(url: string): Promise<number> {
  const response = await fetch(new URL('/cluster', url));
  const { nodes } = (await response.json()) as { nodes: readonly { readonly load: number }[] };
  return nodes[0]?.load ?? 0;
}

interface Calls {
  readonly http: readonly Promise<Answer>[];
  readonly sockets: readonly Promise<Json>[];
  /** The bodies of streams that end with the server. */
  readonly streams: readonly Promise<string>[];
  /** Messages on the socket since the calls were made. */
  heard(): number;
  /** What each of them takes. */
  readonly ms: number;
}

/**
 * As many calls on each transport, with streams open beside them; resolves when all are accepted and none is over. They
 * take `ms`, or longer on a machine that needs longer to make them.
 */
async function makeCalls(url: string, leastMs: number): Promise<Calls> {
  const stateless = new Stateless(url);
  const session = await Session.begin(url, REVISION_2025_11_25);
  const standing = await session.listen(new AbortController().signal);
  const listening = await stateless.open('subscriptions/listen', { notifications: { toolsListChanged: true } });
  const { client } = await openSocket(url);
  const numbered = Array.from({ length: EACH }, (_, i) => i);
  const streams = [standing.text(), listening.text()];
  for (let ms = leastMs; ; ms *= 2) {
    const from = client.heard.length;
    const http = [stateless, session].flatMap((who) => numbered.map(() => who.call('sleep', { ms })));
    const sockets = numbered.map((id) => client.stateless('tools/call', { name: 'sleep', arguments: { ms } }, id));
    let isOver = false;
    const first = Promise.race<unknown>([...http, ...sockets]).then(() => {
      isOver = true;
    });
    first.catch(() => undefined);
    const load = await eventually(
      'load',
      () => loadOf(url),
      (now) => now === 3 * EACH || isOver,
    );
    if (load === 3 * EACH) return { http, sockets, streams, ms, heard: () => client.heard.length - from };
    await Promise.all([...http, ...sockets]);
  }
}

for (const frontend of FRONT_ENDS) {
  describe(`SIGTERM on ${frontend}`, { concurrency: 2 }, () => {
    test('long calls, running and queued, are finished; streams end; exit code 0', async (context) => {
      const { child, url } = await start(context, frontend, ['--max-concurrent', '20', '--shutdown-grace-ms', '60000']);
      const calls = await makeCalls(url, 700);
      child.process.kill('SIGTERM');
      for (const answer of await Promise.all(calls.http)) {
        assert.equal(answer.status, 200, JSON.stringify(answer.last));
        assert.match(JSON.stringify(answer.result), new RegExp(`slept ${calls.ms} ms`));
      }
      for (const message of await Promise.all(calls.sockets)) {
        assert.match(JSON.stringify(message), new RegExp(`slept ${calls.ms} ms`));
      }
      assert.equal(calls.heard(), EACH);
      const [, listened] = await Promise.all(calls.streams);
      assert.match(listened ?? '', /"resultType":"complete"/);
      assert.equal((await child.ended).code, 0);
    });

    test('calls longer than the grace period are answered that it ends, once each; exit code 0', async (context) => {
      const { child, url } = await start(context, frontend, ['--max-concurrent', '20', '--shutdown-grace-ms', '200']);
      const calls = await makeCalls(url, 50_000);
      child.process.kill('SIGTERM');
      for (const answer of await Promise.all(calls.http)) {
        assert.ok(answer.error.code < 0, JSON.stringify(answer.last));
        assert.ok([200, 404, 503].includes(answer.status), String(answer.status));
      }
      for (const message of await Promise.all(calls.sockets)) assert.ok('error' in message, JSON.stringify(message));
      assert.equal(calls.heard(), EACH);
      await Promise.all(calls.streams);
      assert.equal((await child.ended).code, 0);
    });

    test('nothing new is accepted, and readiness says so before the listener is gone', async (context) => {
      let late: Json | null = null;
      // It is asked for while another call runs: on a machine that stands still meanwhile that one has to run for longer.
      for (let ms = 600; late === null && ms <= 10_000; ms *= 4) late = await whileItDrains(context, ms);
      assert.match(JSON.stringify(late), /late/);
    });

    /** The answer to a call on an open connection while another one runs; null when the connection was gone by then. */
    async function whileItDrains(context: { after(done: () => void): void }, ms: number): Promise<Json | null> {
      const { child, url } = await start(context, frontend, ['--shutdown-grace-ms', '60000']);
      const { client, closed } = await openSocket(url);
      const running = client.stateless('tools/call', { name: 'sleep', arguments: { ms } }, 'running');
      let isOver = false;
      running.then(
        () => (isOver = true),
        () => (isOver = true),
      );
      await eventually(
        'load',
        () => loadOf(url),
        (load) => load === 1 || isOver,
      );
      child.process.kill('SIGTERM');
      const refused = async (): Promise<boolean> => {
        try {
          const response = await fetch(new URL('/health/ready', url), { headers: { connection: 'close' } });
          await response.text();
          return response.status === 503;
        } catch {
          // The listener is gone.
          return true;
        }
      };
      await eventually('refused', refused, (yes) => yes);
      const asked = client.stateless('tools/call', { name: 'echo', arguments: { text: 'late' } }, 'late');
      const late = await Promise.race([asked.catch(() => null), closed.then(() => null)]);
      assert.match(JSON.stringify(await running), new RegExp(`slept ${ms} ms`));
      assert.ok([1000, 1001, 1006].includes((await closed).code));
      assert.equal((await child.ended).code, 0);
      return late;
    }
  });
}
