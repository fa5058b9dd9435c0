/** What every front end does at its limits and at its end: hosts, connections, time, TLS, draining, closing. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { openFrontEnd } from '../../src/frontend/open.ts';
import type { FrontEnd } from '../../src/frontend/port.ts';
import { DIFFERENCES } from './differences.ts';
import { ClosedEarly, RawClient, request } from './raw-client.ts';
import { BIG, LIMITS, type Opened, openScripted, type ScriptedCall, type ScriptedSocket } from './scripted-handler.ts';

export function limitsContract(kind: 'uws' | 'node'): void {
  const differs = DIFFERENCES[kind];

  async function statusOf(opened: Opened, data: string): Promise<number | 'closed'> {
    const client = await RawClient.open(opened.port);
    client.write(data);
    const answer = await client.responseOrClosed();
    client.destroy();
    return answer === 'closed' ? answer : answer.status;
  }

  describe(`${kind}: hosts and origins`, { concurrency: 1 }, () => {
    let opened: Opened;
    before(async () => {
      opened = await openScripted(kind);
    });
    after(() => opened.front.close());

    const routes = [
      ['GET', '/get-only'],
      ['HEAD', '/get-only'],
      ['POST', '/mcp'],
      ['DELETE', '/mcp'],
      ['POST', '/streams/a/events'],
      ['OPTIONS', '/mcp'],
      ['GET', '/nowhere'],
    ] as const;

    for (const [method, path] of routes) {
      test(`${method} ${path}: refuses foreign, repeated and empty hosts and foreign origins before the body`, async () => {
        const bodies: unknown[] = [];
        const note = (call: unknown): void => void bodies.push(call);
        opened.script.on('body', note);
        const bad = [
          ['Host: evil.example'],
          [`Host: evil.example:${opened.port}`],
          ['Host: localhost.evil.example'],
          ['Host: localhost', 'Host: localhost'],
          ['Host: localhost', 'Host: evil.example'],
          ['Host:'],
          ['Host: 0.0.0.0'],
          ['Origin: https://evil.example'],
          ['Origin: null'],
          ['Origin: https://app.example', 'Origin: https://evil.example'],
          ['Origin: http://localhost.evil.example'],
        ];
        for (const headers of bad) {
          const client = await RawClient.open(opened.port);
          client.write(request(method, path, '', [...headers, 'Content-Length: 4']));
          const hosts = headers.filter((header) => header.startsWith('Host:'));
          const expected = hosts.length > 1 ? differs.repeatedHost : 403;
          assert.deepEqual([headers, (await client.response(method === 'HEAD')).status], [headers, expected]);
          client.destroy();
        }
        opened.script.off('body', note);
        assert.equal(bodies.length, 0);
      });
    }

    test('takes loopback names on any port, and allowed and loopback origins', async () => {
      const good = [
        ['Host: localhost'],
        ['Host: LOCALHOST:1'],
        [`Host: 127.0.0.1:${opened.port}`],
        ['Host: [::1]:9999'],
        ['Origin: https://app.example'],
        ['Origin: http://localhost:6274'],
        ['Origin: http://127.0.0.1'],
      ];
      for (const headers of good) {
        assert.deepEqual([headers, await statusOf(opened, request('GET', '/get-only', '', headers))], [headers, 200]);
      }
      assert.ok(opened.refused.every((status) => status === 403 || status === 404));
    });

    test('refuses a request without a host', async () => {
      const client = await RawClient.open(opened.port);
      client.write('GET /get-only HTTP/1.1\r\nX-A: 1\r\n\r\n');
      if (differs.malformed === 400) assert.equal((await client.response()).status, 400);
      // The other closes it after its idle timeout: shown with the slow headers below.
      client.destroy();
    });

    test('serves what is under a prefix, and 404 with a JSON-RPC error elsewhere', async () => {
      assert.equal(await statusOf(opened, request('GET', '/streams/a/b')), 200);
      const client = await RawClient.open(opened.port);
      client.write(request('GET', '/nowhere'));
      const answer = await client.response();
      assert.equal(answer.status, 404);
      assert.deepEqual(JSON.parse(answer.body.toString()), {
        jsonrpc: '2.0',
        error: { code: -32000, message: 'no such path' },
      });
      client.destroy();
    });
  });

  describe(`${kind}: connections`, { concurrency: 1 }, () => {
    test('refuses one above the limit, politely, and serves again when one has left', async (t) => {
      const opened = await openScripted(kind, { connectionsMax: 3 });
      t.after(() => opened.front.close());
      const held: RawClient[] = [];
      for (let i = 0; i < 2; i++) {
        const client = await RawClient.open(opened.port);
        const begun = opened.script.next('body');
        client.write(request('GET', '/hold'));
        await begun;
        held.push(client);
      }
      const begun = opened.script.next<ScriptedSocket>('socket');
      const socket = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`);
      await begun;
      assert.equal(opened.front.connections, 3);
      const refused = await RawClient.open(opened.port);
      refused.write(request('POST', '/echo', 'x'));
      const answer = await refused.response();
      assert.equal(answer.status, 503);
      assert.equal(answer.headers.get('connection'), 'close');
      await refused.closed;
      const second = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`);
      const [, response] = await once(second, 'unexpected-response');
      assert.equal(response.statusCode, 503);
      response.destroy();
      const gone = opened.script.next('aborted');
      held.pop()?.destroy();
      await gone;
      while (opened.front.connections >= 3) await new Promise((resolve) => setImmediate(resolve));
      assert.equal(await statusOf(opened, request('POST', '/echo', 'x')), 200);
      socket.terminate();
    });

    test('counts what is open, and nothing when all have gone', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', 'x'));
      await client.response();
      assert.equal(opened.front.connections, differs.idleCounts ? 1 : 0);
      client.write(request('GET', '/hold'));
      await opened.script.next('body');
      assert.equal(opened.front.connections, 1);
      const gone = opened.script.next('aborted');
      client.destroy();
      await gone;
      while (opened.front.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    });
  });

  describe(`${kind}: time`, { concurrency: 1 }, () => {
    /** A client whose request has begun: on a machine that had no time to read its headers another has to try. */
    async function beginning(opened: Opened, data: string): Promise<RawClient> {
      for (;;) {
        const client = await RawClient.open(opened.port);
        const begun = opened.script.next('head').then(() => true);
        client.write(data);
        if (await Promise.race([begun, client.closed.then(() => false)])) return client;
      }
    }

    test('closes a body that does not come in time, and goes on serving', async (t) => {
      const opened = await openScripted(kind, { requestReceiveMsMax: 100 });
      t.after(() => opened.front.close());
      let tookMs = Number.POSITIVE_INFINITY;
      // Well under the 10 s after which uWebSockets.js would close it by itself, unless the machine is busy elsewhere.
      for (let tries = 0; tookMs > 5_000 && tries < 5; tries++) {
        const gone = opened.script.next<ScriptedCall>('aborted');
        const started = performance.now();
        const slow = await beginning(opened, request('POST', '/echo', 'x', ['Content-Length: 60000']));
        const drip = setInterval(() => slow.write('x'), 20);
        const answer = await slow.responseOrClosed();
        assert.equal(answer === 'closed' ? answer : answer.status, differs.slowBody);
        await slow.closed;
        clearInterval(drip);
        tookMs = performance.now() - started;
        assert.equal((await gone).bodies, 0);
      }
      assert.ok(tookMs < 5_000, `${tookMs} ms`);
      // A machine that has no time to read for as long refuses this one, too.
      let status = await statusOf(opened, request('POST', '/echo', 'x'));
      for (let tries = 1; status === 408 && tries < 50; tries++) {
        status = await statusOf(opened, request('POST', '/echo', 'x'));
      }
      assert.equal(status, 200);
    });

    test('does not time an answer: only what has to be received', async (t) => {
      const opened = await openScripted(kind, { requestReceiveMsMax: 40 });
      t.after(() => opened.front.close());
      const begun = opened.script.next<ScriptedCall>('body');
      const client = await beginning(opened, request('POST', '/hold', 'x'));
      const call = await begun;
      const other = await RawClient.open(opened.port);
      other.write(request('POST', '/echo', 'x', ['Content-Length: 50']));
      await other.closed;
      call.reply.send(200, 'text/plain', 'at last');
      assert.equal((await client.response()).body.toString(), 'at last');
    });

    test('closes slow headers', async (t) => {
      // uWebSockets.js has 10 s of its own for them; node:http is asked for less.
      const opened = await openScripted(kind, { requestReceiveMsMax: kind === 'node' ? 100 : 10_000 });
      t.after(() => opened.front.close());
      const slow = await RawClient.open(opened.port);
      const silent = await RawClient.open(opened.port);
      const drip = setInterval(() => slow.write('a'), 500);
      slow.write('POST /echo HT');
      const started = performance.now();
      await Promise.all([slow.closed, kind === 'node' ? slow.closed : silent.closed]);
      clearInterval(drip);
      // What closes an idle connection is not what is looked at.
      assert.ok(performance.now() - started < LIMITS.keepAliveMs * 0.75);
      silent.destroy();
    });
  });

  describe(`${kind}: TLS`, { concurrency: 1 }, () => {
    let folder = '';
    let tls = { keyFile: '', certFile: '' };
    before(() => {
      folder = mkdtempSync(join(tmpdir(), 'millrace-tls-'));
      tls = { keyFile: join(folder, 'key.pem'), certFile: join(folder, 'cert.pem') };
      const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes'];
      const files = ['-keyout', tls.keyFile, '-out', tls.certFile];
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', ...subject, ...files],
        {
          stdio: 'ignore',
        },
      );
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    test('serves requests, streams and WebSockets', async (t) => {
      const opened = await openScripted(kind, {}, tls);
      t.after(() => opened.front.close());
      const client = await RawClient.open(opened.port, true);
      client.write(request('POST', '/echo', 'secret'));
      assert.equal((await client.response()).body.toString(), 'secret');
      client.write(request('GET', '/big'));
      assert.ok((await client.response()).body.equals(BIG));
      client.write(request('POST', '/mcp', 'java', ['Connection: Upgrade', 'Upgrade: h2c']));
      assert.equal((await client.response()).body.toString(), 'java');
      const begun = opened.script.next<ScriptedCall>('body');
      client.write(request('GET', '/stream'));
      const call = await begun;
      call.stream?.write('data: 1\n\n');
      call.stream?.end();
      assert.match((await client.response()).body.toString(), /data: 1/);
      const socket = new WebSocket(`wss://127.0.0.1:${opened.port}/mcp`, { rejectUnauthorized: false });
      await once(socket, 'open');
      socket.send('hi');
      const [data] = await once(socket, 'message');
      assert.equal(String(data), 'echo hi');
      client.destroy();
      await opened.front.close();
      await once(socket, 'close');
    });

    test('does not open with files that cannot be used', async () => {
      await assert.rejects(openScripted(kind, {}, { keyFile: join(folder, 'none'), certFile: tls.certFile }));
    });
  });

  describe(`${kind}: end`, { concurrency: 1 }, () => {
    test('draining, it still accepts; every answer, at once or later, ends its connection', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const early = await RawClient.open(opened.port);
      const begun = opened.script.next<ScriptedCall>('body');
      early.write(request('GET', '/hold'));
      const call = await begun;
      opened.front.drain();
      const late = await RawClient.open(opened.port);
      late.write(request('POST', '/echo', 'late'));
      const answer = await late.response();
      assert.deepEqual([answer.body.toString(), answer.headers.get('connection')], ['late', 'close']);
      await late.closed;
      assert.equal(opened.front.exchanges, 1);
      call.reply.send(200, 'text/plain', 'early');
      assert.equal((await early.response()).headers.get('connection'), 'close');
      await early.closed;
      assert.equal(opened.front.exchanges, 0);
      const socket = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`);
      await once(socket, 'open');
      socket.terminate();
    });

    test('stops accepting, says so in its answers, and lets open work end', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const client = await RawClient.open(opened.port);
      const begun = opened.script.next<ScriptedCall>('body');
      client.write(request('GET', '/hold'));
      const call = await begun;
      opened.front.stopAccepting();
      opened.front.stopAccepting();
      await assert.rejects(RawClient.open(opened.port), ClosedEarly);
      assert.equal(call.reply.open, true);
      call.reply.send(200, 'text/plain', 'finished');
      const answer = await client.response();
      assert.deepEqual([answer.body.toString(), answer.headers.get('connection')], ['finished', 'close']);
      await client.closed;
    });

    test('opens a stream while stopping, and says that the connection ends with it', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const client = await RawClient.open(opened.port);
      const begun = opened.script.next<ScriptedCall>('head');
      client.write(request('POST', '/stream', '', ['Content-Length: 1']));
      await begun;
      opened.front.stopAccepting();
      const streaming = opened.script.next<ScriptedCall>('body');
      client.write('x');
      (await streaming).stream?.end();
      assert.equal((await client.response()).headers.get('connection'), 'close');
    });

    test('closes every connection and tells every handler', async (t) => {
      const opened = await openScripted(kind);
      t.after(() => opened.front.close());
      const waiting = await RawClient.open(opened.port);
      waiting.write(request('GET', '/hold'));
      const call = await opened.script.next<ScriptedCall>('body');
      const streaming = await RawClient.open(opened.port);
      streaming.write(request('GET', '/stream'));
      const stream = await opened.script.next<ScriptedCall>('body');
      const idle = await RawClient.open(opened.port);
      const begun = opened.script.next<ScriptedSocket>('socket');
      const client = new WebSocket(`ws://127.0.0.1:${opened.port}/mcp`);
      const [socket] = await Promise.all([begun, once(client, 'open')]);
      const closed = once(client, 'close');
      await opened.front.close();
      assert.deepEqual([opened.front.connections, opened.front.port], [0, opened.port]);
      await opened.front.close();
      await Promise.all([waiting.closed, streaming.closed, idle.closed, closed]);
      assert.deepEqual([call.aborts, stream.aborts, socket.closes], [1, 1, 1]);
      assert.equal(opened.front.connections, 0);
      await assert.rejects(RawClient.open(opened.port), ClosedEarly);
    });

    test('does not share a port that is in use', async () => {
      const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
      const sockets = { path: '/mcp', handler: { upgrade: () => ({ status: 404, message: '' }) } };
      const openOn = (port: number): Promise<FrontEnd> =>
        openFrontEnd(
          kind,
          { host: '127.0.0.1', port, tls: null, limits: LIMITS },
          { head: () => null },
          sockets,
          silent,
        );
      // Asked for by number: sharing is a matter of options only then. Somebody else may have taken it meanwhile.
      let first: FrontEnd | null = null;
      for (let tries = 1; first === null; tries++) {
        const probe = await openOn(0);
        const { port } = probe;
        await probe.close();
        first = await openOn(port).catch((error: Error) => {
          if (tries === 20) throw error;
          return null;
        });
      }
      await assert.rejects(openOn(first.port), /cannot listen/);
      await first.close();
    });
  });
}
