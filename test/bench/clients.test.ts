/**
 * The load clients side by side: what a server did is counted alike by all of them, as the server counted it itself.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { goodBody } from '../../bench/load/good-answer.ts';
import { closedLoop } from '../../bench/load/job.ts';
import { chooseClient, runLoad } from '../../bench/load/run-load.ts';
import { resultOf } from '../../bench/wire/exchange.ts';
import { MODERN_CALLER, toolCall } from '../../bench/wire/messages.ts';
import { scriptedServer } from './scripted-server.ts';

const ENDLESS_MS = 120_000;
const CONNECTIONS = 2;
const ANSWERS = 400;
const NEVER = new AbortController().signal;

const request = toolCall(MODERN_CALLER, 'search', {}, 1);
const content = [{ type: 'text', text: 'pong "isError":true' }];
const BODIES = {
  good: JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content, isError: false } }),
  toolError: JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content, isError: true } }),
  error: JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code: -32_603, message: 'pong' } }),
};
const asEvent = (body: string): string => `event: message\ndata: ${body}\n\n`;

describe('a good answer', () => {
  const isGood = goodBody({ contains: '', readsResults: true });

  test('is a result that is no tool error, as JSON or as an event', () => {
    for (const form of [(body: string) => body, asEvent]) {
      assert.equal(isGood(Buffer.from(form(BODIES.good))), true);
      assert.equal(isGood(Buffer.from(form(BODIES.toolError))), false);
      assert.equal(isGood(Buffer.from(form(BODIES.error))), false);
    }
    assert.equal(isGood(Buffer.from('<html>welcome</html>')), false);
  });

  test('may have an isError of its own in what it found', () => {
    const found = { jsonrpc: '2.0', id: 1, result: { content: [], structuredContent: { isError: true } } };
    assert.equal(isGood(Buffer.from(JSON.stringify(found))), true);
  });

  test('has its text as well, and is not read where the text says enough', () => {
    const both = goodBody({ contains: 'pong', readsResults: true });
    assert.equal(both(Buffer.from(BODIES.good)), true);
    assert.equal(both(Buffer.from(BODIES.good.replace('pong', 'gone'))), false);
    assert.equal(goodBody({ contains: 'pong', readsResults: false })(Buffer.from('pong')), true);
  });
});

describe('load clients', () => {
  const group = { ...closedLoop('test', [request], CONNECTIONS, 'pong'), readsResults: true };

  for (const wanted of ['own', 'autocannon', 'wrk'] as const)
    test(`${wanted} counts good, refused and wrong as the server did`, async () => {
      const stop = new AbortController();
      const did = { good: 0, refused: 0, wrong: 0 };
      const server = await scriptedServer((res, at) => {
        const kind = at % 5;
        if (kind === 0) {
          did.refused++;
          res.writeHead(at % 2 === 0 ? 503 : 429).end('busy');
        } else if (kind <= 2) {
          did.wrong++;
          res.end(kind === 1 ? BODIES.toolError : BODIES.error);
        } else {
          did.good++;
          res.end(BODIES.good);
        }
        if (at === ANSWERS) stop.abort();
      });
      const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: ENDLESS_MS };
      const { client, report } = await runLoad(job, wanted, () => undefined, stop.signal);
      await server.close();
      assert.equal(client, chooseClient(wanted, [group]));
      const [counted] = report.groups;
      assert.ok(counted !== undefined);
      // Not counted is what was on its way at the end, and what came between the end of one and of the other.
      const all = did.good + did.refused + did.wrong;
      const missing = all - counted.good - counted.refused - counted.wrong;
      assert.ok(missing >= 0 && missing <= all / 4, `${missing} of ${all} are missing`);
      for (const kind of ['good', 'refused', 'wrong'] as const) {
        const apart = did[kind] - counted[kind];
        assert.ok(apart >= 0 && apart <= missing, `${kind}: ${counted[kind]} of ${did[kind]}, ${missing} missing`);
      }
      assert.match(counted.firstProblem, /"jsonrpc"/);
    });

  test('own tells of requests that were never answered, in a closed loop, too', async () => {
    const server = await scriptedServer((res, at) => {
      if (at !== 1) res.end(BODIES.good);
    });
    const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: 200 };
    const { report } = await runLoad(job, 'own', () => undefined, NEVER);
    await server.close();
    assert.equal(report.groups[0]?.broken, 1);
    assert.match(report.groups[0]?.firstProblem ?? '', /no answer until the end/);
  });

  test('wrk tells when nothing was answered at all', async () => {
    const server = await scriptedServer(() => undefined);
    const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: 200 };
    const { report } = await runLoad(job, 'wrk', () => undefined, NEVER);
    await server.close();
    assert.equal(report.groups[0]?.broken, CONNECTIONS);
    assert.deepEqual(report.groups[0]?.curveUs, []);
  });
});

describe('the check before a load', () => {
  test('follows no redirect: the load would not either', async () => {
    const server = await scriptedServer((res, at) => {
      if (at > 0) res.end(BODIES.good);
      else res.writeHead(307, { location: '/elsewhere' }).end();
    });
    await assert.rejects(resultOf(server.url, request), /answered 307 and sent the client to \/elsewhere/);
    await server.close();
  });

  test('ends when the run is stopped', async () => {
    const stop = new AbortController();
    const server = await scriptedServer(() => stop.abort());
    await assert.rejects(resultOf(server.url, request, stop.signal), /aborted/);
    await server.close();
  });
});
