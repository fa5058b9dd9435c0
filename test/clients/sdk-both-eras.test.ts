/**
 * The official client 2.x in each of its modes: `auto` (finds the stateless era by itself), pinned to 2026-07-28, and
 * `legacy` (a session). The same program must get the same answers in all three.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client, StreamableHTTPClientTransport, type VersionNegotiationMode } from '@modelcontextprotocol/client';
import { defineTool } from '../../src/index.ts';
import { tapFetch } from '../wire/tap-fetch.ts';
import { WireCheck } from '../wire/wire-check.ts';
import { eventually } from './eventually.ts';
import { callFiveTools, FIVE_TOOLS, textOf } from './five-tools.ts';
import { FRONT_ENDS, fixture, type Served, serve } from './serve.ts';
import { Watcher } from './watcher.ts';

interface Mode {
  readonly name: string;
  readonly mode: VersionNegotiationMode;
  readonly revision: string;
}

const MODES: readonly Mode[] = [
  { name: 'auto', mode: 'auto', revision: '2026-07-28' },
  { name: 'pinned', mode: { pin: '2026-07-28' }, revision: '2026-07-28' },
  { name: 'legacy', mode: 'legacy', revision: '2025-11-25' },
];
const MODULES = ['shown-tools', 'talking-tools', 'readings', 'watched-tools'].map(fixture);

async function connect(url: string, check: WireCheck, mode: VersionNegotiationMode): Promise<Client> {
  const client = new Client(
    { name: 'sdk-2', version: '1' },
    { capabilities: { elicitation: {}, sampling: {}, roots: {} }, versionNegotiation: { mode } },
  );
  client.setRequestHandler('elicitation/create', () => ({
    action: 'accept',
    content: { name: 'Ada', topic: 'mills' },
  }));
  client.setRequestHandler('sampling/createMessage', () => ({
    role: 'assistant',
    model: 'test',
    content: { type: 'text', text: 'wheel' },
  }));
  client.setRequestHandler('roots/list', () => ({ roots: [{ uri: 'file:///mill' }] }));
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { fetch: tapFetch(check) }));
  return client;
}

for (const frontend of FRONT_ENDS) {
  for (const { name: modeName, mode, revision } of MODES) {
    describe(`client 2.x, ${modeName}, on ${frontend}`, () => {
      const check = new WireCheck();
      const watcher = new Watcher();
      let served: Served;
      let client: Client;
      before(async () => {
        served = await serve(frontend, { modules: MODULES, workers: 1 });
        client = await connect(served.url, check, mode);
      });
      after(async () => {
        await client.close();
        watcher.close();
        await served.close();
        check.assertClean(20);
      });

      test('agrees on the revision, lists, and calls the five built-in tools', async () => {
        assert.equal(client.getNegotiatedProtocolVersion(), revision);
        assert.equal(client.getServerVersion()?.name, 'millrace');
        const names = (await client.listTools()).tools.map((tool) => tool.name);
        for (const name of FIVE_TOOLS) assert.ok(names.includes(name), name);
        await callFiveTools((name, args) => client.callTool({ name, arguments: args }));
      });

      test('reads resources and prompts, mirrors parameters to headers', async () => {
        const { contents } = await client.readResource({ uri: 'notes://today' });
        assert.deepEqual(
          contents.map((one) => ('text' in one ? one.text : '')),
          ['äöü€😀\u2028'],
        );
        assert.equal((await client.getPrompt({ name: 'review', arguments: { language: 'C' } })).messages.length, 5);
        const result = await client.callTool({ name: 'region', arguments: { region: ' Zürich', count: 3 } });
        assert.equal(textOf(result), ' Zürich × 3');
      });

      test('answers questions of tools and of a prompt', async () => {
        const answers = await Promise.all(
          ['ask-name', 'ask-model', 'ask-roots'].map(async (name) => textOf(await client.callTool({ name }))),
        );
        assert.deepEqual(answers, ['Hello, Ada', 'It said wheel', 'file:///mill']);
        const { messages } = await client.getPrompt({ name: 'asking' });
        assert.match(JSON.stringify(messages), /Write about mills/);
      });

      test('hears progress', async () => {
        const steps: number[] = [];
        const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
        await client.callTool({ name: 'count', arguments: { to: 3 } }, { onprogress });
        assert.deepEqual(steps, [1, 2, 3]);
      });

      test('cancels a call, and the tool notices', async () => {
        const label = `both ${frontend} ${modeName}`;
        const leaving = new AbortController();
        const { signal } = leaving;
        const call = client.callTool({ name: 'watched', arguments: { label, ms: 60_000 } }, { signal });
        await watcher.seen('started', label);
        leaving.abort('enough');
        await assert.rejects(call);
        await watcher.seen('cancelled', label);
      });

      test('hears of a tool that was added, and can call it', async () => {
        let lists = 0;
        client.setNotificationHandler('notifications/tools/list_changed', () => {
          lists += 1;
        });
        const listening = mode === 'legacy' ? null : await client.listen({ toolsListChanged: true });
        const added = defineTool({ name: 'added', description: 'New.', run: 'inline' }, () => 'I am new');
        served.runtime.catalogue.add({ definition: added, module: null });
        await eventually(
          'lists heard',
          () => lists,
          (heard) => heard === 1,
        );
        const { tools } = await client.listTools();
        assert.ok(tools.some((tool) => tool.name === 'added'));
        assert.equal(textOf(await client.callTool({ name: 'added' })), 'I am new');
        await listening?.close();
        await eventually(
          'streams',
          () => served.metric('millrace_streams', 'listen'),
          (open) => open === 0,
        );
      });
    });
  }
}
