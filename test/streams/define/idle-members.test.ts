/** Members and options that can do nothing beside the others: refused where they are declared, not where they are in force. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePlan, defineStream } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import { checkDeclaration } from '../../../src/streams/engine/connectors/check-declaration.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { openRig } from '../engine/rig.ts';
import { bids, OPTIONS, tumbling } from './bids.ts';

function problemsOf(definition: StreamDefinition): readonly string[] {
  try {
    checkDeclaration([definition], CONNECTOR_KINDS, OPTIONS);
    return [];
  } catch (error) {
    assert.ok(error instanceof DefinitionProblem, String(error));
    return error.message.split('\n');
  }
}

const arriving = (more: Partial<StreamDefinition>): StreamDefinition =>
  bids({ schema: { fields: { n: 'number' } }, ...more });
const cut = (type: 'count' | 'global', more: Partial<WindowDefinition>): StreamDefinition =>
  bids({ windows: [{ name: 'w', type, aggregates: { n: 'count' }, ...more }] });
const alert = (more: object): StreamDefinition =>
  bids({ windows: [tumbling()], alerts: [{ name: 'a', on: 'w', ...more }] });
const pattern = (first: object): StreamDefinition =>
  bids({ patterns: [{ name: 'p', steps: [{ name: 'a', ...first }, { name: 'b' }] }] });
const source = (options: object): StreamDefinition => bids({ sources: [{ type: 'file', ...options }] });
const sink = (options: object): StreamDefinition => bids({ sinks: [{ type: 'redis', stream: 'x', ...options }] });
const webhook = { webhook: 'http://127.0.0.1:1' };
const redis = { type: 'redis', stream: 'x', url: 'redis://127.0.0.1:1' };
const rediss = { stream: 'x', url: 'rediss://127.0.0.1:1' };

/** What is idle, what is told, and the same where it is not idle. */
const TABLE: readonly [what: string, idle: StreamDefinition, told: string, fine: StreamDefinition][] = [
  [
    'bytes on disk of a stream that does not spill',
    bids({ limits: { onFull: 'evict-idle', spillBytesMax: 2 ** 30 } }),
    'limits.spillBytesMax: 1073741824, expected onFull "spill" beside it: nothing goes to disk without',
    bids({ limits: { onFull: 'spill', spillBytesMax: 2 ** 30 } }),
  ],
  [
    'a guard against the future of arrivals',
    arriving({ time: { maxFutureMs: 5 } }),
    'time.maxFutureMs: 5, expected a field as schema.timestamp beside it: an event that arrives is never ahead of its arrival',
    arriving({ time: { maxFutureMs: 0, idleAfterMs: 5, outOfOrderMs: 5 } }),
  ],
  [
    'a time to remember nothing for',
    bids({ dedup: { idsMax: 0, batchIdsMax: 0, ttlMs: 5 } }),
    'dedup.ttlMs: 5, expected idsMax or batchIdsMax above 0 beside it: no id is remembered',
    bids({ dedup: { idsMax: 0, ttlMs: 5 } }),
  ],
  [
    'an early result after the last event',
    cut('count', { count: 3, trigger: { everyCount: 3 } }),
    'windows[0].trigger.everyCount: 3, expected less than count (3), which ends the window',
    cut('count', { count: 3, trigger: { everyCount: 2 } }),
  ],
  [
    'results kept of a window without any',
    cut('global', { retainRows: 10 }),
    'windows[0].retainRows: 10, expected trigger beside it: a global window has no other results',
    cut('global', { retainRows: 10, trigger: { everyCount: 2 } }),
  ],
  [
    'how the first step follows',
    pattern({ contiguity: 'next' }),
    'patterns[0].steps[0].contiguity: "next", expected a step before it: the first one begins a match with any event it takes',
    pattern({ contiguity: 'followedBy' }),
  ],
  [
    'silence where nothing is said',
    alert({ silenceMs: 5, actions: [] }),
    'alerts[0].silenceMs: 5, expected a webhook among actions: all others are told of each alert',
    alert({ silenceMs: 5, actions: [webhook] }),
  ],
  [
    'groups that are told one by one',
    alert({ groupBy: ['auction'], actions: [webhook] }),
    'alerts[0].groupBy: a list of 1, expected silenceMs above 0 beside it: alerts of a group are told one by one without',
    alert({ groupBy: ['auction'], silenceMs: 5, actions: [webhook] }),
  ],
  [
    'the time that paces a replay without pauses',
    source({ path: 'x', speed: 0, timestamp: 'at' }),
    'sources[0].timestamp: "at", expected speed above 0 beside it: lines are taken without pauses',
    source({ path: 'x', speed: 2, timestamp: 'at', unit: 's' }),
  ],
  [
    'its unit',
    source({ path: 'x', unit: 's' }),
    'sources[0].unit: "s", expected speed above 0 beside it: lines are taken without pauses',
    source({ path: 'x', speed: 1, timestamp: 'at', unit: 'ms' }),
  ],
  [
    'hosts that trade',
    source({ type: 'generator', kind: 'ticks', hosts: 5 }),
    'sources[0].hosts: 5, expected kind "telemetry" beside it',
    source({ type: 'generator', kind: 'telemetry', hosts: 5 }),
  ],
  [
    'symbols of the default kind',
    source({ type: 'generator', symbols: 5 }),
    'sources[0].symbols: 5, expected kind "ticks" beside it',
    source({ type: 'generator', kind: 'ticks', symbols: 5 }),
  ],
  [
    'bids of hosts',
    source({ type: 'generator', kind: 'telemetry', event: 'bid' }),
    'sources[0].event: "bid", expected kind "nexmark" beside it',
    source({ type: 'generator', event: 'bid' }),
  ],
  [
    'pauses of a generator without any',
    source({ type: 'generator', rate: 0, batchMs: 5 }),
    'sources[0].batchMs: 5, expected rate above 0 beside it: there are no pauses',
    source({ type: 'generator', batchMs: 5 }),
  ],
  [
    'types of members of an event that is JSON',
    source({ ...redis, field: 'event', numbers: ['n'] }),
    'sources[0].numbers: a list of 1, expected no field beside it: that holds the whole event as JSON, with numbers and booleans',
    source({ ...redis, numbers: ['n'], booleans: ['b'] }),
  ],
  [
    'authorities of a connection in the clear',
    source({ ...redis, tlsCaFile: '/dev/null' }),
    'sources[0].tlsCaFile: "/dev/null", expected a url that begins with rediss: beside it',
    source({ ...redis, ...rediss }),
  ],
  [
    'the same of a sink',
    sink({ ...redis, tlsCaFile: '/dev/null' }),
    'sinks[0].tlsCaFile: "/dev/null", expected a url that begins with rediss: beside it',
    sink(rediss),
  ],
];

describe('a declaration is refused for what can do nothing', () => {
  for (const [what, idle, told, fine] of TABLE) {
    test(what, () => {
      assert.deepEqual(problemsOf(idle), [`streams[0].${told}`]);
      assert.deepEqual(problemsOf(fine), []);
    });
  }

  test('defineStream looks at one by itself', () => {
    const idle = cut('count', { count: 3, trigger: { everyCount: 3 } });
    assert.throws(
      () => defineStream(idle),
      /^DefinitionProblem: windows\[0\]\.trigger\.everyCount: 3, expected less than/,
    );
  });

  test('what is in force already is compiled all the same', () => {
    for (const [what, idle] of TABLE) assert.doesNotThrow(() => compilePlan([idle], OPTIONS), what);
  });
});

test('a window or a pattern that comes by a call is refused for what can do nothing, whatever is in force beside it', async () => {
  const rig = await openRig([cut('global', { retainRows: 10 })]);
  const { service } = rig;
  await assert.rejects(
    service.define('bids', 'windows', {
      ...tumbling({ name: 'mine' }),
      type: 'global',
      sizeMs: undefined,
      retainRows: 5,
    }),
    /definition\.retainRows: 5, expected trigger beside it/,
  );
  await assert.rejects(
    service.define('bids', 'patterns', { name: 'p', steps: [{ name: 'a', contiguity: 'next' }] }),
    /definition\.steps\[0\]\.contiguity: "next", expected a step before it/,
  );
  const { operators } = await service.define('bids', 'windows', tumbling({ name: 'mine' }));
  assert.deepEqual(
    operators.map(({ name }) => name),
    ['bids/w', 'bids/mine'],
  );
  await rig.close();
});
