/**
 * What a node does between SIGTERM and its end, as a balancer and its clients see it: not ready but serving, then no
 * listener but every request that has begun to arrive is answered, then gone with 0.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FrontEnd } from '../../../src/frontend/port.ts';
import { untilAnswered } from '../../../src/runtime/drain.ts';
import { asChild } from '../../cli/millrace.ts';
import { callTool, readyUrl } from '../../cli/served.ts';
import { eventually } from '../../clients/eventually.ts';
import { FRONT_ENDS } from '../../clients/serve.ts';
import { callHeaders, callText } from '../../faults/post.ts';
import { RawClient } from '../../frontend/raw-client.ts';

/** Long enough for a busy machine to see that a node drains and to call it once more. */
const DELAY_MS = 4000;

async function readiness(url: string): Promise<{ status: number; connection: string | null }> {
  const response = await fetch(new URL('/health/ready', url));
  await response.text();
  return { status: response.status, connection: response.headers.get('connection') };
}

const refused = (port: number): Promise<boolean> =>
  RawClient.open(port).then(
    (client) => {
      client.destroy();
      return false;
    },
    () => true,
  );

function headOf(url: URL, body: string): string {
  const headers = Object.entries(callHeaders('echo')).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\n${headers.join('')}Content-Length: ${body.length}\r\n\r\n`;
}

describe('from SIGTERM to the end', { concurrency: 2 }, () => {
  for (const frontend of FRONT_ENDS) {
    test(`${frontend}: serves while the balancer has not noticed, and what has begun afterwards`, async (context) => {
      const flags = ['--port', '0', '--frontend', frontend, '--workers', '1', '--log-level', 'warn'];
      const child = asChild(context, ['serve', ...flags, '--drain-delay-ms', String(DELAY_MS)]);
      const url = new URL(await readyUrl(child));
      const begun = await RawClient.open(Number(url.port));
      const body = callText('echo', '{"text":"in two parts"}');
      begun.write(headOf(url, body) + body.slice(0, 10));
      const ready = await readiness(url.href);
      assert.equal(ready.status, 200);
      assert.notEqual(ready.connection, 'close');
      child.process.kill('SIGTERM');
      const asked = (): Promise<{ status: number; connection: string | null }> => readiness(url.href);
      const turned = await eventually('not ready', asked, ({ status }) => status === 503);
      assert.equal(turned.connection, 'close');
      const late = await callTool(url.href, 'echo', { text: 'late' });
      assert.equal(late.status, 200);
      assert.equal(late.headers.get('connection'), 'close');
      assert.match(await late.text(), /late/);
      const closed = (): Promise<boolean> => refused(Number(url.port));
      await eventually('the listener is gone', closed, (yes) => yes, 10 * DELAY_MS);
      begun.write(body.slice(10));
      const answer = await begun.response();
      assert.deepEqual([answer.status, answer.headers.get('connection')], [200, 'close']);
      assert.match(answer.body.toString(), /in two parts/);
      assert.equal((await child.ended).code, 0);
    });
  }
});

test('a request on its way on an open connection is waited for, and then its answer', async () => {
  const begunMs = performance.now();
  const frontEnd = { exchanges: 0 };
  let answeredMs = 0;
  let looks = 0;
  const look = (): void => {
    looks += 1;
    if (looks === 5) frontEnd.exchanges = 1;
    if (looks !== 30) return;
    frontEnd.exchanges = 0;
    answeredMs = performance.now();
  };
  await untilAnswered(frontEnd as FrontEnd, look, 60_000, begunMs + 1000);
  assert.ok(answeredMs > 0, 'it was waited for');
  assert.ok(performance.now() >= begunMs + 1000);
});
