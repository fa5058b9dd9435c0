/**
 * The streams as MCP clients of both eras see them, over real sockets: updates per close, queries, definitions at run
 * time, alerts with the events behind them, prompts, and a reader that does not read.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  ResourceListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { REVISIONS } from '../../../src/protocol/revisions.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { OriginalEvent } from '../../../src/streams/engine/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { textOf } from '../../clients/five-tools.ts';
import { type Served, serve } from '../../clients/serve.ts';
import { Session } from '../../wire/raw-clients.ts';

const URI = 'stream://load/windows/w';
const CLOSES = 10_000;
const STREAM: StreamDefinition = {
  name: 'load',
  description: 'Load of hosts.',
  schema: { fields: { at: 'integer', host: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['host'] },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count', mean: { fn: 'mean', of: 'v' } } }],
  alerts: [{ name: 'hot', on: 'w', when: 'mean > 50', severity: 'critical', message: '{key.host} is hot' }],
};

interface Rows {
  readonly rows: readonly { key: { host: string }; start: number; final: boolean; values: Record<string, number> }[];
  readonly watermark: number | null;
  readonly truncated: boolean;
}

describe('streams over MCP', () => {
  let served: Served;
  let client: Client;
  let modern: ModernClient;
  const heard = { session: [] as string[], listen: [] as string[], lists: 0, modernLists: 0 };
  let at = 0;

  const call = async (name: string, args: Record<string, unknown>) => client.callTool({ name, arguments: args });
  const publish = (events: object[], more: object = {}) => call('stream_publish', { stream: 'load', events, ...more });
  /** An event that closes all windows before it. */
  const close = async (): Promise<void> => {
    at += 1000;
    await publish([{ at, host: 'a', v: 1 }]);
  };
  const query = async (args: Record<string, unknown>): Promise<Rows> => {
    const result = await call('window_query', { stream: 'load', window: 'w', ...args });
    assert.notEqual(result['isError'], true, textOf(result));
    return result['structuredContent'] as Rows;
  };

  before(async () => {
    // Events that are looked at stay in the log until a checkpoint.
    served = await serve('auto', {
      workers: 1,
      streaming: { shards: 2, checkpointMs: 600_000 },
      liveStreams: [STREAM],
    });
    client = new Client({ name: 'v1', version: '1' });
    client.setNotificationHandler(
      ResourceUpdatedNotificationSchema,
      ({ params }) => void heard.session.push(params.uri),
    );
    client.setNotificationHandler(ResourceListChangedNotificationSchema, () => void heard.lists++);
    await client.connect(new StreamableHTTPClientTransport(new URL(served.url)));
    modern = new ModernClient({ name: 'v2', version: '1' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    modern.setNotificationHandler(
      'notifications/resources/updated',
      ({ params }) => void heard.listen.push(params.uri),
    );
    modern.setNotificationHandler('notifications/resources/list_changed', () => void heard.modernLists++);
    await modern.connect(new ModernTransport(new URL(served.url)));
    // Tools with an output schema are checked against it by the client from here on.
    await client.listTools();
  });
  after(async () => {
    await client.close();
    await modern.close();
    await served.close();
  });

  test('each close is told once in both eras, however many keys closed, and read', async () => {
    await client.subscribeResource({ uri: URI });
    const listening = await modern.listen({ resourceSubscriptions: [URI], resourcesListChanged: true });
    await publish(['a', 'b', 'c', 'd'].map((host, v) => ({ at: v, host, v })));
    for (let n = 1; n <= 3; n++) {
      await close();
      await eventually(
        'updates',
        () => [heard.session.length, heard.listen.length],
        ([a, b]) => a === n && b === n,
      );
    }
    assert.deepEqual(new Set([...heard.session, ...heard.listen]), new Set([URI]));
    const { contents } = await modern.readResource({ uri: URI });
    const read = JSON.parse((contents[0] as { text: string }).text) as Rows;
    assert.equal(read.rows.filter(({ final, start }) => final && start === 0).length, 4);
    assert.ok(listening !== undefined);
  });

  test('window_query: open, closed, by key, range, order and limit', async () => {
    const closed = await query({ include: 'closed', from: 0, to: 1000 });
    assert.deepEqual(closed.rows.map(({ key }) => key.host).sort(), ['a', 'b', 'c', 'd']);
    const open = await query({ include: 'open' });
    assert.deepEqual(
      open.rows.map(({ final, key, start, values }) => [key.host, start, final, values]),
      [['a', at, false, { n: 1, mean: 1 }]],
    );
    assert.equal((await query({ key: { host: 'b' } })).rows.length, 1);
    const best = await query({ include: 'closed', by: 'mean', limit: 2 });
    assert.deepEqual(
      best.rows.map(({ key }) => key.host),
      ['d', 'c'],
    );
    assert.equal(best.truncated, true);
    assert.equal(best.watermark, at - 1);
    const wrong = await call('window_query', { stream: 'load', window: 'missing' });
    assert.equal(wrong['isError'], true);
    assert.match(textOf(wrong), /missing.*it has w, hot/);
  });

  test('what every tool answers is as its schema says, down to the members', async () => {
    const { tools } = await client.listTools();
    const members = (name: string, ...path: string[]): string[] => {
      let schema = tools.find((tool) => tool.name === name)?.outputSchema as Record<string, never> | undefined;
      for (const step of path) schema = schema?.[step];
      return Object.keys(schema?.['properties'] ?? {});
    };
    const rowMembers = members('window_query', 'properties', 'rows', 'items');
    assert.ok(rowMembers.includes('values') && rowMembers.includes('events'));
    const alerts = members('alert_list', 'properties', 'alerts', 'items');
    const list = await call('stream_list', {});
    const [facts] = (list['structuredContent'] as { streams: object[] }).streams;
    assert.deepEqual(
      Object.keys(facts ?? {}).toSorted(),
      members('stream_list', 'properties', 'streams', 'items').toSorted(),
    );
    const described = await call('stream_describe', { stream: 'load' });
    assert.notEqual(described['isError'], true, textOf(described));
    assert.deepEqual(
      Object.keys(described['structuredContent'] as object).toSorted(),
      members('stream_describe').toSorted(),
    );
    assert.deepEqual(alerts.toSorted(), [
      ...['alert', 'atMs', 'events', 'id', 'key', 'message', 'result', 'severity', 'state', 'stream'],
    ]);
  });

  test('stream_publish counts, and the same batch id once', async () => {
    const events = [{ at, host: 'z', v: 2 }, { at: 'x' }];
    for (let n = 0; n < 2; n++) {
      const { structuredContent } = await publish(events, { batchId: 'once' });
      assert.deepEqual(structuredContent, { accepted: 1, rejected: 1, late: 0 });
    }
    assert.equal((await query({ include: 'open', key: { host: 'z' } })).rows[0]?.values['n'], 1);
    const other = await publish([{ at, host: 'z', v: 3 }], { batchId: 'once' });
    assert.match(textOf(other), /^this batch id was used for a batch with another body$/);
  });

  test('a window and a pattern are defined while it runs, and a bad one is named by its path', async () => {
    const before = [heard.lists, heard.modernLists];
    const definition = { name: 'peak', type: 'tumbling', sizeMs: 1000, aggregates: { high: { fn: 'max', of: 'v' } } };
    const defined = await call('window_define', { stream: 'load', definition });
    assert.notEqual(defined['isError'], true, textOf(defined));
    const steps = [
      { name: 'low', where: 'v < 1' },
      { name: 'high', where: 'v > 90' },
    ];
    const pattern = await call('pattern_define', {
      stream: 'load',
      definition: { name: 'jump', steps, withinMs: 5000 },
    });
    assert.notEqual(pattern['isError'], true, textOf(pattern));
    await eventually(
      'lists',
      () => [heard.lists, heard.modernLists],
      ([a = 0, b = 0]) => a > (before[0] ?? 0) && b > (before[1] ?? 0),
    );
    const uris = (await client.listResources()).resources.map(({ uri }) => uri);
    for (const uri of ['stream://load/windows/peak', 'stream://load/patterns/jump']) assert.ok(uris.includes(uri), uri);
    const bad = await call('window_define', {
      stream: 'load',
      definition: { ...definition, name: 'bad', aggregates: { high: { fn: 'max', of: 'nothing' } } },
    });
    assert.equal(bad['isError'], true);
    assert.match(textOf(bad), /^definition\.aggregates\.high\.of: "nothing"/);
    // Names of what comes behind it in the stream.
    for (const name of ['hot', 'jump']) {
      const taken = await call('window_define', { stream: 'load', definition: { ...definition, name } });
      assert.match(textOf(taken), new RegExp(`^definition\\.name: "${name}", expected a name that no other`));
    }
    await publish([{ at, host: 'p', v: 0.5 }]);
    await publish([{ at: at + 1, host: 'p', v: 91 }]);
    await close();
    assert.equal((await query({ window: 'peak', key: { host: 'p' } })).rows[0]?.values['high'], 91);
    assert.equal((await query({ window: 'jump', include: 'closed' })).rows.length, 1);
    // What was there before goes on.
    assert.equal((await query({ include: 'closed', from: 0, to: 1000 })).rows.length, 4);
  });

  test('what was defined while it runs is removed, and who subscribed to it or to the list is told', async () => {
    const uri = 'stream://load/windows/peak';
    await client.subscribeResource({ uri });
    const listening = await modern.listen({ resourceSubscriptions: [uri] });
    const [lists, modernLists] = [heard.lists, heard.modernLists];
    const removed = await call('window_remove', { stream: 'load', window: 'peak' });
    assert.notEqual(removed['isError'], true, textOf(removed));
    const pattern = await call('pattern_remove', { stream: 'load', pattern: 'jump' });
    assert.notEqual(pattern['isError'], true, textOf(pattern));
    await eventually(
      'all are told',
      () => [
        heard.session.includes(uri),
        heard.listen.includes(uri),
        heard.lists > lists,
        heard.modernLists > modernLists,
      ],
      (told) => told.every(Boolean),
    );
    await assert.rejects(client.readResource({ uri }), { code: -32002 });
    const left = (await client.listResources()).resources.map((resource) => resource.uri);
    assert.deepEqual(left, ['stream://load', 'stream://load/alerts/hot', URI]);
    const refused = async (name: string, args: object, why: RegExp): Promise<void> => {
      const answer = await call(name, { stream: 'load', ...args });
      assert.equal(answer['isError'], true);
      assert.match(textOf(answer), why);
    };
    await refused('window_remove', { window: 'peak' }, /no window "peak"; it has w$/);
    await refused('window_remove', { window: 'w' }, /^window w is declared \(liveStreams\[0\]\.windows\[0\]\): only/);
    await refused('pattern_remove', { pattern: 'w' }, /no pattern "w"; it has none$/);
    assert.ok(listening !== undefined);
  });

  test('an alert is listed with the events behind it; prompts describe and explain', async () => {
    const events = [
      { at, host: 'h', v: 70 },
      { at: at + 1, host: 'h', v: 80 },
    ];
    await publish(events);
    await close();
    const { structuredContent } = await call('alert_list', { stream: 'load', active: true, evidence: true });
    const { alerts } = structuredContent as {
      alerts: { id: string; key: { host: string }; severity: string; message: string; events: { text: string }[] }[];
    };
    const alert = alerts.find(({ key }) => key.host === 'h');
    assert.deepEqual([alert?.severity, alert?.message], ['critical', 'h is hot']);
    assert.deepEqual(
      alert?.events.map(({ text }) => JSON.parse(text)).sort((a, b) => a.at - b.at),
      events,
    );
    for (const [name, args] of [
      ['alert_list', {}],
      ['window_query', { window: 'w' }],
      ['stream_describe', {}],
      ['stream_publish', { events: [{}] }],
      ['window_define', { definition: { name: 'w', type: 'count', count: 2, aggregates: { n: 'count' } } }],
      ['window_remove', { window: 'w' }],
    ] as const) {
      const wrong = await call(name, { stream: 'nope', ...args });
      assert.deepEqual([wrong['isError'], textOf(wrong)], [true, 'no stream named "nope"; there are load'], name);
    }
    const shown = await query({ key: { host: 'h' }, include: 'closed', evidence: true });
    const [row] = shown.rows as unknown as { events: OriginalEvent[]; context: { events: string[] } }[];
    assert.deepEqual(
      row?.events.map(({ text }) => JSON.parse(text)).sort((a, b) => a.at - b.at),
      events,
    );
    assert.deepEqual(
      row?.events.map(({ id }) => id),
      row?.context.events,
    );
    for (const { arrivalMs, source } of row?.events ?? []) {
      assert.ok(Math.abs(Date.now() - arrivalMs) < 600_000, `${arrivalMs}`);
      assert.equal(source, 'mcp');
    }
    assert.equal('events' in ((await query({ key: { host: 'h' } })).rows[0] ?? {}), false);
    const misspelt = await call('window_query', { stream: 'load', window: 'w', lmit: 5 });
    assert.deepEqual([misspelt['isError'], /lmit/.test(textOf(misspelt))], [true, true]);
    const described = await client.getPrompt({ name: 'describe_stream', arguments: { stream: 'load' } });
    assert.match(JSON.stringify(described.messages), /stream:\/\/load\/windows\/w/);
    const unknown = await client.getPrompt({ name: 'describe_stream', arguments: { stream: 'nope' } });
    assert.match(JSON.stringify(unknown.messages), /no stream named/);
    const explained = await client.getPrompt({ name: 'explain_alert', arguments: { id: alert?.id ?? '' } });
    const { text = '' } = (explained.messages[0]?.content ?? {}) as { text?: string };
    for (const event of events) assert.ok(text.includes(JSON.stringify(event)), text);
  });

  test(`a reader that does not read while ${CLOSES} windows close costs bounded memory`, {
    timeout: 240_000,
  }, async () => {
    const revision = REVISIONS.find(({ name }) => name === '2025-11-25');
    assert.ok(revision !== undefined);
    const slow = await Session.begin(served.url, revision);
    const leaving = new AbortController();
    await slow.listen(leaving.signal);
    await slow.request('resources/subscribe', { uri: URI });
    const told = heard.session.length;
    const used = process.memoryUsage();
    for (let n = 0; n < CLOSES; n += 100) {
      // One source only: the watermark is the lowest of all.
      const events = Array.from({ length: 100 }, (_, i) => ({ at: at + (n + i + 1) * 1000, host: 'a', v: 1 }));
      assert.deepEqual((await publish(events)).structuredContent, { accepted: 100, rejected: 0, late: 0 });
    }
    at += CLOSES * 1000;
    await eventually(
      'updates go on',
      () => heard.session.length,
      (count) => count > told,
    );
    const { structuredContent } = await call('window_query', { stream: 'load', window: 'w', include: 'open' });
    assert.equal((structuredContent as unknown as Rows).watermark, at - 1);
    const grown = process.memoryUsage().rss - used.rss;
    assert.ok(grown < 256 * 2 ** 20, `${grown} bytes more`);
    leaving.abort();
  });
});
