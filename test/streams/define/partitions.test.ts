/**
 * Which streams can be cut into partitions by their key: all that is kept of a key must be in the key's partition.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { JoinDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';

const OPTIONS = { epoch: 1, shards: 1 };
const window = { name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } } as const;

function sensors(more: Partial<StreamDefinition> = {}): StreamDefinition {
  return {
    name: 'sensors',
    schema: { fields: { at: 'integer', sensor: 'string', site: 'string', value: 'number' }, key: ['sensor'] },
    durability: 'replicated',
    partitions: 4,
    ...more,
  };
}

function problemsOf(...definitions: StreamDefinition[]): string[] {
  try {
    compilePlan(definitions, OPTIONS);
  } catch (error) {
    if (!(error instanceof DefinitionProblem)) throw error;
    return error.problems.map(({ expected, path, value }) => `${path}: ${value}, expected ${expected}`);
  }
  return [];
}

describe('replicated streams', () => {
  test('are joined and fed with replicated ones alone', () => {
    const feeding = sensors({ partitions: 1, sinks: [{ type: 'stream', stream: 'fed' }] });
    const fed: StreamDefinition = { name: 'fed', schema: { fields: { value: 'number' } } };
    const expected =
      'expected replicated, as that of stream sensors, which it is joined or fed with: both run on one node';
    assert.deepEqual(problemsOf(feeding, fed), [`streams[1].durability: missing, ${expected}`]);
    assert.deepEqual(problemsOf({ ...fed, durability: 'fsync', views: [{ name: 'v' }] }, feeding), [
      `streams[0].durability: "fsync", ${expected}`,
    ]);
    assert.deepEqual(problemsOf(feeding, { ...fed, durability: 'replicated' }), []);
  });
});

describe('streams with partitions', () => {
  test('may have operators whose keys hold the fields they are cut by, and connectors of which each has its own', () => {
    const definition = sensors({
      windows: [window, { ...window, name: 'both', key: ['site', 'sensor'] }],
      patterns: [{ name: 'p', steps: [{ name: 'a' }], key: ['sensor', 'site'] }],
      anomalies: [{ name: 'odd', value: 'value', type: 'zscore' }],
      views: [{ name: 'v' }],
      alerts: [{ name: 'a', on: 'w', groupBy: ['sensor'] }],
      sources: [{ type: 'redis', url: 'redis://h', stream: 'in:{partition}' }],
      sinks: [
        { type: 'redis', url: 'redis://h', stream: 'out' },
        { type: 'webhook', url: 'http://h' },
      ],
    });
    assert.deepEqual(problemsOf(definition), []);
    assert.equal(compilePlan([definition], OPTIONS).streams[0]?.partitions, 4);
    assert.equal(compilePlan([sensors({ partitions: 1 })], OPTIONS).streams[0]?.partitions, 1);
  });

  test('are replicated, and have a key', () => {
    assert.deepEqual(problemsOf(sensors({ durability: 'fsync' })), [
      'streams[0].partitions: 4, expected 1, or durability "replicated"',
    ]);
    assert.deepEqual(problemsOf(sensors({ schema: { fields: { at: 'integer' } } })), [
      'streams[0].schema.key: missing, expected fields to cut the stream by: it has partitions',
    ]);
    assert.match(problemsOf(sensors({ partitions: 65 }))[0] as string, /^streams\[0\]\.partitions: 65, expected .*64/);
  });

  test('have nothing that looks across keys', () => {
    const wanted = 'expected fields among which are sensor: the stream is cut by them';
    const definition = sensors({
      windows: [
        { ...window, key: [] },
        { ...window, name: 'site', key: ['site'] },
        { ...window, name: 'best', top: { by: 'n', limit: 3 } },
      ],
      patterns: [{ name: 'p', steps: [{ name: 'a' }], key: ['site'] }],
      anomalies: [{ name: 'odd', value: 'value', type: 'zscore', key: ['site'] }],
    });
    assert.deepEqual(problemsOf(definition), [
      `streams[0].windows[0].key: a list of 0, ${wanted}`,
      `streams[0].windows[1].key: a list of 1, ${wanted}`,
      'streams[0].windows[2].top: an object, expected nothing: no partition sees all keys',
      `streams[0].patterns[0].key: a list of 1, ${wanted}`,
      `streams[0].anomalies[0].key: a list of 1, ${wanted}`,
    ]);
    const grouped = sensors({
      windows: [{ ...window, key: ['sensor', 'site'] }],
      alerts: [{ name: 'a', on: 'w', groupBy: ['site'] }],
    });
    assert.deepEqual(problemsOf(grouped), [`streams[0].alerts[0].groupBy: a list of 1, ${wanted}`]);
  });

  test('meet streams that are cut alike, by the fields they are cut by', () => {
    const join = { name: 'j', type: 'window', sizeMs: 1000, with: 'sites', select: { v: 'left.value' } } as const;
    const sites = (more: Partial<StreamDefinition> = {}): StreamDefinition => ({
      ...sensors(more),
      name: 'sites',
      schema: { fields: { id: 'string', sensor: 'string' }, key: ['id'] },
    });
    const meeting = sensors({ joins: [{ ...join, on: { left: ['sensor'], right: ['id'] } }] });
    assert.deepEqual(problemsOf(meeting, sites()), []);
    assert.deepEqual(problemsOf(meeting, sites({ partitions: 2 })), [
      'streams[0].partitions: 4, expected 2, as stream sites, which it joins or feeds',
    ]);
    const crossing = sensors({ joins: [{ ...join, on: { left: ['sensor'], right: ['sensor'] } }] });
    assert.deepEqual(problemsOf(crossing, sites()), [
      'streams[0].joins[0].on: an object, expected the keys that both streams are cut by to meet: sensor and id',
    ]);
  });

  test('feed streams that are cut by the same fields', () => {
    const feeding = sensors({ windows: [window], sinks: [{ type: 'stream', stream: 'sums' }] });
    const sums = (key: string[]): StreamDefinition => ({
      ...sensors(),
      name: 'sums',
      schema: { fields: { sensor: 'string', n: 'integer' }, key },
    });
    assert.deepEqual(problemsOf(feeding, sums(['sensor'])), []);
    assert.deepEqual(problemsOf(feeding, sums(['n'])), [
      'streams[1].schema.key: a list of 1, expected sensor: stream sensors, cut by it, feeds this one',
    ]);
    const told = sensors({ windows: [window], alerts: [{ name: 'a', on: 'w', actions: [{ stream: 'sums' }] }] });
    assert.equal(problemsOf(told, sums(['n'])).length, 1);
  });

  test('hand nothing on whose key is another by name', () => {
    const target: StreamDefinition = {
      ...sensors(),
      name: 'target',
      schema: { fields: { sensor: 'string', state: 'string' }, key: ['sensor'] },
    };
    const sinks = [{ type: 'stream', stream: 'target' }];
    const expected = "expected values of other names than the key's: as sensor they would go on under another key";
    const join = {
      name: 'j',
      type: 'window' as const,
      sizeMs: 1000,
      with: 'sites',
      on: { left: ['sensor'], right: ['id'] },
    } satisfies Partial<JoinDefinition>;
    const sites: StreamDefinition = {
      ...sensors(),
      name: 'sites',
      schema: { fields: { id: 'string', site: 'string' }, key: ['id'] },
    };
    const good = sensors({
      sinks,
      windows: [window],
      views: [{ name: 'all' }, { name: 'some', select: { sensor: 'sensor', v: 'value' } }],
      joins: [
        { ...join, select: { sensor: 'left.sensor' } },
        { ...join, name: 'k', select: { sensor: 'right.id' } },
      ],
    });
    assert.deepEqual(problemsOf(good, target, sites), []);
    const bad = sensors({
      windows: [{ ...window, aggregates: { sensor: { fn: 'last', of: 'site' } } }],
      views: [{ name: 'v', select: { sensor: 'site' } }],
      patterns: [{ name: 'p', steps: [{ name: 'a' }], select: { sensor: 'last(a).site' } }],
      joins: [
        { ...join, select: { sensor: 'right.site' } },
        { ...join, name: 'k', kind: 'left', select: { sensor: 'right.id' } },
      ],
    });
    assert.deepEqual(problemsOf(bad, sites), []);
    assert.deepEqual(
      problemsOf({ ...bad, sinks }, target, sites).sort(),
      ['joins[0]', 'joins[1]', 'patterns[0]', 'views[0]', 'windows[0]'].map(
        (operator) => `streams[0].${operator}: "sensor", ${expected}`,
      ),
    );
    const byState = (stream: StreamDefinition): StreamDefinition => ({
      ...stream,
      schema: { fields: { sensor: 'string', state: 'string', value: 'number' }, key: ['state'] },
    });
    const told = sensors({ windows: [window], alerts: [{ name: 'a', on: 'w', actions: [{ stream: 'target' }] }] });
    assert.match(problemsOf(byState(told), byState(target)).join(), /^streams\[0\]\.alerts\[0\]: "state"/);
  });

  test('read and write nothing that partitions would share', () => {
    const definition = sensors({
      sources: [{ type: 'machine' }, { type: 'redis', url: 'redis://h', stream: 'in' }],
      sinks: [{ type: 'file', path: 'x' }],
    });
    assert.deepEqual(problemsOf(definition), [
      'streams[0].sources[0].type: "machine", expected redis: a source of a stream with partitions has as many',
      'streams[0].sources[1].stream: "in", expected a key with {partition} in it: each partition reads its own',
      'streams[0].sinks[0].type: "file", expected one that partitions can share: redis, stream, webhook',
    ]);
  });
});
