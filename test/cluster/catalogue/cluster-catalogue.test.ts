/**
 * What nodes learn of each other's tools, over a real Redis; who is alive is what the test says.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { defineTool, type ToolDefinition } from '../../../src/catalogue/define.ts';
import { compileDefinition, type SourcedDefinition } from '../../../src/catalogue/entries.ts';
import { ClusterCatalogue, GRACE_BEATS } from '../../../src/cluster/catalogue/cluster-catalogue.ts';
import { LEFT_MS, SEEN_MS, ToolBoard } from '../../../src/cluster/catalogue/tool-board.ts';
import { listingOf, remoteTool } from '../../../src/cluster/catalogue/tool-listing.ts';
import { RedisConnection } from '../../../src/redis/connection.ts';
import { sampleTool } from '../../catalogue/sample-catalogue.ts';
import { eventually } from '../../clients/eventually.ts';
import { NodeConnections } from '../../redis/node-connections.ts';
import { QUIET, RedisServer } from '../../redis/redis-server.ts';
import { FakeMembership } from '../forwarding/fake-membership.ts';
import { until } from '../peers/two-nodes.ts';

const BEAT_MS = 200;

const sourced = (definition: ToolDefinition): SourcedDefinition => ({ definition, module: null });
const tool = (name: string, description = ''): SourcedDefinition =>
  sourced(defineTool({ name, description, run: 'inline' }, () => ''));

async function now(redis: RedisServer): Promise<number> {
  const [seconds] = (await redis.run('TIME')) as [string];
  return 1000 * Number(seconds);
}

interface Node {
  readonly catalogue: ClusterCatalogue;
  readonly membership: FakeMembership;
  readonly warnings: string[];
  /** What it learnt last, and how often it was told. */
  learnt: readonly SourcedDefinition[];
  times: number;
  readonly descriptions: () => Record<string, string | undefined>;
  close(): Promise<void>;
}

describe('tools of other nodes', () => {
  let redis: RedisServer;
  let nodes: Node[] = [];

  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.end());
  beforeEach(() => redis.run('FLUSHALL'));
  afterEach(async () => {
    for (const node of nodes) await node.close();
    nodes = [];
  });

  async function start(id: string, others: readonly string[]): Promise<Node> {
    const { commands, subscriber } = await new NodeConnections(redis.url).ready();
    const membership = new FakeMembership(id);
    for (const other of [id, ...others]) membership.set(other);
    const warnings: string[] = [];
    const node: Node = {
      catalogue: new ClusterCatalogue({
        board: new ToolBoard(commands, subscriber.publishCommand, 'test:', 3 * BEAT_MS),
        membership,
        heartbeatMs: BEAT_MS,
        subscribe: (channel, listener) => subscriber.on(channel, listener),
        learn: (definitions) => {
          node.learnt = definitions;
          node.times += 1;
        },
        looked: () => undefined,
        log: { warn: (_fields, message) => warnings.push(message) },
        now: () => performance.now(),
      }),
      membership,
      warnings,
      learnt: [],
      times: 0,
      descriptions: () =>
        Object.fromEntries(node.learnt.map(({ definition }) => [definition.name as string, definition.description])),
      async close() {
        await node.catalogue.close();
        subscriber.close();
        commands.close();
      },
    };
    nodes.push(node);
    node.catalogue.start();
    return node;
  }

  const names = (node: Node): string => Object.keys(node.descriptions()).sort().join();

  test('are learnt by all, and what a node offers is known of it', async () => {
    const a = await start('a', ['b', 'c']);
    const b = await start('b', ['a', 'c']);
    const c = await start('c', ['a', 'b']);
    assert.deepEqual(a.catalogue.offer([tool('one'), tool('both')]), ['both', 'one']);
    b.catalogue.offer([tool('two'), tool('both')]);
    c.catalogue.offer([]);
    await until(() => names(a) === 'both,two' && names(b) === 'both,one' && names(c) === 'both,one,two');
    assert.deepEqual(
      [c.catalogue.offers('a', 'one'), c.catalogue.offers('b', 'one'), c.catalogue.offers('x', 'one')],
      [true, false, false],
    );
  });

  test('arrive whole: the definition that was told compiles to the same lists', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([sourced({ ...sampleTool, task: 'optional', timeoutMs: 77, run: 'inline' })]);
    await until(() => b.learnt.length === 1);
    const learnt = compileDefinition(b.learnt[0] as SourcedDefinition);
    const own = compileDefinition(sourced({ ...sampleTool, run: 'inline' }));
    assert.deepEqual([learnt.inputSchema, learnt.outputSchema], [own.inputSchema, own.outputSchema]);
    const { entry } = learnt;
    assert.deepEqual(
      [entry.run, entry.timeoutMs, entry.task, entry.repeatable, entry.module],
      ['remote', 77, 'optional', true, null],
    );
    const { annotations, icons, title, _meta } = learnt.source.definition as ToolDefinition;
    assert.deepEqual(
      [annotations, icons, title, _meta],
      [sampleTool.annotations, sampleTool.icons, sampleTool.title, sampleTool._meta],
    );
  });

  test('that change are learnt anew; others keep their definition', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([tool('kept'), tool('changed', 'before')]);
    await until(() => b.descriptions()['changed'] === 'before');
    const kept = b.learnt.find(({ definition }) => definition.name === 'kept');
    a.catalogue.offer([tool('kept'), tool('changed', 'after'), tool('new')]);
    await until(() => b.descriptions()['changed'] === 'after' && 'new' in b.descriptions());
    assert.equal(
      b.learnt.find(({ definition }) => definition.name === 'kept'),
      kept,
    );
    const { times } = b;
    a.catalogue.offer([tool('new'), tool('kept'), tool('changed', 'after')]);
    await b.catalogue.look();
    assert.equal(b.times, times);
  });

  test('told of differently are believed of the node that was started last, by everyone', async () => {
    const a = await start('a', ['b', 'c', 'd']);
    const others = [await start('b', ['a', 'c', 'd']), await start('c', ['a', 'b', 'd'])];
    for (const node of [a, ...others]) {
      node.membership.set('b', { epoch: 7 });
      node.membership.set('c', { epoch: 3 });
    }
    const d = await start('d', ['a', 'b', 'c']);
    d.membership.set('b', { epoch: 7 });
    d.membership.set('c', { epoch: 3 });
    others[0]?.catalogue.offer([tool('t', 'of b')]);
    others[1]?.catalogue.offer([tool('t', 'of c')]);
    await until(() => a.catalogue.offers('b', 't') && a.catalogue.offers('c', 't'));
    await until(() => d.catalogue.offers('b', 't') && d.catalogue.offers('c', 't'));
    await until(() => a.descriptions()['t'] === 'of b' && d.descriptions()['t'] === 'of b');
  });

  test('outlive their node for a few heartbeats, so that a restart takes nothing away, and not for longer', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([tool('t')]);
    await until(() => names(b) === 't');
    const gone = performance.now();
    // The node was alive at the last look, and that may be a while ago.
    await b.catalogue.look();
    b.membership.remove('a');
    await a.close();
    await until(() => names(b) === '');
    assert.ok(performance.now() - gone >= GRACE_BEATS * BEAT_MS);
    assert.equal(await redis.run('EXISTS', 'test:tools:a'), 0);
  });

  test('stay known while Redis has lost them, and are told again by their node', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([tool('t')]);
    await until(() => names(b) === 't');
    await redis.run('FLUSHALL');
    await b.catalogue.look();
    assert.equal(names(b), 't');
    await until(() => b.catalogue.offers('a', 't'));
    const leftMs = async (): Promise<number> => Number(await redis.run('PTTL', 'test:tools:a'));
    // -2: it is not there, -1: for ever.
    const ttlMs = await eventually('the tools', leftMs, (ms) => ms !== -2);
    assert.ok(ttlMs >= 0 && ttlMs <= 3 * BEAT_MS);
  });

  test('of a later start are not taken away, written over or kept up by an earlier one', async () => {
    const b = await start('b', ['a']);
    const early = await start('a', ['b']);
    const late = await start('a', ['b']);
    early.membership.set('a', { epoch: 10 });
    late.membership.set('a', { epoch: 11 });
    b.membership.set('a', { epoch: 11 });
    early.catalogue.offer([tool('early')]);
    await until(() => names(b) === 'early');
    late.catalogue.offer([tool('late')]);
    await until(() => names(b) === 'late');
    // It does not know yet that it is fenced.
    early.catalogue.offer([tool('early'), tool('more')]);
    await early.close();
    for (let look = 0; look < 5; look++) {
      await b.catalogue.look();
      assert.equal(names(b), 'late');
    }
    // Kept up by heartbeats, which a busy machine may miss.
    const told = async (): Promise<number> => Number(await redis.run('EXISTS', 'test:tools:a'));
    await eventually('the tools of the later start', told, (count) => count === 1);
    await late.close();
    assert.equal(await redis.run('EXISTS', 'test:tools:a'), 0);
  });

  test('are not written by a start that is fenced, nor before it has an epoch', async () => {
    const a = await start('a', []);
    a.membership.set('a', { epoch: 0 });
    a.catalogue.offer([tool('t')]);
    await a.catalogue.look();
    assert.equal(await redis.run('EXISTS', 'test:tools:a'), 0);
    a.membership.set('a', { epoch: 5 });
    const told = async (): Promise<number> => Number(await redis.run('EXISTS', 'test:tools:a'));
    await eventually('the tools', told, (count) => count === 1);
    a.membership.fenced = true;
    await redis.run('DEL', 'test:tools:a');
    a.catalogue.offer([tool('t'), tool('u')]);
    const endMs = performance.now() + 4 * BEAT_MS;
    await eventually(
      'heartbeats',
      () => performance.now(),
      (nowMs) => nowMs > endMs,
    );
    assert.equal(await redis.run('EXISTS', 'test:tools:a'), 0);
  });

  test('are missed for an hour by name when nobody runs them any more, unless they were taken away on purpose', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([tool('lost'), tool('dropped')]);
    b.catalogue.offer([tool('here')]);
    const seen = async (): Promise<string> => {
      await Promise.all([a.catalogue.look(), b.catalogue.look()]);
      return [...b.catalogue.seen].sort().join();
    };
    await eventually('all names', seen, (names) => names === 'dropped,here,lost');
    a.catalogue.offer([tool('lost')]);
    await eventually('the names that are left', seen, (names) => names === 'here,lost');
    a.membership.fenced = true;
    b.membership.remove('a');
    await redis.run('ZADD', 'test:tools-seen', 'XX', (await now(redis)) - SEEN_MS + 60_000, 'lost');
    assert.equal(await seen(), 'here,lost');
    await redis.run('ZADD', 'test:tools-seen', 'XX', (await now(redis)) - SEEN_MS - 1, 'lost');
    assert.equal(await seen(), 'here');
    assert.ok(Number(await redis.run('PTTL', 'test:tools-seen')) > 0);
  });

  test('are missed for a moment by name when the last node that ran them has left in order', async () => {
    const a = await start('a', ['b']);
    const b = await start('b', ['a']);
    a.catalogue.offer([tool('left'), tool('both')]);
    b.catalogue.offer([tool('both')]);
    const seen = async (): Promise<string> => {
      await Promise.all([a.catalogue.look(), b.catalogue.look()]);
      return [...b.catalogue.seen].sort().join();
    };
    await eventually('all names', seen, (names) => names === 'both,left');
    await a.close();
    assert.equal(await seen(), 'both,left');
    const leftMs = async (name: string): Promise<number> =>
      SEEN_MS - (await now(redis)) + Number(await redis.run('ZSCORE', 'test:tools-seen', name));
    const [left, both] = [await leftMs('left'), await leftMs('both')];
    assert.ok(left <= LEFT_MS + 1000, `${left} ms`);
    assert.ok(both > SEEN_MS / 2, `${both} ms`);
    await redis.run('ZINCRBY', 'test:tools-seen', -LEFT_MS - 1000, 'left');
    assert.equal(await seen(), 'both');
    assert.deepEqual(await redis.run('HKEYS', '{test:tools-seen}:by'), ['both']);
    assert.ok(Number(await redis.run('PTTL', '{test:tools-seen}:by')) > 0);
  });

  test('are not missed when the node that died comes back without them; those of another one are', async () => {
    const died = async (node: Node): Promise<void> => {
      node.membership.fenced = true;
      await node.close();
    };
    const b = await start('b', ['a', 'c']);
    b.catalogue.offer([]);
    const a = await start('a', ['b', 'c']);
    a.catalogue.offer([tool('dropped'), tool('kept')]);
    const c = await start('c', ['a', 'b']);
    c.catalogue.offer([tool('lost')]);
    const seen = async (): Promise<string> => {
      await b.catalogue.look();
      return [...b.catalogue.seen].sort().join();
    };
    await eventually('all names', seen, (names) => names === 'dropped,kept,lost');
    await died(a);
    await died(c);
    assert.equal(await seen(), 'dropped,kept,lost');
    const again = await start('a', ['b']);
    assert.equal(await seen(), 'dropped,kept,lost');
    again.catalogue.offer([tool('kept')]);
    await again.catalogue.look();
    await eventually('the names that are left', seen, (names) => names === 'kept,lost');
  });

  test('that cannot be used are left out, and said once', async () => {
    const b = await start('b', ['a']);
    const commands = new RedisConnection(redis.url, 'test', QUIET);
    await commands.ready();
    try {
      const board = new ToolBoard(commands, 'PUBLISH', 'test:', 60_000);
      const bad = [
        '{"name":"bad","inputSchema":{"type":"array"}}',
        '{"name":"bad name!","inputSchema":{"type":"object"}}',
        'no json',
        '{}',
      ];
      await board.write('a', 1, [...bad, listingOf(tool('good'))]);
      await until(() => names(b) === 'good');
      await b.catalogue.look();
      await b.catalogue.look();
      assert.equal(b.warnings.length, bad.length);
    } finally {
      commands.close();
    }
  });

  test('members that this version does not know are left out', () => {
    const listing = JSON.stringify({ ...JSON.parse(listingOf(tool('t'))), newer: true });
    assert.equal(remoteTool(listing).definition.name, 't');
  });
});
