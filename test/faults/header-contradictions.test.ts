/**
 * Headers that contradict the body, on calls whose body the front end does not read and on methods it does: 400 and
 * -32020, and what the headers or the body ask for is not done. Spellings that mean the same are served.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { Watcher } from '../clients/watcher.ts';
import { RawClient, type RawResponse } from '../frontend/raw-client.ts';
import { metaOf } from '../wire/raw-clients.ts';

const base64 = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`;
const VERSION = ['mcp-protocol-version', '2026-07-28'] as const;
const METHOD = ['mcp-method', 'tools/call'] as const;
const NAME = ['mcp-name', 'echo'] as const;
type Header = readonly [name: string, value: string];

/** `ok`: served. Otherwise -32020. */
interface Row {
  readonly what: string;
  readonly headers: readonly Header[];
  readonly method?: string;
  readonly params?: object;
  readonly ok?: true;
}

const ECHO = { name: 'echo', arguments: { text: 'said' } };
const REGION = (args: object): object => ({ name: 'region', arguments: args });
const REGION_NAME = ['mcp-name', 'region'] as const;
const READ = { method: 'resources/read', params: { uri: 'notes://today' } };
const LIST = { method: 'tools/list', params: {} };
const CALL_REGION = [VERSION, METHOD, REGION_NAME];

const ROWS: readonly Row[] = [
  { what: 'all three as they should be', headers: [VERSION, METHOD, NAME], ok: true },
  {
    what: 'another case of header names',
    headers: [
      ['MCP-Protocol-Version', '2026-07-28'],
      ['MCP-METHOD', 'tools/call'],
      ['mCp-NaMe', 'echo'],
    ],
    ok: true,
  },
  {
    what: 'white space around values',
    headers: [
      ['mcp-protocol-version', '  2026-07-28 '],
      ['mcp-method', ' \ttools/call  '],
      ['mcp-name', '   echo '],
    ],
    ok: true,
  },
  { what: 'a name in base64', headers: [VERSION, METHOD, ['mcp-name', base64('echo')]], ok: true },
  { what: 'no method', headers: [VERSION, NAME] },
  { what: 'an empty method', headers: [VERSION, ['mcp-method', ''], NAME] },
  { what: 'another method', headers: [VERSION, ['mcp-method', 'tools/list'], NAME] },
  { what: 'another case of the method', headers: [VERSION, ['mcp-method', 'Tools/Call'], NAME] },
  { what: 'the method in base64', headers: [VERSION, ['mcp-method', base64('tools/list')], NAME] },
  { what: 'the method twice', headers: [VERSION, METHOD, METHOD, NAME] },
  { what: 'two methods', headers: [VERSION, METHOD, ['mcp-method', 'ping'], NAME] },
  { what: 'no name', headers: [VERSION, METHOD] },
  { what: 'another tool', headers: [VERSION, METHOD, ['mcp-name', 'watched']] },
  { what: 'a tool that does not exist', headers: [VERSION, METHOD, ['mcp-name', 'nobody']] },
  { what: 'another case of the tool', headers: [VERSION, METHOD, ['mcp-name', 'Echo']] },
  { what: 'the name twice', headers: [VERSION, METHOD, NAME, NAME] },
  { what: 'two names', headers: [VERSION, METHOD, NAME, ['mcp-name', 'watched']] },
  { what: 'another name in base64', headers: [VERSION, METHOD, ['mcp-name', base64('watched')]] },
  { what: 'base64 without padding', headers: [VERSION, METHOD, ['mcp-name', '=?base64?ZWNobw?=']] },
  { what: 'base64 with other characters', headers: [VERSION, METHOD, ['mcp-name', '=?base64?ZWN!obw==?=']] },
  { what: 'base64 in base64', headers: [VERSION, METHOD, ['mcp-name', base64(base64('echo'))]] },
  { what: 'an upper-case marker', headers: [VERSION, METHOD, ['mcp-name', '=?BASE64?ZWNobw==?=']] },
  { what: 'a marker without its end', headers: [VERSION, METHOD, ['mcp-name', '=?base64?ZWNobw==']] },
  { what: 'base64 that is not UTF-8', headers: [VERSION, METHOD, ['mcp-name', '=?base64?/w==?=']] },
  { what: 'no version', headers: [METHOD, NAME] },
  { what: 'the version of a session', headers: [['mcp-protocol-version', '2025-11-25'], METHOD, NAME] },
  { what: 'a later version', headers: [['mcp-protocol-version', '2026-12-31'], METHOD, NAME] },
  { what: 'the version twice', headers: [VERSION, VERSION, METHOD, NAME] },
  { what: 'a list, rightly', headers: [VERSION, ['mcp-method', 'tools/list']], ...LIST, ok: true },
  { what: 'a list, without its method', headers: [VERSION], ...LIST },
  { what: 'a list, as a call', headers: [VERSION, METHOD, NAME], ...LIST },
  { what: 'a list, as another list', headers: [VERSION, ['mcp-method', 'prompts/list']], ...LIST },
  {
    what: 'a resource, rightly',
    headers: [VERSION, ['mcp-method', 'resources/read'], ['mcp-name', 'notes://today']],
    ...READ,
    ok: true,
  },
  {
    what: 'another resource',
    headers: [VERSION, ['mcp-method', 'resources/read'], ['mcp-name', 'notes://picture']],
    ...READ,
  },
  { what: 'a resource without its URI', headers: [VERSION, ['mcp-method', 'resources/read']], ...READ },
  {
    what: 'parameters, rightly',
    headers: [...CALL_REGION, ['mcp-param-region', 'north'], ['Mcp-Param-Count', '42'], ['mcp-param-loud', 'true']],
    params: REGION({ region: 'north', count: 42, loud: true }),
    ok: true,
  },
  {
    what: 'a parameter in base64',
    headers: [...CALL_REGION, ['mcp-param-region', base64('nörd')]],
    params: REGION({ region: 'nörd' }),
    ok: true,
  },
  {
    what: 'a number spelled otherwise',
    headers: [...CALL_REGION, ['mcp-param-region', 'a'], ['mcp-param-count', '42']],
    params: REGION({ region: 'a', count: 42.0 }),
    ok: true,
  },
  { what: 'a parameter that is missing', headers: CALL_REGION, params: REGION({ region: 'north' }) },
  {
    what: 'another value',
    headers: [...CALL_REGION, ['mcp-param-region', 'south']],
    params: REGION({ region: 'north' }),
  },
  {
    what: 'another case of the value',
    headers: [...CALL_REGION, ['mcp-param-region', 'North']],
    params: REGION({ region: 'north' }),
  },
  {
    what: 'a parameter twice',
    headers: [...CALL_REGION, ['mcp-param-region', 'north'], ['mcp-param-region', 'north']],
    params: REGION({ region: 'north' }),
  },
  {
    what: 'another number',
    headers: [...CALL_REGION, ['mcp-param-region', 'a'], ['mcp-param-count', '43']],
    params: REGION({ region: 'a', count: 42 }),
  },
  {
    what: 'no number',
    headers: [...CALL_REGION, ['mcp-param-region', 'a'], ['mcp-param-count', 'many']],
    params: REGION({ region: 'a', count: 42 }),
  },
  {
    what: 'another truth',
    headers: [...CALL_REGION, ['mcp-param-region', 'a'], ['mcp-param-loud', 'TRUE']],
    params: REGION({ region: 'a', loud: true }),
  },
  {
    what: 'a parameter with broken base64',
    headers: [...CALL_REGION, ['mcp-param-region', '=?base64?SGVsbG8?=']],
    params: REGION({ region: 'Hello' }),
  },
];

for (const frontend of FRONT_ENDS) {
  describe(`headers against bodies on ${frontend}`, () => {
    const watcher = new Watcher();
    let served: Served;
    let client: RawClient;
    before(async () => {
      served = await serve(frontend, {
        modules: ['shown-tools', 'readings', 'watched-tools'].map(fixture),
        workers: 1,
      });
      client = await RawClient.open(served.port);
    });
    after(async () => {
      watcher.close();
      client.destroy();
      await served.close();
    });

    const ask = (row: Row): Promise<RawResponse> => {
      const params = { ...(row.params ?? ECHO), _meta: metaOf() };
      const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 'x', method: row.method ?? 'tools/call', params }));
      const headers: readonly Header[] = [
        ['Host', '127.0.0.1'],
        ['Content-Type', 'application/json'],
        ['Accept', 'application/json, text/event-stream'],
        ['Content-Length', String(body.byteLength)],
        ...row.headers,
      ];
      const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      client.write(Buffer.concat([Buffer.from(`POST /mcp HTTP/1.1\r\n${head}\r\n`), body]));
      return client.response();
    };

    for (const row of ROWS) {
      test(`${row.what}: ${row.ok === true ? 'served' : 'refused'}`, async () => {
        const { status, body } = await ask(row);
        const message = JSON.parse(body.toString()) as { id?: unknown; result?: object; error?: { code: number } };
        assert.equal(message.id, 'x', body.toString());
        if (row.ok === true) {
          assert.equal(status, 200, body.toString());
          assert.ok(message.result !== undefined && !('isError' in message.result), body.toString());
        } else assert.deepEqual([status, message.error?.code], [400, -32020], body.toString());
      });
    }

    test('nothing that was refused ever ran', () => {
      assert.equal(watcher.count('started', 'undefined'), 0);
    });
  });
}
