/** What every front end does with HTTP requests: framing, limits of one request, refusals, answers. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DIFFERENCES } from './differences.ts';
import { RawClient, type RawResponse, request } from './raw-client.ts';
import { BIG, BODY_BYTES_MAX, type Opened, openScripted, type ScriptedCall, turns } from './scripted-handler.ts';

export function httpContract(kind: 'uws' | 'node'): void {
  const differs = DIFFERENCES[kind];

  describe(`${kind}: HTTP`, { concurrency: 1 }, () => {
    let opened: Opened;
    before(async () => {
      opened = await openScripted(kind);
    });
    after(() => opened.front.close());

    /** Sends on a new connection and returns the first response. */
    async function exchange(data: string | Uint8Array, head = false): Promise<RawResponse> {
      const client = await RawClient.open(opened.port);
      try {
        client.write(data);
        return await client.response(head);
      } finally {
        client.destroy();
      }
    }

    /** A refusal of the framing: the status if there is one, and closed in any case. */
    async function refusal(data: string): Promise<number | 'closed'> {
      const client = await RawClient.open(opened.port);
      client.write(data);
      const answer = await client.responseOrClosed();
      await client.closed;
      return answer === 'closed' ? answer : answer.status;
    }

    test('keeps a connection for the next request', async () => {
      const client = await RawClient.open(opened.port);
      for (const path of ['/echo', '/later', '/mcp', '/echo']) {
        client.write(request('POST', path, `to ${path}`));
        const answer = await client.response();
        assert.equal(answer.status, 200);
        assert.equal(answer.body.toString(), `to ${path}`);
      }
      client.destroy();
    });

    test('answers a request split at any byte like a whole one', async () => {
      const client = await RawClient.open(opened.port);
      const whole = request('POST', '/echo', '{"id":1}', ['X-Test: a value']);
      for (let at = 1; at < whole.length; at++) {
        client.write(whole.slice(0, at));
        await turns();
        client.write(whole.slice(at));
        const answer = await client.response();
        assert.deepEqual([at, answer.status, answer.body.toString()], [at, 200, '{"id":1}']);
      }
      client.destroy();
    });

    test('answers pipelined requests in order, one bad among them', async () => {
      const client = await RawClient.open(opened.port);
      const paths = Array.from({ length: 50 }, (_, i) => (i === 24 ? '/nowhere' : i % 2 === 0 ? '/echo' : '/mcp'));
      client.write(paths.map((path, i) => request('POST', path, `body ${i}`)).join(''));
      for (const [i, path] of paths.entries()) {
        const answer = await client.response();
        assert.equal(answer.status, path === '/nowhere' ? 404 : 200);
        if (answer.status === 200) assert.equal(answer.body.toString(), `body ${i}`);
      }
      client.destroy();
    });

    test('never answers a pipelined request out of order while one is pending', async () => {
      const client = await RawClient.open(opened.port);
      const answered: string[] = [];
      client.write(['a', 'b', 'c'].map((body) => request('POST', '/later', body)).join(''));
      for (let i = 0; i < 3; i++) {
        const answer = await client.responseOrClosed();
        if (answer === 'closed') break;
        answered.push(answer.body.toString());
      }
      assert.deepEqual(answered, differs.pipelinedWhilePending === 'in order' ? ['a', 'b', 'c'] : []);
      client.destroy();
    });

    test('reads a body in chunks', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', '5\r\nhello\r\n', ['Transfer-Encoding: chunked']));
      await turns();
      client.write('1\r\n \r\n5\r\nwor');
      await turns();
      client.write('ld\r\n0\r\n\r\n');
      assert.equal((await client.response()).body.toString(), 'hello world');
      client.write(request('POST', '/echo', 'next'));
      assert.equal((await client.response()).body.toString(), 'next');
      client.destroy();
    });

    test('reads a chunk with an extension, or closes', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', '5;ext=1\r\nhello\r\n0\r\n\r\n', ['Transfer-Encoding: chunked']));
      const answer = await client.responseOrClosed();
      if (differs.chunkExtension === 'closed') assert.equal(answer, 'closed');
      else if (differs.chunkExtension === 400) assert.equal(answer !== 'closed' && answer.status, 400);
      else assert.equal(answer !== 'closed' && answer.body.toString(), 'hello');
      client.destroy();
    });

    test('hands over a request without a body as an empty one', async () => {
      for (const data of [request('GET', '/echo'), request('POST', '/echo', '', ['Content-Length: 0'])]) {
        assert.equal((await exchange(data)).body.length, 0);
      }
    });

    test('takes a body up to the limit and no byte more', async () => {
      for (const [length, status] of [
        [BODY_BYTES_MAX - 1, 200],
        [BODY_BYTES_MAX, 200],
        [BODY_BYTES_MAX + 1, 413],
      ] as const) {
        const body = 'b'.repeat(length);
        const withLength = await exchange(request('POST', '/echo', body));
        assert.deepEqual([length, withLength.status], [length, status]);
        if (status === 200) assert.equal(withLength.body.length, length);
        const chunked = `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
        const client = await RawClient.open(opened.port);
        client.write(request('POST', '/echo', chunked, ['Transfer-Encoding: chunked']));
        const inChunks = await client.responseOrClosed();
        if (inChunks === 'closed') assert.equal(status, 413);
        else assert.deepEqual([length, inChunks.status], [length, status]);
        client.destroy();
      }
    });

    test('a body that is not lent stays as it came, whatever comes after it', async () => {
      const received: Buffer[] = [];
      const note = (call: ScriptedCall): void => void received.push(call.received);
      opened.script.on('body', note);
      const sent: string[] = [];
      const client = await RawClient.open(opened.port);
      for (const length of [100, 9_000, 17_000, 40_000, BODY_BYTES_MAX]) {
        for (const parts of [1, 2, 20]) {
          const body = String.fromCharCode(97 + sent.length).repeat(length);
          const chunk = `${length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
          for (const [text, framing] of [
            [body, `Content-Length: ${length}`],
            [chunk, 'Transfer-Encoding: chunked'],
          ] as const) {
            sent.push(body);
            client.write(request('POST', '/accepted', '', [framing]));
            for (let part = 0; part < parts; part++) {
              client.write(text.slice((text.length * part) / parts, (text.length * (part + 1)) / parts));
              await turns();
            }
            assert.equal((await client.response()).status, 202);
          }
        }
      }
      opened.script.off('body', note);
      client.destroy();
      assert.equal(received.length, sent.length);
      for (const [i, body] of received.entries()) assert.ok(body.equals(Buffer.from(sent[i] as string)), `body ${i}`);
    });

    test('refuses a declared body that is too large before any of it is read', async () => {
      const aborted = opened.script.next<ScriptedCall>('aborted');
      const answer = await exchange(request('POST', '/echo', '', ['Content-Length: 900000000']));
      assert.equal(answer.status, 413);
      assert.match(answer.body.toString(), /"jsonrpc":"2.0","error".*too large: at most \d+ bytes are taken/);
      assert.equal((await aborted).bodies, 0);
    });

    test('answers with 413 a client that goes on sending', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', 'z'.repeat(400_000), ['Content-Length: 400000']));
      assert.equal((await client.response()).status, 413);
      client.destroy();
    });

    test('takes the length declared for the length', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', 'abcdef', ['Content-Length: 3']));
      assert.equal((await client.response()).body.toString(), 'abc');
      client.destroy();
    });

    test('sends 100 Continue and then the answer', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', '', ['Content-Length: 4', 'Expect: 100-continue']));
      assert.equal((await client.response()).status, 100);
      client.write('body');
      assert.equal((await client.response()).body.toString(), 'body');
      client.destroy();
    });

    test('answers an expectation for a body that is too large with 413', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/echo', '', ['Content-Length: 900000', 'Expect: 100-continue']));
      const first = await client.response();
      const final = first.status === 100 ? await client.response() : first;
      assert.equal(final.status, 413);
      client.destroy();
    });

    test('refuses an unknown expectation', async () => {
      assert.equal((await exchange(request('POST', '/echo', 'a', ['Expect: miracles']))).status, 417);
    });

    test('takes headers of 8 KiB and refuses 64 KiB or 1,000 lines', async () => {
      const fits = await exchange(request('GET', '/describe', '', [`X-Long: ${'h'.repeat(8000)}`]));
      assert.equal(fits.status, 200);
      const long = await refusal(request('GET', '/describe', '', [`X-Long: ${'h'.repeat(64_000)}`]));
      assert.ok(long === 431 || long === 'closed', String(long));
      const many = await refusal(request('GET', '/describe', '', new Array<string>(1000).fill('X-Line: 1')));
      assert.ok(many === 431 || many === 'closed', String(many));
    });

    test('refuses ambiguous framing and closes', async () => {
      const bad = {
        both: ['Transfer-Encoding: chunked', 'Content-Length: 3'],
        coding: ['Transfer-Encoding: gzip'],
        lengths: ['Content-Length: 3', 'Content-Length: 4'],
        notNumber: ['Content-Length: 3x'],
      };
      for (const [name, headers] of Object.entries(bad)) {
        const answer = await refusal(request('POST', '/echo', 'abc', headers));
        assert.ok(answer === 400 || (answer === 'closed' && differs.malformed === 'closed'), `${name}: ${answer}`);
      }
    });

    test('answers HEAD without a body', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('HEAD', '/get-only'));
      const answer = await client.response(true);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-length'), '5');
      client.write(request('GET', '/get-only'));
      assert.equal((await client.response()).body.toString(), 'hello');
      client.destroy();
    });

    test('sends 202 with an empty body and 204 with none', async () => {
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/accepted', '{}'));
      const accepted = await client.response();
      assert.deepEqual([accepted.status, accepted.headers.get('content-length')], [202, '0']);
      assert.equal(accepted.headers.has('content-type'), false);
      client.write(request('POST', '/no-content', '{}'));
      const none = await client.response();
      assert.deepEqual([none.status, none.headers.has('content-length')], [204, false]);
      client.destroy();
    });

    test('answers 405 with what is allowed, also to unknown methods', async () => {
      for (const method of ['POST', 'PUT', 'PATCH']) {
        const answer = await exchange(request(method, '/get-only', 'x'));
        assert.equal(answer.status, 405);
        assert.equal(answer.headers.get('allow'), 'GET, HEAD');
        assert.match(answer.body.toString(), /"error":\{"code":-32000/);
      }
    });

    test('shows the handler method, path, query, headers and address', async () => {
      const answer = await exchange(request('GET', '/describe?a=1&b=%20', '', ['X-A:  one ', 'x-a: two', 'X-B: grün']));
      assert.deepEqual(JSON.parse(answer.body.toString()), {
        method: 'GET',
        path: '/describe',
        query: 'a=1&b=%20',
        x: 'one, two',
        y: 'grün',
        address: '127.0.0.1',
      });
    });

    test('sends the headers of a refusal', async () => {
      const answer = await exchange(request('GET', '/refuse'));
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
    });

    test('leaves out a header value that would start another header', async () => {
      const before = opened.errors.length;
      const answer = await exchange(request('GET', '/injected'));
      assert.deepEqual([answer.headers.has('x-evil'), answer.headers.get('x-fine')], [false, 'b']);
      assert.equal(opened.errors.length, before + 1);
    });

    test('an allowed origin may read the answer and ask beforehand; another gets nothing', async () => {
      const origin = 'Origin: https://app.example';
      const asked = ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: mcp-session-id'];
      const preflight = await exchange(request('OPTIONS', '/mcp', '', [origin, ...asked]));
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get('access-control-allow-origin'), 'https://app.example');
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'mcp-session-id');
      const answer = await exchange(request('POST', '/echo', 'hi', [origin]));
      assert.equal(answer.headers.get('access-control-allow-origin'), 'https://app.example');
      const plain = await exchange(request('POST', '/echo', 'hi'));
      assert.equal(plain.headers.has('access-control-allow-origin'), false);
      const foreign = await exchange(request('OPTIONS', '/mcp', '', ['Origin: https://evil.example', ...asked]));
      assert.deepEqual([foreign.status, foreign.headers.has('access-control-allow-origin')], [403, false]);
    });

    test('answers 500 without a trace when the handler throws', async () => {
      for (const path of ['/throw-in-head', '/throw-in-body']) {
        const before = opened.errors.length;
        const answer = await exchange(request('POST', path, '{}'));
        assert.equal(answer.status, 500);
        assert.equal(answer.body.toString().includes('scripted'), false);
        assert.equal(opened.errors.length, before + 1);
      }
    });

    test('answers from shared memory, read before send returns', async () => {
      assert.equal((await exchange(request('GET', '/shared'))).body.toString(), 'shared');
    });

    test('answers a request with an upgrade nobody takes as a plain one', async () => {
      const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'];
      const client = await RawClient.open(opened.port);
      client.write(request('POST', '/mcp', 'java', upgrade));
      assert.equal((await client.response()).body.toString(), 'java');
      client.write(request('POST', '/mcp', 'again', upgrade));
      assert.equal((await client.response()).body.toString(), 'again');
      client.write(request('GET', '/get-only', '', ['Connection: Upgrade', 'Upgrade: websocket']));
      assert.equal((await client.response()).body.toString(), 'hello');
      client.destroy();
    });

    test('delivers a large answer to a reader that pauses', async () => {
      const client = await RawClient.open(opened.port);
      client.socket.pause();
      client.write(request('GET', '/big'));
      await opened.script.next('body');
      await turns(20);
      client.socket.resume();
      const answer = await client.response();
      assert.ok(answer.body.equals(BIG));
      client.write(request('POST', '/echo', 'after'));
      assert.equal((await client.response()).body.toString(), 'after');
      client.destroy();
    });

    test('does not go on answering a client that asks and never reads', async () => {
      const client = await RawClient.open(opened.port);
      client.socket.pause();
      let answers = 0;
      const count = (): void => void answers++;
      opened.script.on('body', count);
      const batch = request('GET', '/page').repeat(200);
      const answersMax = 20_000;
      let stalled = 0;
      while (!client.isClosed && stalled < 50 && answers < answersMax) {
        const had = answers;
        if (client.socket.writableLength < 1_000_000) client.write(batch);
        await turns();
        stalled = answers === had ? stalled + 1 : 0;
      }
      opened.script.off('body', count);
      assert.ok(answers > 0 && answers < answersMax, `${answers} answers of 4 kB held`);
      client.destroy();
    });

    test('takes a client that ends its side for gone', async () => {
      const client = await RawClient.open(opened.port);
      const gone = opened.script.next<ScriptedCall>('aborted');
      client.socket.end(request('POST', '/hold', 'bye'));
      const call = await gone;
      assert.deepEqual([call.bodies, call.aborts, call.reply.open], [1, 1, false]);
      assert.equal(await client.responseOrClosed(), 'closed');
    });

    test('closes on a malformed request, with no answer to it before those to earlier ones', async () => {
      const client = await RawClient.open(opened.port);
      const good = request('POST', '/echo', 'good') + request('POST', '/mcp', 'fine');
      client.write(good + request('POST', '/echo', 'x', ['Content-Length: 1x']));
      const seen: (number | string)[] = [];
      for (
        let answer = await client.responseOrClosed();
        answer !== 'closed';
        answer = await client.responseOrClosed()
      ) {
        seen.push(answer.status === 200 ? answer.body.toString() : answer.status);
      }
      const alone = differs.malformed === 'closed' ? [] : [400];
      assert.deepEqual(seen, differs.malformed === 400 ? ['good', 'fine', 400] : alone);
    });

    test('tells the handler once of a client that leaves before, during and after the answer', async () => {
      const early = await RawClient.open(opened.port);
      const headSeen = opened.script.next<ScriptedCall>('head');
      early.write(request('POST', '/echo', 'part', ['Content-Length: 100']));
      const unread = await headSeen;
      const gone = opened.script.next('aborted');
      early.destroy();
      await gone;
      assert.deepEqual([unread.bodies, unread.aborts], [0, 1]);

      const waiting = await RawClient.open(opened.port);
      const bodySeen = opened.script.next<ScriptedCall>('body');
      waiting.write(request('POST', '/hold', 'work'));
      const pending = await bodySeen;
      const left = opened.script.next('aborted');
      waiting.destroy();
      await left;
      assert.deepEqual([pending.bodies, pending.aborts, pending.reply.open], [1, 1, false]);
      pending.reply.send(200, 'text/plain', 'too late');
      assert.equal(pending.reply.openStream().write('too late'), false);

      const reading = await RawClient.open(opened.port);
      reading.socket.pause();
      const sent = opened.script.next<ScriptedCall>('body');
      reading.write(request('GET', '/big'));
      const underWay = await sent;
      await turns();
      reading.destroy();
      await reading.closed;

      const served = await RawClient.open(opened.port);
      const done = opened.script.next<ScriptedCall>('body');
      served.write(request('POST', '/echo', 'all'));
      const answered = await done;
      await served.response();
      served.destroy();
      await served.closed;
      await turns(5);
      assert.deepEqual([answered.aborts, underWay.aborts], [0, 0]);
    });
  });
}
