/**
 * The body limit on `/mcp`, to the byte, in each framing; lengths that lie; what is refused before it is read.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FRONT_ENDS, type Served, serve } from '../clients/serve.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket } from '../wire/message-client.ts';
import { callHeaders, callText } from './post.ts';

const LIMIT = 4096;
/** The longest length uWebSockets.js reads; past it, it closes by itself. */
const ANNOUNCED = 999_999_999;

/** A call of exactly so many bytes. */
function callOf(bytes: number): string {
  const empty = callText('echo', '{"text":""}');
  return callText('echo', `{"text":"${'x'.repeat(bytes - empty.length)}"}`);
}

function headOf(port: number, extra: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...callHeaders('echo'), ...extra });
  return `POST /mcp HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

function chunked(body: string, size: number): string {
  const parts = body.match(new RegExp(`.{1,${size}}`, 'gs')) ?? [];
  return [...parts, ''].map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('');
}

for (const frontend of FRONT_ENDS) {
  describe(`body limits of /mcp on ${frontend}`, () => {
    let served: Served;
    before(async () => {
      served = await serve(frontend, { maxRequestBytes: LIMIT, workers: 1 });
    });
    after(() => served.close());

    const statusOf = async (request: string): Promise<number | 'closed'> => {
      const client = await RawClient.open(served.port);
      client.write(request);
      const response = await client.responseOrClosed();
      client.destroy();
      return response === 'closed' ? response : response.status;
    };

    for (const [bytes, status] of [
      [LIMIT - 1, 200],
      [LIMIT, 200],
      [LIMIT + 1, 413],
    ] as const) {
      test(`a body of ${bytes} bytes of ${LIMIT}: ${status}, with a length, in chunks, and after 100-continue`, async () => {
        const body = callOf(bytes);
        assert.equal(body.length, bytes);
        const length = { 'content-length': String(bytes) };
        assert.equal(await statusOf(headOf(served.port, length) + body), status);
        for (const size of [1000, bytes]) {
          const request = headOf(served.port, { 'transfer-encoding': 'chunked' }) + chunked(body, size);
          assert.equal(await statusOf(request), status);
        }
        const client = await RawClient.open(served.port);
        client.write(headOf(served.port, { ...length, expect: '100-continue' }));
        const first = await client.response();
        if (status === 200) assert.equal(first.status, 100);
        // uWebSockets.js invites the body by itself and refuses it then.
        if (first.status === 100) client.write(body);
        assert.equal((first.status === 100 ? await client.response() : first).status, status);
        client.destroy();
      });
    }

    test('almost a gigabyte announced is refused at once, with a JSON-RPC error, before any of it is sent', async () => {
      const before = process.memoryUsage().rss;
      for (let i = 0; i < 50; i++) {
        const client = await RawClient.open(served.port);
        client.write(headOf(served.port, { 'content-length': String(ANNOUNCED) }));
        const response = await client.response();
        assert.equal(response.status, 413);
        assert.match(response.body.toString(), /"jsonrpc":"2.0".*"code":-32000/);
        client.destroy();
      }
      assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024);
    });

    test('a body in chunks that never ends is cut off at the limit', async () => {
      const client = await RawClient.open(served.port);
      client.write(headOf(served.port, { 'transfer-encoding': 'chunked' }));
      const chunk = `3e8\r\n${'x'.repeat(1000)}\r\n`;
      for (let i = 0; i < 10; i++) client.write(chunk);
      const response = await client.responseOrClosed();
      assert.ok(response === 'closed' || response.status === 413);
      client.destroy();
    });

    test('a length that promises more than comes is timed out; one that promises less makes the rest a bad request', async (t) => {
      const body = callOf(500);
      const impatient = await serve(frontend, { workers: 1, requestReceiveTimeoutMs: 300 });
      t.after(() => impatient.close());
      const waiting = await RawClient.open(impatient.port);
      waiting.write(headOf(impatient.port, { 'content-length': String(body.length + 10) }) + body);
      const late = await waiting.responseOrClosed();
      assert.ok(late === 'closed' || late.status === 408, JSON.stringify(late));
      const short = await RawClient.open(served.port);
      short.write(headOf(served.port, { 'content-length': String(body.length - 10) }) + body);
      const cut = await short.responseOrClosed();
      assert.ok(cut === 'closed' || cut.status === 400, JSON.stringify(cut));
      short.destroy();
      assert.equal(await statusOf(headOf(served.port, { 'content-length': String(body.length) }) + body), 200);
    });

    test('a WebSocket message over the limit closes with 1009', async () => {
      const { client, socket, closed } = await openSocket(served.url);
      client.raw(callOf(LIMIT));
      assert.match(JSON.stringify(await client.take(() => true)), /xxx/);
      client.raw(callOf(LIMIT + 1));
      assert.equal((await closed).code, 1009);
      socket.terminate();
    });
  });
}
