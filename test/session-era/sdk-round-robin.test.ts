/** The official SDK client behind a balancer that knows nothing of sessions: every request goes to the next node. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { eventually } from '../clients/eventually.ts';
import { callFiveTools, textOf } from '../clients/five-tools.ts';
import { connect } from '../clients/sdk-client.ts';
import { Watcher } from '../clients/watcher.ts';
import { RedisServer } from '../redis/redis-server.ts';
import { Nodes } from './nodes.ts';

describe('SDK 1.x client over a round-robin of three nodes', () => {
  const watcher = new Watcher();
  let server: RedisServer;
  let nodes: Nodes;
  let turn = 0;
  const served = new Map<string, number>();

  const balanced = async (_url: string | URL, init?: RequestInit): Promise<Response> => {
    const url = nodes.urls[turn++ % nodes.urls.length] as string;
    served.set(url, (served.get(url) ?? 0) + 1);
    return fetch(url, init);
  };

  before(async () => {
    server = await RedisServer.start();
    nodes = await Nodes.start(3, server.url);
  });
  after(async () => {
    watcher.close();
    await nodes.close();
    await server.end();
  });

  test('calls tools, reads resources, and ends its session', async () => {
    const { client, transport } = await connect(nodes.urls[0] as string, balanced);
    for (let round = 0; round < 3; round++) {
      await callFiveTools((name, args) => client.callTool({ name, arguments: args }));
      await client.readResource({ uri: 'notes://today' });
      await client.listTools();
      await client.ping();
    }
    for (const url of nodes.urls) assert.ok((served.get(url) ?? 0) > 5, `${url} was asked`);
    await transport.terminateSession();
    await client.close();
  });

  test('is asked for input, for a completion and for its roots', async () => {
    const { client } = await connect(nodes.urls[0] as string, balanced);
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(
        ['ask-name', 'ask-model', 'ask-roots'].map(async (name) => textOf(await client.callTool({ name }))),
      );
      assert.deepEqual(answers, ['Hello, Ada', 'It said wheel', 'file:///mill']);
    }
    await client.close();
  });

  test('hears progress in order, and the answer, when it is sent away to another node', async () => {
    const { client } = await connect(nodes.urls[0] as string, balanced);
    for (let round = 0; round < 4; round++) {
      const steps: number[] = [];
      const onprogress = ({ progress }: { progress: number }): void => void steps.push(progress);
      const result = await client.callTool({ name: 'come-back' }, undefined, { onprogress });
      assert.equal(textOf(result), 'welcome back');
      assert.deepEqual(steps, [1, 2]);
    }
    await client.close();
  });

  test('cancels a call, and the tool notices', async () => {
    const { client } = await connect(nodes.urls[0] as string, balanced);
    for (let round = 0; round < 3; round++) {
      const label = `round robin ${round}`;
      const leaving = new AbortController();
      const call = client.callTool({ name: 'watched', arguments: { label, ms: 60_000 } }, undefined, {
        signal: leaving.signal,
      });
      await watcher.seen('started', label);
      leaving.abort('enough');
      await assert.rejects(call, /enough/);
      await watcher.seen('cancelled', label);
    }
    await client.close();
  });

  test('hears of the resource it subscribed to and of changed lists, whichever node they change on', async () => {
    const { client } = await connect(nodes.urls[0] as string, balanced);
    const updated: string[] = [];
    let lists = 0;
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updated.push(params.uri));
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
      lists += 1;
    });
    await client.subscribeResource({ uri: 'notes://today' });
    await eventually(
      'changes heard',
      async () => {
        await client.callTool({ name: 'touch', arguments: { uri: 'notes://today' } });
        return Math.min(updated.length, lists);
      },
      (heard) => heard >= 3,
    );
    assert.deepEqual(new Set(updated), new Set(['notes://today']));
    await client.close();
  });
});
