/**
 * More than a thousand connections at once, idle and active, and one more than there may be; readers that stop reading: what
 * they are not told is bounded, they are cut off, and nobody else notices.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket, type SocketClient } from '../wire/message-client.ts';
import { metaOf, Session, Stateless, statelessHeaders } from '../wire/raw-clients.ts';

const MIB = 1024 * 1024;
const IDLE = 800;
const SOCKETS = 150;
const STREAMS = 150;
const ACTIVE = 100;
/** Of each active one. */
const ROUNDS = 3;
/** Others ask now and then while a reader stalls: what they take of the processor is not the matter. */
const PAUSE_MS = 10;

function requestText(method: string, params: Readonly<Record<string, unknown>>, id: number): string {
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id,
    method,
    params: { _meta: metaOf({}, { progressToken: 1 }), ...params },
  });
  const headers = { host: '127.0.0.1', ...statelessHeaders(method, params), 'content-length': String(body.length) };
  const head = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `POST /mcp HTTP/1.1\r\n${head}\r\n${body}`;
}

const LISTEN = requestText('subscriptions/listen', { notifications: { toolsListChanged: true } }, 1);

/** Opens so many, a few at a time: a listener's backlog is finite. */
async function openMany<T>(count: number, open: () => Promise<T>): Promise<T[]> {
  const opened: T[] = [];
  while (opened.length < count) {
    opened.push(...(await Promise.all(Array.from({ length: Math.min(100, count - opened.length) }, open))));
  }
  return opened;
}

async function openStream(port: number): Promise<RawClient> {
  const client = await RawClient.open(port);
  client.write(LISTEN);
  await client.until('acknowledged');
  return client;
}

for (const frontend of FRONT_ENDS) {
  describe(`many connections on ${frontend}`, () => {
    test(`${IDLE + SOCKETS + STREAMS} idle connections do not keep ${ACTIVE} active ones from being served`, async (t) => {
      const served = await serve(frontend, {
        maxConnections: 2 * (IDLE + SOCKETS + STREAMS + ACTIVE),
        maxListenStreams: STREAMS,
        // On a slow machine the last of them is there long after the first.
        keepAliveMs: 600_000,
      });
      t.after(() => served.close());
      const idle = await openMany(IDLE, async () => {
        const client = await RawClient.open(served.port);
        client.write('GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n');
        assert.equal((await client.response()).status, 200);
        return client;
      });
      const sockets = await openMany(SOCKETS, () => openSocket(served.url));
      const streams = await openMany(STREAMS, () => openStream(served.port));
      assert.ok((await served.metric('millrace_connections')) >= SOCKETS + STREAMS);
      const active = await openMany(ACTIVE, () => RawClient.open(served.port));
      await Promise.all(
        active.map(async (client, who) => {
          for (let round = 0; round < ROUNDS; round++) {
            const text = `${who}/${round}`;
            client.write(requestText('tools/call', { name: 'echo', arguments: { text } }, round));
            const { status, body } = await client.response();
            assert.equal(status, 200);
            assert.ok(body.includes(`"text":"${text}"`), body.toString());
          }
        }),
      );
      for (const { client } of sockets)
        await client.stateless('tools/call', { name: 'echo', arguments: { text: 'x' } });
      for (const client of idle.slice(0, 100)) {
        client.write(requestText('tools/call', { name: 'echo', arguments: { text: 'awake' } }, 1));
        assert.equal((await client.response()).status, 200);
      }
      for (const client of [...idle, ...streams, ...active]) client.destroy();
      for (const { socket } of sockets) socket.terminate();
      await eventually(
        'connections',
        () => served.metric('millrace_connections'),
        (open) => open === 0,
      );
    });

    test('one connection more than there may be is refused politely, until one leaves', async (t) => {
      const served = await serve(frontend, { workers: 1, maxConnections: 20 });
      t.after(() => served.close());
      const streams = await openMany(20, () => openStream(served.port));
      const refused = await RawClient.open(served.port);
      refused.write(requestText('tools/list', {}, 1));
      const { status, body } = await refused.response();
      assert.equal(status, 503);
      assert.match(body.toString(), /"jsonrpc":"2.0".*"error"/);
      await refused.closed;
      await assert.rejects(openSocket(served.url), /503/);
      streams.pop()?.destroy();
      await eventually(
        'connections',
        () => served.metric('millrace_connections'),
        (open) => open < 20,
      );
      assert.equal((await new Stateless(served.url).request('tools/list')).status, 200);
      for (const client of streams) client.destroy();
    });
  });

  describe(`readers that stop on ${frontend}`, () => {
    const limits = { modules: [fixture('hostile-tools')], maxStreamBufferBytes: 64 * 1024, requestTimeoutMs: 60_000 };

    /** Runs `stall`, and shows that others are served meanwhile and that memory stays within bounds. */
    const bounded = async (served: Served, growthMiBMax: number, stall: () => Promise<void>): Promise<void> => {
      const before = process.memoryUsage().rss;
      let peak = before;
      let over = false;
      let failure: unknown = null;
      const stalled = stall()
        .catch((cause: unknown) => {
          failure = cause;
        })
        .finally(() => {
          over = true;
        });
      const other = new Stateless(served.url);
      while (!over) {
        assert.equal((await other.request('tools/list')).status, 200);
        peak = Math.max(peak, process.memoryUsage().rss);
        await delay(PAUSE_MS);
      }
      await stalled;
      if (failure !== null) throw failure;
      assert.equal((await other.call('echo', { text: 'unaffected' })).status, 200);
      const growthMiB = (peak - before) / MIB;
      assert.ok(growthMiB < growthMiBMax, `memory grew by ${growthMiB} MiB`);
    };

    test('an event stream of 400 MB that nobody reads ends its connection and its tool', async (t) => {
      const served = await serve(frontend, limits);
      t.after(() => served.close());
      await bounded(served, 250, async () => {
        const client = await RawClient.open(served.port);
        client.socket.pause();
        client.write(requestText('tools/call', { name: 'pours', arguments: { chars: 100_000, times: 4000 } }, 1));
        const cancelled = (): Promise<number> => served.metric('millrace_requests_total', 'outcome="cancelled"');
        await eventually('cancelled', cancelled, (count) => count === 1);
        const inFlight = (): Promise<number> => served.metric('millrace_in_flight');
        await eventually('in flight', inFlight, (count) => count === 0);
        client.socket.resume();
        await client.closed;
      });
    });

    test('a session stream that nobody reads is not told of 4,000 changes one by one', async (t) => {
      const served = await serve(frontend, { ...limits, modules: [fixture('talking-tools')] });
      t.after(() => served.close());
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      const reader = await RawClient.open(served.port);
      const headers = { host: '127.0.0.1', ...session.headers };
      const head = Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      reader.write(`GET /mcp HTTP/1.1\r\n${head}\r\n`);
      await reader.until('event-stream');
      reader.socket.pause();
      const { client, socket } = await openSocket(served.url);
      await bounded(served, 100, async () => {
        for (let batch = 0; batch < 4; batch++) {
          const calls = Array.from({ length: 1000 }, () => client.stateless('tools/call', { name: 'touch' }));
          await Promise.all(calls);
        }
      });
      socket.terminate();
      reader.destroy();
    });

    test('a WebSocket that asks and does not read is closed with 1013', async (t) => {
      const served = await serve(frontend, limits);
      t.after(() => served.close());
      await bounded(served, 250, async () => {
        const { client, socket, closed }: SocketClient = await openSocket(served.url);
        socket.pause();
        for (let id = 0; id < 400; id++) {
          client.send({
            id,
            method: 'tools/call',
            params: { name: 'big', arguments: { chars: 100_000 }, _meta: metaOf() },
          });
        }
        const ended = (): Promise<number> => served.metric('millrace_requests_total', 'tools/call');
        await eventually('calls ended', ended, (count) => count >= 400);
        socket.resume();
        assert.equal((await closed).code, 1013);
      });
    });
  });
}
