/**
 * What a node does between SIGTERM and its end, as a balancer and its clients see it: not ready but serving, then no
 * listener but every request that has begun to arrive is answered, then gone with 0.
 */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { FrontEnd } from '../../../src/frontend/port.ts';
import { untilAnswered } from '../../../src/runtime/drain.ts';
import { asChild } from '../../cli/millrace.ts';
import { callTool, readyUrl } from '../../cli/served.ts';
import { eventually } from '../../clients/eventually.ts';
import { FRONT_ENDS } from '../../clients/serve.ts';
import { callHeaders, callText } from '../../faults/post.ts';
import { RawClient } from '../../frontend/raw-client.ts';

/** Within it a node is seen to drain and called once more; twice as long each time that a machine needs longer. */
const DELAY_MS = 2500;
const DELAY_MS_MAX = 20_000;
/** Looks of `untilAnswered`; at the first a request is on its way. */
const ARRIVES_AT = 5;
const ANSWERED_AT = 30;
const PATIENT_MS = 1000;
const ATTEMPTS_MAX = 10;

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

/** Nobody listens any more who should still: null when that is so because the machine stood still for too long. */
async function inTime<T>(killedMs: number, delayMs: number, ask: () => Promise<T>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (performance.now() - killedMs < delayMs) throw error;
    return null;
  }
}

/** False: it was gone before it could be asked for the last time. */
async function drains(context: TestContext, frontend: string, delayMs: number): Promise<boolean> {
  const flags = ['--port', '0', '--frontend', frontend, '--workers', '1', '--log-level', 'warn'];
  const child = asChild(context, ['serve', ...flags, '--drain-delay-ms', String(delayMs)]);
  const url = new URL(await readyUrl(child));
  const begun = await RawClient.open(Number(url.port));
  const body = callText('echo', '{"text":"in two parts"}');
  begun.write(headOf(url, body) + body.slice(0, 10));
  const ready = await readiness(url.href);
  assert.equal(ready.status, 200);
  assert.notEqual(ready.connection, 'close');
  const killedMs = performance.now();
  child.process.kill('SIGTERM');
  const asked = () =>
    eventually(
      'not ready',
      () => readiness(url.href),
      ({ status }) => status === 503,
    );
  const turned = await inTime(killedMs, delayMs, asked);
  const late = await inTime(killedMs, delayMs, () => callTool(url.href, 'echo', { text: 'late' }));
  if (turned === null || late === null) return false;
  assert.equal(turned.connection, 'close');
  assert.equal(late.status, 200);
  assert.equal(late.headers.get('connection'), 'close');
  assert.match(await late.text(), /late/);
  const closed = (): Promise<boolean> => refused(Number(url.port));
  await eventually('the listener is gone', closed, (yes) => yes);
  begun.write(body.slice(10));
  const answer = await begun.response();
  assert.deepEqual([answer.status, answer.headers.get('connection')], [200, 'close']);
  assert.match(answer.body.toString(), /in two parts/);
  assert.equal((await child.ended).code, 0);
  return true;
}

describe('from SIGTERM to the end', { concurrency: 2 }, () => {
  for (const frontend of FRONT_ENDS) {
    test(`${frontend}: serves while the balancer has not noticed, and what has begun afterwards`, async (context) => {
      let delayMs = DELAY_MS;
      while (!(await drains(context, frontend, delayMs))) {
        delayMs *= 2;
        assert.ok(delayMs <= DELAY_MS_MAX, 'it is always gone before its delay is over');
      }
    });
  }
});

test('a request on its way on an open connection is waited for, and then its answer', async () => {
  let looks = 0;
  let isOver = false;
  let attempts = 0;
  // Who stands still for all of that time looks only once: then again.
  while (looks < ARRIVES_AT) {
    const begunMs = performance.now();
    const frontEnd = { exchanges: 0 };
    looks = 0;
    const look = (): void => {
      looks += 1;
      if (looks === ARRIVES_AT) frontEnd.exchanges = 1;
      if (looks !== ANSWERED_AT) return;
      frontEnd.exchanges = 0;
      isOver = true;
    };
    await untilAnswered(frontEnd as FrontEnd, look, 60_000, begunMs + PATIENT_MS);
    const tookMs = performance.now() - begunMs;
    assert.ok(tookMs >= PATIENT_MS);
    attempts += 1;
    assert.ok(attempts < ATTEMPTS_MAX, `${looks} looks in ${tookMs} ms, again and again`);
  }
  assert.ok(isOver, 'it was waited for');
});
