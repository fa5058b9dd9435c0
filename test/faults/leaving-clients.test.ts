/**
 * Clients that leave: before and during their body, queued, running, in the middle of a stream, two hundred at a time.
 * What runs for them is cancelled, what waits never starts, and nothing of them is left, long before their deadlines.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { Watcher } from '../clients/watcher.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket } from '../wire/message-client.ts';
import { metaOf, Stateless } from '../wire/raw-clients.ts';
import { callHeaders } from './post.ts';

const CLIENTS = 200;
/** Half of what calls have: what is over by then was ended for those who left. */
const GONE_MS = 30_000;

/** A whole request as bytes: a watched call under `label`. */
function requestText(tool: string, label: string, ms: number): string {
  const params = { name: tool, arguments: { label, ms }, _meta: metaOf({}, { progressToken: 1 }) };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params });
  const headers = { host: '127.0.0.1', ...callHeaders(tool), 'content-length': String(body.length) };
  const head = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `POST /mcp HTTP/1.1\r\n${head}\r\n${body}`;
}

for (const frontend of FRONT_ENDS) {
  describe(`clients that leave on ${frontend}`, () => {
    const watcher = new Watcher();
    let served: Served;
    before(async () => {
      served = await serve(frontend, {
        modules: [fixture('watched-tools')],
        maxConcurrent: CLIENTS,
        queueSize: 2 * CLIENTS,
        requestTimeoutMs: 60_000,
      });
    });
    after(async () => {
      watcher.close();
      await served.close();
    });

    const crowd = async (send: (client: RawClient) => void): Promise<RawClient[]> => {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.open(served.port)));
      for (const client of clients) send(client);
      return clients;
    };

    /** Nobody is left, and the next call is served. */
    const nothingLeft = async (): Promise<void> => {
      for (const gauge of ['millrace_in_flight', 'millrace_queue_depth', 'millrace_connections']) {
        await eventually(
          gauge,
          () => served.metric(gauge),
          (value) => value === 0,
          GONE_MS,
        );
      }
      const response = await new Stateless(served.url, fetch, { connection: 'close' }).call('echo', { text: 'next' });
      assert.match(JSON.stringify(response.result), /next/);
      await eventually(
        'connections',
        () => served.metric('millrace_connections'),
        (value) => value === 0,
      );
    };

    test('before the end of the headers, and during the body', async () => {
      const text = requestText('watched', `body ${frontend}`, 60_000);
      const headBytes = text.indexOf('\r\n\r\n') + 4;
      for (const sent of [20, headBytes, text.length - 10]) {
        const clients = await crowd((client) => client.write(text.slice(0, sent)));
        const open = (): Promise<number> => served.metric('millrace_connections');
        // uWebSockets.js does not tell of a connection before it has the headers.
        if (sent >= headBytes || frontend === 'node') await eventually('open', open, (count) => count === CLIENTS);
        for (const client of clients) client.destroy();
        await nothingLeft();
      }
      assert.equal(watcher.count('started', `body ${frontend}`), 0);
    });

    test('while running: every tool sees it', async () => {
      const label = `running ${frontend}`;
      const clients = await crowd((client) => client.write(requestText('watched', label, 60_000)));
      await watcher.seen('started', label, CLIENTS);
      assert.equal(await served.metric('millrace_in_flight'), CLIENTS);
      for (const client of clients) client.destroy();
      await watcher.seen('cancelled', label, CLIENTS);
      await nothingLeft();
      assert.equal(watcher.count('ended', label), 0);
    });

    test('in the middle of a stream: every tool sees it', async () => {
      const label = `streaming ${frontend}`;
      const clients = await crowd((client) => client.write(requestText('watched-stream', label, 60_000)));
      await Promise.all(clients.map((client) => client.until('notifications/progress')));
      for (const client of clients) client.destroy();
      await watcher.seen('cancelled', label, CLIENTS);
      await nothingLeft();
    });

    test('while queued: what waits never starts, and those before them are served', async () => {
      const blocking = `blocking ${frontend}`;
      const queued = `queued ${frontend}`;
      const blockers = await crowd((client) => client.write(requestText('watched', blocking, 60_000)));
      await watcher.seen('started', blocking, CLIENTS);
      const clients = await crowd((client) => client.write(requestText('watched', queued, 1)));
      await eventually(
        'queue',
        () => served.metric('millrace_queue_depth'),
        (depth) => depth === CLIENTS,
      );
      for (const client of clients) client.destroy();
      await eventually(
        'queue',
        () => served.metric('millrace_queue_depth'),
        (depth) => depth === 0,
        GONE_MS,
      );
      assert.equal(await served.metric('millrace_in_flight'), CLIENTS);
      for (const client of blockers) client.destroy();
      await watcher.seen('cancelled', blocking, CLIENTS);
      await nothingLeft();
      assert.equal(watcher.count('started', queued), 0);
    });

    test('over WebSocket: all calls of a connection are cancelled with it', async () => {
      const label = `socket ${frontend}`;
      const sockets = await Promise.all(Array.from({ length: 20 }, () => openSocket(served.url)));
      for (const { client } of sockets) {
        for (let id = 0; id < CLIENTS / 20; id++) {
          const params = { name: 'watched', arguments: { label, ms: 60_000 }, _meta: metaOf() };
          client.send({ id, method: 'tools/call', params });
        }
      }
      await watcher.seen('started', label, CLIENTS);
      for (const { socket } of sockets) socket.terminate();
      await watcher.seen('cancelled', label, CLIENTS);
      await nothingLeft();
    });
  });

  test(`a call queued past its deadline never starts, on ${frontend}`, async (t) => {
    const watcher = new Watcher();
    const served = await serve(frontend, {
      modules: [fixture('watched-tools')],
      workers: 1,
      maxConcurrent: 1,
    });
    t.after(() => {
      watcher.close();
      return served.close();
    });
    const blocking = `deadline blocks ${frontend}`;
    const late = `deadline passes ${frontend}`;
    const blocker = await RawClient.open(served.port);
    blocker.write(requestText('watched', blocking, 60_000));
    await watcher.seen('started', blocking);
    const client = new Stateless(served.url);
    const waited = await Promise.all(
      Array.from({ length: 20 }, () => client.call('watched-briefly', { label: late, ms: 1 })),
    );
    for (const answer of waited) {
      assert.deepEqual([answer.status, answer.error.code], [200, -32000], JSON.stringify(answer.last));
      assert.match(answer.error.message, /before it could start/);
    }
    blocker.destroy();
    await watcher.seen('cancelled', blocking);
    const next = await client.call('watched-spin', { label: 'next', ms: 1 });
    assert.equal(next.error.code, 0);
    assert.equal(watcher.count('started', late), 0);
  });
}
