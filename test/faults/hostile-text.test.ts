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
import { LINEAR_MS, promptMs } from '../clients/processor-time.ts';
import { FRONT_ENDS, type Served, serve } from '../clients/serve.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket } from '../wire/message-client.ts';
import { Session, Stateless, statelessHeaders } from '../wire/raw-clients.ts';
import type { Json } from '../wire/wire-check.ts';
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
const TRIES_MAX = 4;
const HEADERS = [
  'mcp-name',
  'x-correlation-id',
  'traceparent',
  'baggage',
  'mcp-session-id',
  'accept',
  'last-event-id',
] as const;

/** Requests that are made of the text, and the codes they may be refused with. */
function refusedRows(text: string): readonly (readonly [method: string, params: Json, codes: readonly number[]])[] {
  const subject = { ref: { type: 'ref/resource', uri: text }, argument: { name: text, value: text } };
  return [
    ['tools/call', { name: text, arguments: {} }, [-32602, -32020]],
    ['prompts/get', { name: text }, [-32601, -32602, -32020]],
    ['resources/read', { uri: text }, [-32602, -32002, -32020]],
    ['tools/list', { cursor: text }, [-32602]],
    ['completion/complete', subject, [-32601, -32602]],
  ];
}

const template = (text: string): ReturnType<typeof defineResource> =>
  defineResource({ template: text, name: text, run: 'inline' }, (uri) => `${uri.length} characters`);

/** A header value cannot hold them: what follows is another header, another request, or nothing. */
function withoutControls(text: string): string {
  return [...text].map((char) => (char < ' ' || char === '\x7f' ? ' ' : char)).join('');
}

for (const frontend of FRONT_ENDS) {
  describe(`hostile text on ${frontend}`, () => {
    /** Each front end gets every second string: what text means does not depend on it. */
    const share = STRINGS.filter((_, i) => i % FRONT_ENDS.length === FRONT_ENDS.indexOf(frontend));
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
      assert.ok(share.length > 250);
      const client = new Stateless(served.url);
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      const { client: messages, socket } = await openSocket(served.url);
      for (const text of share) {
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
      const { client: messages, socket } = await openSocket(served.url);
      await messages.initialize('2025-11-25');
      const codeOf = (message: object): number => (message as { error?: { code: number } }).error?.code ?? 0;
      for (const text of share) {
        const wrong: string[] = [];
        await Promise.all(
          refusedRows(text).map(async ([method, params, codes]) => {
            const [answer, message] = await Promise.all([
              client.request(method, params),
              messages.request(method, params),
            ]);
            if (answer.status >= 500 || !codes.includes(answer.error.code)) wrong.push(JSON.stringify(answer.last));
            if (!codes.includes(codeOf(message))) wrong.push(JSON.stringify(message));
          }),
        );
        assert.deepEqual(wrong, [], JSON.stringify(text));
        const level = await messages.request('logging/setLevel', { level: text });
        assert.equal(codeOf(level), -32602);
        const method = await messages.request(text === '' ? ' ' : text);
        assert.equal(codeOf(method), -32601, JSON.stringify(text));
      }
      socket.close();
    });

    test('naughty strings as raw header values: no 5xx, no hang, and the connection can be used', async () => {
      let client = await RawClient.open(served.port);
      const body = callText('echo', '{"text":"x"}');
      for (const [i, text] of STRINGS.entries()) {
        const value = withoutControls(Buffer.from(text).toString('latin1'));
        // Each of them gets every second string, of each kind some: kinds of strings come in rows.
        for (const name of HEADERS.filter((_, n) => (n + i) % 2 === 0)) {
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
          // Bytes above 0x7f in a header may close the connection.
          if (response === 'closed') client = await RawClient.open(served.port);
          else assert.ok(response.status < 500, `${name} ${JSON.stringify(text)}: ${response.status}`);
        }
      }
      client.destroy();
    });

    test('control characters in a header: no 5xx, and others are served meanwhile', async () => {
      // uWebSockets.js keeps such a connection until its idle timeout, without an answer.
      const waiting = await Promise.all(
        ['\0', '\x01', '\x0b', '\x1b', '\x7f'].map(async (control) => {
          const client = await RawClient.open(served.port);
          client.write(`GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\nx-hostile: a${control}b\r\n\r\n`);
          return client;
        }),
      );
      const answers = waiting.map((client) => client.responseOrClosed());
      const { status } = await fetch(new URL('/health/live', served.url));
      assert.equal(status, 200);
      for (const client of waiting) client.destroy();
      for (const answer of await Promise.all(answers)) assert.ok(answer === 'closed' || answer.status < 500);
    });

    const prompt = async (what: string, ask: () => Promise<unknown>): Promise<void> => {
      const ms = await promptMs(TRIES_MAX, LINEAR_MS, ask);
      assert.ok(ms < LINEAR_MS, `${what}: ${ms} ms`);
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
