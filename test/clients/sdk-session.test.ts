/**
 * The official SDK 1.x client over Streamable HTTP: the session era as most clients speak it today.
 *
 * Everything it hears is checked against the official schema on the way.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { tapFetch } from '../wire/tap-fetch.ts';
import { WireCheck } from '../wire/wire-check.ts';
import { eventually } from './eventually.ts';
import { callFiveTools, FIVE_TOOLS, textOf } from './five-tools.ts';
import { CAPABILITIES, connect, RECONNECTION } from './sdk-client.ts';
import { FRONT_ENDS, fixture, type Served, serve } from './serve.ts';
import { Watcher } from './watcher.ts';

const MODULES = ['shown-tools', 'talking-tools', 'readings', 'watched-tools'].map(fixture);

for (const frontend of FRONT_ENDS) {
  describe(`SDK 1.x client on ${frontend}`, () => {
    const check = new WireCheck();
    const watcher = new Watcher();
    let served: Served;
    before(async () => {
      served = await serve(frontend, {
        modules: MODULES,
        server: { name: 'mill', version: '9.9', instructions: 'Grind.' },
      });
    });
    after(async () => {
      watcher.close();
      await served.close();
      check.assertClean(40);
    });

    test('initializes, lists, and calls the five built-in tools', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      assert.deepEqual(client.getServerVersion(), { name: 'mill', version: '9.9' });
      assert.equal(client.getInstructions(), 'Grind.');
      const names = (await client.listTools()).tools.map((tool) => tool.name);
      for (const name of FIVE_TOOLS) assert.ok(names.includes(name), name);
      await callFiveTools((name, args) => client.callTool({ name, arguments: args }));
      await client.ping();
      await client.close();
    });

    test('reads resources and prompts, completes arguments', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      assert.equal((await client.listResources()).resources.length, 4);
      assert.equal((await client.listResourceTemplates()).resourceTemplates.length, 1);
      assert.equal((await client.listPrompts()).prompts.length, 2);
      const { contents } = await client.readResource({ uri: 'notes://day/monday' });
      assert.deepEqual(
        contents.map((one) => ('text' in one ? one.text : '')),
        ['notes of monday'],
      );
      const prompt = await client.getPrompt({ name: 'review', arguments: { language: 'C' } });
      assert.equal(prompt.messages.length, 5);
      const { completion } = await client.complete({
        ref: { type: 'ref/resource', uri: 'notes://day/{day}' },
        argument: { name: 'day', value: 's' },
      });
      assert.deepEqual(completion.values, ['sunday']);
      await assert.rejects(client.readResource({ uri: 'notes://missing' }), /-32002/);
      await client.close();
    });

    test('hears progress, and log records from the level it set on', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      const levels: string[] = [];
      client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void levels.push(params.level));
      await client.setLoggingLevel('warning');
      const steps: number[] = [];
      const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
      const result = await client.callTool({ name: 'count', arguments: { to: 4 } }, undefined, { onprogress });
      assert.equal(textOf(result), 'counted to 4');
      assert.deepEqual(steps, [1, 2, 3, 4]);
      assert.deepEqual(levels, ['warning']);
      await client.close();
    });

    test('is asked for input, for a completion and for its roots', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      const answers = await Promise.all(
        ['ask-name', 'ask-model', 'ask-roots'].map(async (name) => textOf(await client.callTool({ name }))),
      );
      assert.deepEqual(answers, ['Hello, Ada', 'It said wheel', 'file:///mill']);
      await client.close();
    });

    test('cancels a call, and the tool notices', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      const label = `session ${frontend}`;
      const leaving = new AbortController();
      const call = client.callTool({ name: 'watched', arguments: { label, ms: 60_000 } }, undefined, {
        signal: leaving.signal,
      });
      await watcher.seen('started', label);
      leaving.abort('enough');
      await assert.rejects(call, /enough/);
      await watcher.seen('cancelled', label);
      await eventually(
        'calls in flight',
        () => served.metric('millrace_in_flight'),
        (value) => value === 0,
      );
      await client.close();
    });

    test('hears of the resource it subscribed to, until it unsubscribes, and of changed lists', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      const updated: string[] = [];
      client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
      let lists = 0;
      client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
        lists += 1;
      });
      await client.subscribeResource({ uri: 'notes://today' });
      await client.callTool({ name: 'touch', arguments: { uri: 'notes://today' } });
      await eventually(
        'updates heard',
        () => updated.length + lists,
        (heard) => heard === 2,
      );
      await client.unsubscribeResource({ uri: 'notes://today' });
      await client.callTool({ name: 'touch', arguments: { uri: 'notes://today' } });
      await eventually(
        'lists heard',
        () => lists,
        (heard) => heard === 2,
      );
      assert.deepEqual(updated, ['notes://today']);
      await client.close();
    });

    test('comes back for the answer when the server sends it away, by itself', async () => {
      const { client } = await connect(served.url, tapFetch(check));
      const steps: number[] = [];
      const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
      const result = await client.callTool({ name: 'come-back' }, undefined, { onprogress });
      assert.equal(textOf(result), 'welcome back');
      assert.deepEqual(steps, [1, 2]);
      await client.close();
    });

    test('takes its session up again on a new transport, and ends it for good', async () => {
      const { client, transport } = await connect(served.url, tapFetch(check));
      const { sessionId } = transport;
      assert.ok(sessionId !== undefined);
      const again = new StreamableHTTPClientTransport(new URL(served.url), {
        fetch: tapFetch(check),
        sessionId,
        reconnectionOptions: RECONNECTION,
      });
      const other = new Client({ name: 'sdk-1', version: '1' }, { capabilities: CAPABILITIES });
      await other.connect(again);
      again.setProtocolVersion('2025-11-25');
      assert.equal(textOf(await other.callTool({ name: 'echo', arguments: { text: 'same session' } })), 'same session');
      const sessions = await served.metric('millrace_sessions');
      await transport.terminateSession();
      assert.equal(await served.metric('millrace_sessions'), sessions - 1);
      await assert.rejects(other.ping(), /404|session not found/i);
      await other.close();
      await client.close();
    });
  });
}
