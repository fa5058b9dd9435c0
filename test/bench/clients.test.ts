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
  errorWithResult: JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    error: { code: -32_603, message: 'pong', data: { result: {} } },
  }),
  cutOff: JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: 'pong', more: [] } }).slice(0, -4),
};
const WRONG = [BODIES.toolError, BODIES.error, BODIES.errorWithResult, BODIES.cutOff];
const asEvent = (body: string): string => `event: message\ndata: ${body}\n\n`;

describe('a good answer', () => {
  const isGood = goodBody({ contains: '', readsResults: true, requests: [request] });

  test('is a result that is no tool error, as JSON or as an event', () => {
    for (const form of [(body: string) => body, asEvent]) {
      assert.equal(isGood(Buffer.from(form(BODIES.good))), true);
      for (const body of WRONG) assert.equal(isGood(Buffer.from(form(body))), false, body);
      assert.equal(isGood(Buffer.from(form(BODIES.good.replace('"id":1', '"id":2')))), false, 'of another request');
    }
    assert.equal(isGood(Buffer.from('<html>welcome</html>')), false);
  });

  test('may have an isError of its own in what it found', () => {
    const found = { jsonrpc: '2.0', id: 1, result: { content: [], structuredContent: { isError: true } } };
    assert.equal(isGood(Buffer.from(JSON.stringify(found))), true);
  });

  test('is read anew each time, however large it is', () => {
    const large = JSON.stringify({ jsonrpc: '2.0', id: 1, result: { content: 'x'.repeat(5000) } });
    for (let again = 0; again < 2; again++) {
      assert.equal(isGood(Buffer.from(large)), true);
      assert.equal(isGood(Buffer.from(`${large.slice(0, -3)}x}}`)), false);
    }
  });

  test('has its text as well, and is not read where the text says enough', () => {
    const both = goodBody({ contains: 'pong', readsResults: true, requests: [request] });
    assert.equal(both(Buffer.from(BODIES.good)), true);
    assert.equal(both(Buffer.from(BODIES.good.replace('pong', 'gone'))), false);
    const unread = { contains: 'pong', readsResults: false, requests: [{ headers: {}, body: 'ping' }] };
    assert.equal(goodBody(unread)(Buffer.from('pong')), true);
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
          res.end(WRONG[did.wrong % WRONG.length]);
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

  for (const wanted of ['own', 'autocannon'] as const)
    test(`${wanted} tells of requests that were never answered, in a closed loop, too`, async () => {
      const server = await scriptedServer((res, at) => {
        if (at !== 1) res.end(BODIES.good);
      });
      const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: 200 };
      const { report } = await runLoad(job, wanted, () => undefined, NEVER);
      await server.close();
      const [counted] = report.groups;
      assert.equal(counted?.broken, 1);
      assert.match(counted?.firstProblem ?? '', /no answer until the end/);
      // It has been waited for until then, which is longer than the load lasted.
      assert.ok((counted?.curveUs.at(-1) ?? 0) > 200_000, `${counted?.curveUs.at(-1)} us`);
    });

  for (const wanted of ['own', 'autocannon'] as const)
    test(`${wanted} tells of requests whose connection was closed, unless that was announced`, async () => {
      const stop = new AbortController();
      let dropped = 0;
      const server = await scriptedServer((res, at) => {
        if (at === ANSWERS) stop.abort();
        if (at % 10 === 0) {
          dropped++;
          res.destroy();
        } else if (at % 10 === 5) res.setHeader('connection', 'close').end(BODIES.good);
        else res.end(BODIES.good);
      });
      const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: ENDLESS_MS };
      const { report } = await runLoad(job, wanted, () => undefined, stop.signal);
      await server.close();
      const broken = report.groups[0]?.broken ?? 0;
      // Those of the end may not be heard of any more.
      assert.ok(broken <= dropped && broken >= dropped - CONNECTIONS - 1, `${broken} of ${dropped}`);
      assert.match(report.groups[0]?.firstProblem ?? '', /closed/);
    });

  for (const wanted of ['own', 'autocannon', 'wrk'] as const)
    test(`${wanted} takes a second answer to the same request for none`, async () => {
      const stop = new AbortController();
      let asked = 0;
      const head = `HTTP/1.1 200 OK\r\ncontent-length: ${BODIES.good.length}\r\n\r\n`;
      const server = await scriptedServer((_res, at, _body, { socket }) => {
        asked++;
        socket.write(`${head}${BODIES.good}`.repeat(2));
        if (at === ANSWERS) stop.abort();
      });
      const job = { url: server.url, groups: [group], warmupMs: 0, durationMs: ENDLESS_MS };
      const { report } = await runLoad(job, wanted, () => undefined, stop.signal);
      await server.close();
      const [counted] = report.groups;
      assert.ok((counted?.broken ?? 0) > 0, `${counted?.good} good of ${asked}`);
      if (wanted !== 'wrk') assert.match(counted?.firstProblem ?? '', /an answer that nobody asked for/);
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

  test('takes no answer to another request', async () => {
    const server = await scriptedServer((res) => void res.end(BODIES.good.replace('"id":1', '"id":"1"')));
    await assert.rejects(resultOf(server.url, request), /asked once with id 1, the server answered "1"/);
    await server.close();
  });

  test('ends when the run is stopped', async () => {
    const stop = new AbortController();
    const server = await scriptedServer(() => stop.abort());
    await assert.rejects(resultOf(server.url, request, stop.signal), /aborted/);
    await server.close();
  });
});
