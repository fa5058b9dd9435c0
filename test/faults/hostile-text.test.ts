/**
 * Naughty strings and hostile lengths wherever a client can put text: arguments, names, URIs, header values. What comes
 * back is equal, nothing is a 5xx, and nothing takes longer than its length allows.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { defineResource } from '../../src/index.ts';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { sharedJson } from '../catalogue/shared-data.ts';
import { textOf } from '../clients/five-tools.ts';
import { FRONT_ENDS, type Served, serve } from '../clients/serve.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket } from '../wire/message-client.ts';
import { Session, Stateless, statelessHeaders } from '../wire/raw-clients.ts';
import { callHeaders, callText } from './post.ts';

const STRINGS = [
  ...(sharedJson('reliability', 'corpora', 'blns', 'blns.json') as string[]),
  '\ud800',
  '\0',
  '\u2028\u2029',
  '%',
  '=',
];
const REPEATS = 50_000;
/** Linear in a megabyte is a few milliseconds; the rest is for busy machines. */
const LINEAR_MS = 400;

const template = (text: string): ReturnType<typeof defineResource> =>
  defineResource({ template: text, name: text, run: 'inline' }, (uri) => `${uri.length} characters`);

for (const frontend of FRONT_ENDS) {
  describe(`hostile text on ${frontend}`, () => {
    let served: Served;
    before(async () => {
      served = await serve(frontend, {
        workers: 1,
        definitions: [
          'a://{id}',
          'b://{/id*}',
          'c://{+path}/end',
          'd://{x}-{y}-{z}',
          'e://x{?q,r}',
          'f://{a}.{b}/{c}',
        ].map(template),
      });
    });
    after(() => served.close());

    test('naughty strings as arguments come back equal, in both eras and over WebSocket', async () => {
      assert.ok(STRINGS.length > 500);
      const client = new Stateless(served.url);
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      const { client: messages, socket } = await openSocket(served.url);
      for (const text of STRINGS) {
        const [direct, inSession, message] = await Promise.all([
          client.call('echo', { text }),
          session.call('echo', { text }),
          messages.stateless('tools/call', { name: 'echo', arguments: { text } }),
        ]);
        for (const result of [direct.result, inSession.result, message['result'] as object]) {
          assert.equal(textOf(result), text);
        }
      }
      socket.close();
    });

    test('naughty strings as names, URIs, cursors and levels are refused as what they are', async () => {
      const client = new Stateless(served.url);
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      for (const text of STRINGS) {
        for (const [method, params, codes] of [
          ['tools/call', { name: text, arguments: {} }, [-32602, -32020]],
          ['prompts/get', { name: text }, [-32601, -32602, -32020]],
          ['resources/read', { uri: text }, [-32602, -32002, -32020]],
          ['tools/list', { cursor: text }, [-32602]],
          [
            'completion/complete',
            { ref: { type: 'ref/resource', uri: text }, argument: { name: text, value: text } },
            [-32601, -32602],
          ],
        ] as const) {
          for (const who of [client, session]) {
            const answer = await who.request(method, params);
            const where = `${method} ${JSON.stringify(text)}: ${answer.status} ${JSON.stringify(answer.last)}`;
            assert.ok(answer.status < 500, where);
            assert.ok((codes as readonly number[]).includes(answer.error.code), where);
          }
        }
        const level = await session.request('logging/setLevel', { level: text });
        assert.equal(level.error.code, -32602);
        const method = await session.request(text === '' ? ' ' : text);
        assert.equal(method.error.code, -32601, JSON.stringify(text));
      }
    });

    test('naughty strings as raw header values: no 5xx, no hang, and the connection can be used', async () => {
      let client = await RawClient.open(served.port);
      const body = callText('echo', '{"text":"x"}');
      for (const text of STRINGS) {
        // What would end the header is another request, not a value.
        const value = Buffer.from(text.replace(/[\r\n\0]/g, ' ')).toString('latin1');
        for (const name of [
          'mcp-name',
          'x-correlation-id',
          'traceparent',
          'baggage',
          'mcp-session-id',
          'accept',
          'last-event-id',
        ]) {
          const headers = {
            host: '127.0.0.1',
            ...callHeaders('echo'),
            [name]: value,
            'content-length': String(body.length),
          };
          const head = Object.entries(headers)
            .map(([one, two]) => `${one}: ${two}\r\n`)
            .join('');
          client.write(Buffer.from(`POST /mcp HTTP/1.1\r\n${head}\r\n${body}`, 'latin1'));
          const response = await client.responseOrClosed();
          // Control characters in a header may close the connection.
          if (response === 'closed') client = await RawClient.open(served.port);
          else assert.ok(response.status < 500, `${name} ${JSON.stringify(text)}: ${response.status}`);
        }
      }
      client.destroy();
    });

    const prompt = async (what: string, ask: () => Promise<unknown>): Promise<void> => {
      const begun = performance.now();
      await ask();
      const took = performance.now() - begun;
      assert.ok(took < LINEAR_MS, `${what}: ${took} ms`);
    };

    test('URIs made to defeat matching are matched in linear time', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      for (const uri of [
        `a://${'a'.repeat(REPEATS)}`,
        `b://${'/a'.repeat(REPEATS)}!`,
        `b://${'/'.repeat(REPEATS)}`,
        `c://${'a/end/'.repeat(REPEATS)}`,
        `c://${'/end'.repeat(REPEATS)}x`,
        `d://${'-'.repeat(REPEATS)}`,
        `d://${'a-'.repeat(REPEATS)}\n`,
        `e://x?${'q=&'.repeat(REPEATS)}`,
        `e://x${'?q=1&r=2'.repeat(REPEATS)}`,
        `f://${'.'.repeat(REPEATS)}/`,
        `f://${'a./'.repeat(REPEATS)}`,
        '%'.repeat(REPEATS),
        `a://${'%41'.repeat(REPEATS)}`,
        `a://${'%'.repeat(REPEATS)}`,
      ]) {
        await prompt(uri.slice(0, 20), () => session.request('resources/read', { uri }));
      }
    });

    test('header values made to defeat expressions are read in linear time', async () => {
      for (const [name, unit] of [
        ['accept', 'a/b,'],
        ['accept', 'text/event-stream;q=0 , '],
        ['accept', '  ;'],
        ['content-type', ' ;application/json'],
        ['mcp-name', '=?base64?'],
        ['mcp-name', 'QUFB'],
        ['authorization', 'Bearer '],
        ['traceparent', '00-'],
        ['tracestate', 'a=b,'],
        ['baggage', 'a=b;c, '],
        ['origin', 'http://a.'],
        ['origin', 'http://127.0.0.1:'],
        ['mcp-protocol-version', '2026-'],
        ['last-event-id', '0.'],
      ] as const) {
        const value = unit.repeat(Math.floor(8000 / unit.length)).trimEnd();
        await prompt(`${name} ${unit}`, async () => {
          const headers = { ...statelessHeaders('tools/call', { name: 'echo' }), [name]: value };
          const response = await fetch(served.url, { method: 'POST', headers, body: callText('echo', '{"text":"x"}') });
          assert.ok(response.status < 500);
          await response.arrayBuffer();
        });
      }
    });
  });
}
