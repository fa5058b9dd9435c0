/**
 * Events over a WebSocket, on both front ends: one answer per message, in order.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { pack } from 'msgpackr';
import { WebSocket } from 'ws';
import { FRONT_ENDS } from '../../clients/serve.ts';
import { ndjson, type StreamsServed, serveStreams, visit } from './serve-streams.ts';

class Sender {
  readonly answers: Record<string, unknown>[] = [];
  readonly ws: WebSocket;

  constructor(served: StreamsServed, headers: Readonly<Record<string, string>> = {}, path = '/events') {
    this.ws = new WebSocket(`${served.base.replace('http', 'ws')}${path}`, { headers });
    this.ws.on('message', (data) => this.answers.push(JSON.parse(String(data)) as Record<string, unknown>));
  }

  async open(): Promise<this> {
    await once(this.ws, 'open');
    return this;
  }

  async answered(count: number): Promise<Record<string, unknown>[]> {
    while (this.answers.length < count) await once(this.ws, 'message');
    return this.answers;
  }

  /** Status of a refused upgrade. */
  async refused(): Promise<number> {
    const [, response] = (await once(this.ws, 'unexpected-response')) as [unknown, { statusCode: number }];
    this.ws.on('error', () => undefined);
    this.ws.terminate();
    return response.statusCode;
  }
}

const TAKEN = (accepted: number, rejected = 0) => ({ accepted, rejected, late: 0 });

for (const frontend of FRONT_ENDS) {
  describe(`events over a WebSocket on ${frontend}`, () => {
    let served: StreamsServed;
    before(async () => {
      served = await serveStreams(frontend);
    });
    after(() => served.close());

    test('takes NDJSON, arrays and MessagePack, and answers each message in its turn', async () => {
      const sender = await new Sender(served).open();
      const had = await served.accepted();
      sender.ws.send(ndjson([visit('a'), visit('b'), visit('c')]));
      sender.ws.send(` \n${JSON.stringify([visit('a'), { page: 1 }])}`);
      sender.ws.send(Buffer.concat([pack(visit('a')), pack(visit('b'))]));
      sender.ws.send('not json');
      sender.ws.send('');
      assert.deepEqual(await sender.answered(5), [TAKEN(3), TAKEN(1, 1), TAKEN(2), TAKEN(0, 1), TAKEN(0)]);
      assert.equal(await served.accepted(), had + 6);
      sender.ws.terminate();
    });

    test('counts messages once when they are sent again under the same key', async () => {
      const messages = [1, 2, 3].map((n) => ndjson(Array.from({ length: n }, () => visit('again'))));
      const key = { 'Idempotency-Key': `socket-${frontend}` };
      const had = await served.accepted();
      const first = await new Sender(served, key).open();
      for (const message of messages.slice(0, 2)) first.ws.send(message);
      await first.answered(2);
      first.ws.terminate();
      const second = await new Sender(served, key).open();
      for (const message of messages) second.ws.send(message);
      assert.deepEqual(await second.answered(3), [TAKEN(1), TAKEN(2), TAKEN(3)]);
      assert.equal(await served.accepted(), had + 6);
      second.ws.terminate();
    });

    test('refuses in its turn what is past the window, and takes what is sent again', async () => {
      const sender = await new Sender(served).open();
      const had = await served.accepted();
      let waiting = Array.from({ length: 400 }, () => ndjson(Array.from({ length: 20 }, () => visit('flood'))));
      let refused = 0;
      for (let sent = 0; waiting.length > 0; ) {
        for (const message of waiting) sender.ws.send(message);
        const from = sent;
        sent += waiting.length;
        const answers = (await sender.answered(sent)).slice(from);
        for (const answer of answers) if ('error' in answer) assert.deepEqual(answer['retryAfterMs'], 100);
        refused += answers.filter((answer) => 'error' in answer).length;
        waiting = waiting.filter((_, i) => 'error' in (answers[i] as object));
      }
      assert.ok(refused > 0);
      assert.equal(await served.accepted(), had + 8000);
      sender.ws.terminate();
    });

    test('does not open where there is no stream, and not past the gate', async () => {
      assert.equal(await new Sender(served, {}, '/dead-letters').refused(), 404);
      assert.equal(await new Sender(served, {}, '/../nobody/events').refused(), 404);
      assert.equal(await new Sender(served, { Origin: 'https://evil.example' }).refused(), 403);
      assert.equal(await new Sender(served, { 'Idempotency-Key': 'k'.repeat(257) }).refused(), 400);
    });

    test('the protocol keeps its own path, and text only', async () => {
      const ws = new WebSocket(`ws://127.0.0.1:${served.port}/mcp`);
      await once(ws, 'open');
      ws.send(Buffer.from([1]));
      const [code] = (await once(ws, 'close')) as [number];
      assert.equal(code, 1003);
    });
  });

  test(`asks for a token on ${frontend}`, async () => {
    const token = 'a-token-of-the-tests';
    const served = await serveStreams(frontend, {}, { auth: { tokens: [{ token, id: 'me', scopes: [] }] } });
    try {
      assert.equal(await new Sender(served).refused(), 401);
      for (const path of ['/streams/visits/events', '/mcp']) {
        const ws = new WebSocket(`ws://127.0.0.1:${served.port}${path}`, { headers: { Authorization: 'Bearer no' } });
        ws.on('error', () => undefined);
        const [, response] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage];
        const challenge = response.headers['www-authenticate'];
        assert.deepEqual([response.statusCode, challenge], [401, 'Bearer error="invalid_token", realm="mcp"'], path);
        ws.terminate();
      }
      const sender = await new Sender(served, { Authorization: `Bearer ${token}` }).open();
      sender.ws.send(ndjson([visit('a')]));
      assert.deepEqual(await sender.answered(1), [TAKEN(1)]);
      sender.ws.terminate();
    } finally {
      await served.close();
    }
  });
}
