/**
 * `millrace stdio` as a child process: the SDK 1.x client, client 2.x, and bare lines of both eras.
 */
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { Client as ModernClient } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { asChild, MAIN_ARGS } from '../cli/millrace.ts';
import { MessageClient } from '../wire/message-client.ts';
import { metaOf } from '../wire/raw-clients.ts';
import { type Json, WireCheck } from '../wire/wire-check.ts';
import { callFiveTools, FIVE_TOOLS } from './five-tools.ts';

const SERVER = {
  command: process.execPath,
  args: [...MAIN_ARGS, 'stdio', '--workers', '1', '--log-level', 'warn'],
  stderr: 'ignore' as const,
};
const resultOf = (message: Json): Json => message['result'] as Json;

describe('stdio', { concurrency: 2 }, () => {
  test('SDK 1.x client: initializes, lists, calls the five built-in tools, cancels, closes', async () => {
    const client = new Client({ name: 'sdk-1', version: '1' });
    await client.connect(new StdioClientTransport(SERVER));
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.deepEqual(names.sort(), [...FIVE_TOOLS]);
    await callFiveTools((name, args) => client.callTool({ name, arguments: args }));
    const leaving = new AbortController();
    const call = client.callTool({ name: 'sleep', arguments: { ms: 60_000 } }, undefined, { signal: leaving.signal });
    leaving.abort('enough');
    await assert.rejects(call, /enough/);
    await client.ping();
    await client.close();
  });

  test('client 2.x, auto: finds 2026-07-28 and calls the five built-in tools', async () => {
    const client = new ModernClient({ name: 'sdk-2', version: '1' }, { versionNegotiation: { mode: 'auto' } });
    await client.connect(new ModernStdio(SERVER));
    assert.equal(client.getNegotiatedProtocolVersion(), '2026-07-28');
    await callFiveTools((name, args) => client.callTool({ name, arguments: args }));
    await client.close();
  });

  test('bare lines: both eras on one pipe, all of it valid, and a clean end with its input', async (context) => {
    const check = new WireCheck();
    const child = asChild(context, SERVER.args.slice(MAIN_ARGS.length));
    const client = new MessageClient((text) => void child.process.stdin.write(`${text}\n`), check);
    createInterface({ input: child.process.stdout }).on('line', (line) => client.received(line));
    assert.deepEqual(resultOf(await client.stateless('server/discover'))['supportedVersions'], ['2026-07-28']);
    await callFiveTools(async (name, args) =>
      resultOf(await client.stateless('tools/call', { name, arguments: args })),
    );
    client.raw('{"jsonrpc":"2.0","id":');
    const broken = await client.take((message) => message['id'] === undefined);
    assert.match(JSON.stringify(broken), /-32700/);
    const cancelled = client.stateless('tools/call', { name: 'sleep', arguments: { ms: 60_000 } }, 'gone');
    cancelled.catch((cause: Error) => assert.match(cause.message, /closed/));
    client.abandon('gone');
    await client.initialize('2025-11-25');
    await callFiveTools(async (name, args) => resultOf(await client.request('tools/call', { name, arguments: args })));
    const listening = client.stateless('subscriptions/listen', { notifications: { toolsListChanged: true } });
    await client.takeMethod('notifications/subscriptions/acknowledged');
    const last = client.request('tools/call', { name: 'sleep', arguments: { ms: 20 }, _meta: metaOf() });
    child.process.stdin.end();
    assert.match(JSON.stringify(await last), /slept 20 ms/);
    assert.equal((await child.ended).code, 0);
    client.closed('end');
    await listening.then(
      (message) => assert.equal(resultOf(message)['resultType'], 'complete'),
      (cause: Error) => assert.match(cause.message, /closed/),
    );
    assert.ok(!client.heard.some((message) => message['id'] === 'gone'));
    check.assertClean(15);
  });
});
