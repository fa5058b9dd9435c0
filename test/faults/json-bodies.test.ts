/**
 * Hostile JSON over HTTP and WebSocket: JSONTestSuite, nesting, size, duplicate keys, prototype pollution, text that is
 * not UTF-8. Each message is refused for what it is, or handled; nothing else happens.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { sharedPath } from '../catalogue/shared-data.ts';
import { promptMs } from '../clients/processor-time.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { openSocket } from '../wire/message-client.ts';
import { POST_HEADERS, Session, Stateless } from '../wire/raw-clients.ts';
import { callHeaders, callText, concat, META_TEXT, type Posted, post } from './post.ts';

const MIB = 1024 * 1024;
/** Of processor time: a refusal or an answer takes a fraction of this. */
const PROMPT_MS = 1000;
const TRIES_MAX = 4;

async function prompt<T>(msMax: number, work: () => Promise<T>): Promise<T> {
  let done!: T;
  const ms = await promptMs(TRIES_MAX, msMax, async () => {
    done = await work();
  });
  assert.ok(ms < msMax, `${ms} ms`);
  return done;
}

const SUITE = sharedPath('reliability', 'corpora', 'jsontestsuite', 'test_parsing');
const FILES = readdirSync(SUITE)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, expected: name[0] as string, bytes: readFileSync(join(SUITE, name)) }));

/** Codes a file of the suite may be answered with. */
function allowed(expected: string, codes: readonly number[]): readonly number[] {
  if (expected === 'n') return [-32700];
  return expected === 'y' ? codes : [-32700, ...codes];
}

async function overSuite(
  files: typeof FILES,
  codes: readonly number[],
  ask: (bytes: Buffer) => Promise<Posted>,
): Promise<void> {
  assert.ok(FILES.length > 300);
  const wrong: string[] = [];
  for (const file of files) {
    const { code, status, text } = await ask(file.bytes);
    if (!allowed(file.expected, codes).includes(code) || status >= 500) wrong.push(`${file.name}: ${status} ${text}`);
  }
  assert.deepEqual(wrong, []);
}

for (const frontend of FRONT_ENDS) {
  describe(`hostile JSON on ${frontend}`, () => {
    /** Each front end gets every second file: what JSON means does not depend on it. */
    const share = FILES.filter((_, i) => i % FRONT_ENDS.length === FRONT_ENDS.indexOf(frontend));
    let served: Served;
    before(async () => {
      served = await serve(frontend, { modules: [fixture('hostile-tools')], maxRequestBytes: 16 * MIB, workers: 1 });
    });
    after(() => served.close());

    /** The server is there, and its prototypes are as they were. */
    const expectHealthy = async (): Promise<void> => {
      const { result } = await new Stateless(served.url).call('sees-prototype');
      assert.match(JSON.stringify(result), /"added\\":\[\],\\"inherited\\":null,\\"constructed\\":null/);
      assert.equal(Reflect.get({}, 'polluted'), undefined);
    };

    test('JSONTestSuite as whole bodies, without and with headers of 2026-07-28', async () => {
      await overSuite(share, [-32600], (bytes) => post(served.url, bytes));
      const modern = { ...POST_HEADERS, 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/list' };
      await overSuite(share, [-32600], (bytes) => post(served.url, bytes, modern));
      await expectHealthy();
    });

    test('JSONTestSuite as arguments of a call that only the worker reads', async () => {
      const [head, tail] = callText('echo', '{"text":\0}').split('\0') as [string, string];
      await overSuite(share, [0], (bytes) => post(served.url, concat(head, bytes, tail), callHeaders('echo')));
    });

    test('JSONTestSuite as arguments within a session', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":\0}}}';
      const [head, tail] = call.split('\0') as [string, string];
      await overSuite(share, [0, -32600], (bytes) => post(served.url, concat(head, bytes, tail), session.headers));
    });

    test('JSONTestSuite over WebSocket: answered where it is text, closed where it is not', async () => {
      for (const expected of ['y', 'n', 'i']) {
        let connection = await openSocket(served.url);
        for (const file of FILES.filter((one) => one.expected === expected)) {
          const { client, socket, closed } = connection;
          socket.send(file.bytes, { binary: false });
          const answer = client.take(() => true).then((message) => (message['error'] as { code: number }).code);
          const outcome = await Promise.race([answer, closed]);
          if (typeof outcome === 'number') assert.ok(allowed(expected, [-32600]).includes(outcome), file.name);
          else {
            // uWebSockets.js leaves without a close frame.
            assert.ok([1007, 1006].includes(outcome.code), `${file.name}: ${outcome.code}`);
            assert.notEqual(expected, 'y', file.name);
            await assert.rejects(answer);
            connection = await openSocket(served.url);
          }
        }
        connection.socket.close();
      }
      await expectHealthy();
    });

    test('nesting of 64 is handled, of 1,000 and 200,000 refused, wherever it stands', async () => {
      for (const [depth, codes] of [
        [64, [0]],
        [1000, [-32700]],
        [200_000, [-32700]],
      ] as const) {
        for (const [open, close] of [
          ['[', ']'],
          ['{"a":', '}'],
        ] as const) {
          const nested = `{"deep":${open.repeat(depth)}1${close.repeat(depth)}}`;
          const [direct, session] = await prompt(PROMPT_MS, () =>
            Promise.all([
              post(served.url, callText('sees-prototype', nested), callHeaders('sees-prototype')),
              post(served.url, `{"jsonrpc":"2.0","id":1,"method":"ping","params":${nested}}`),
            ]),
          );
          assert.ok((codes as readonly number[]).includes(direct.code), direct.text.slice(0, 200));
          assert.ok(session.code === -32000 || session.code === -32700, session.text.slice(0, 200));
        }
      }
      await expectHealthy();
    });

    test('100,000 keys, a number of 10 MB and a string of 10 MB are handled or refused, promptly', async () => {
      const keys = Array.from({ length: 100_000 }, (_, i) => `"k${i}":${i}`).join(',');
      for (const [args, tool] of [
        [`{${keys}}`, 'big'],
        [`{"chars":${'1'.repeat(10 * MIB)}}`, 'big'],
        [`{"text":"${'x'.repeat(10 * MIB)}"}`, 'echo'],
      ] as const) {
        const answer = await prompt(4 * PROMPT_MS, () => post(served.url, callText(tool, args), callHeaders(tool)));
        assert.equal(answer.status, 200, answer.text.slice(0, 200));
      }
      await expectHealthy();
    });

    test('duplicate keys of the envelope never make two readers see two messages', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      for (const twice of [
        '"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a"}}',
        '"jsonrpc":"2.0","id":1,"method":"tools/call","method":"ping","params":{"name":"echo","arguments":{"text":"a"}}',
        '"jsonrpc":"2.0","id":1,"method":"tools/call","params":{},"params":{"name":"echo","arguments":{"text":"a"}}',
      ]) {
        const answer = await post(served.url, `{${twice}}`, session.headers);
        assert.equal(answer.code, -32600, `${twice}: ${answer.text}`);
      }
      // Written with an escape it takes a full parser to see: then that parser's reading, the last one, is the only one.
      const escaped = '{"jsonrpc":"2.0","id":1,"method":"tools/call","m\\u0065thod":"ping","params":{"name":"echo"}}';
      const read = await post(served.url, escaped, session.headers);
      assert.ok(read.code === -32600 || read.text.includes('"result":{}'), read.text);
      const names = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"big","name":"echo","arguments":{"text":"a","chars":2},${META_TEXT}}}`;
      const asBig = await post(served.url, names, callHeaders('big'));
      assert.equal(asBig.code, -32020, asBig.text);
      const asEcho = await post(served.url, names, callHeaders('echo'));
      assert.ok(asEcho.code === -32020 || asEcho.text.includes('"text":"a"'), asEcho.text);
      const inSession = await post(served.url, names.replace(`,${META_TEXT}`, ''), session.headers);
      assert.ok(inSession.code === -32600 || inSession.text.includes('"text":"a"'), inSession.text);
    });

    test('keys that name prototypes are plain keys', async () => {
      for (const args of [
        '{"__proto__":{"polluted":1}}',
        '{"constructor":{"prototype":{"polluted":1},"polluted":1}}',
        '{"__proto__":{"__proto__":{"polluted":1}},"prototype":{"polluted":1}}',
        '{"a":{"__proto__":{"polluted":1}},"toString":1,"hasOwnProperty":2}',
      ]) {
        const answer = await post(served.url, callText('sees-prototype', args), callHeaders('sees-prototype'));
        assert.equal(answer.code, 0, answer.text);
        assert.match(answer.text, /\\"inherited\\":null/);
      }
      // An argument that is only inherited is missing.
      const inherited = await post(served.url, callText('echo', '{"__proto__":{"text":"x"}}'), callHeaders('echo'));
      assert.match(inherited.text, /"isError":true/);
      const meta = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"__proto__":{${META_TEXT}}}}`;
      const claimed = await post(served.url, meta, {
        ...POST_HEADERS,
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/list',
      });
      assert.equal(claimed.code, -32602, claimed.text);
      await expectHealthy();
    });

    const BROKEN_TEXT: readonly (readonly [what: string, bytes: readonly number[]])[] = [
      ['a stray continuation byte', [0x80]],
      ['a cut sequence', [0xe2, 0x82]],
      ['an overlong slash', [0xc0, 0xaf]],
      ['an overlong null of three bytes', [0xe0, 0x80, 0x80]],
      ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
      ['a point past the last', [0xf4, 0x90, 0x80, 0x80]],
      ['0xff', [0xff]],
    ];
    test('bytes that are not UTF-8 are refused on every way in; a byte order mark too', async () => {
      const session = await Session.begin(served.url, REVISION_2025_11_25);
      for (const [what, bytes] of BROKEN_TEXT) {
        const [head, tail] = callText('echo', '{"text":"\0"}').split('\0') as [string, string];
        const message = concat(head, Uint8Array.from(bytes), tail);
        assert.equal((await post(served.url, message, callHeaders('echo'))).code, -32700, what);
        assert.equal((await post(served.url, message)).code, -32700, what);
        const plain = concat(
          '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"',
          Uint8Array.from(bytes),
          '"}}}',
        );
        assert.equal((await post(served.url, plain, session.headers)).code, -32700, what);
        const { socket, closed } = await openSocket(served.url);
        socket.send(message, { binary: false });
        assert.ok([1007, 1006].includes((await closed).code), what);
      }
      const marked = concat(Uint8Array.of(0xef, 0xbb, 0xbf), callText('echo', '{"text":"x"}'));
      assert.equal((await post(served.url, marked, callHeaders('echo'))).code, -32700);
      assert.equal((await post(served.url, marked)).code, -32700);
      const { client, socket } = await openSocket(served.url);
      socket.send(marked, { binary: false });
      assert.match(JSON.stringify(await client.take(() => true)), /-32700/);
      socket.close();
    });
  });
}
