/** Options of sources and sinks that nobody reads are refused, and those that are read are not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { checkConnectors } from '../../../src/streams/engine/connectors/check-connectors.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { SINK_KINDS } from '../../../src/streams/sinks/kinds.ts';
import { SOURCE_KINDS } from '../../../src/streams/sources/kinds.ts';
import { TestHost } from '../sources/test-host.ts';
import { openRig } from './rig.ts';

const base: StreamDefinition = { name: 's', schema: { fields: { n: 'integer' } }, views: [{ name: 'v' }] };
const REDIS = 'redis://127.0.0.1:1';

/** What a declaration needs at least, in all the ways that read different options. */
const SOURCES: Readonly<Record<string, readonly object[]>> = {
  file: [{ path: 'x' }],
  generator: [{ kind: 'nexmark' }, { kind: 'ticks' }, { kind: 'telemetry' }],
  machine: [{}],
  redis: [{ url: REDIS, stream: 'x' }],
};
const SINKS: Readonly<Record<string, object>> = {
  file: { path: 'x' },
  parquet: { path: 'x' },
  redis: { url: REDIS, stream: 'x' },
  webhook: { url: 'http://127.0.0.1:1' },
};

function problemsOf(stream: Partial<StreamDefinition>): readonly string[] {
  try {
    checkConnectors([{ ...base, ...stream }], CONNECTOR_KINDS);
    return [];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

/** The options, and the names of those that are asked for. */
function watched(options: object): { readonly options: Record<string, unknown>; readonly asked: Set<string> } {
  const asked = new Set<string>();
  const get = (target: object, name: string | symbol): unknown => {
    asked.add(String(name));
    return Reflect.get(target, name);
  };
  return { asked, options: new Proxy({ ...options }, { get }) as Record<string, unknown> };
}

describe('options of sources and sinks', () => {
  test('a kind states the options that it reads, no more and no fewer', () => {
    for (const [type, kind] of SOURCE_KINDS) {
      const read = new Set<string>();
      for (const options of SOURCES[type] ?? assert.fail(`no declaration of ${type}`)) {
        const given = watched(options);
        kind.create(given.options, 's', new TestHost());
        for (const name of given.asked) read.add(name);
      }
      assert.deepEqual([...read].sort(), [...kind.options].sort(), `source ${type}`);
    }
    for (const [type, kind] of SINK_KINDS) {
      const given = watched(SINKS[type] ?? assert.fail(`no declaration of ${type}`));
      kind.create(given.options, 's');
      given.asked.delete('fence');
      assert.deepEqual([...given.asked].sort(), [...kind.options].sort(), `sink ${type}`);
    }
  });

  test('one that there is not is refused by its path, with the nearest there is', () => {
    assert.deepEqual(problemsOf({ sources: [{ type: 'generator', rate: 5, hostes: 3 }] }), [
      'streams[0].sources[0].hostes: "hostes", expected no such option, but one of type, name, kind, event, rate, batchMs, limit, seed, baseTimeMs, symbols, hosts; did you mean hosts?',
    ]);
    const sinks = [
      { type: 'webhook', url: 'http://127.0.0.1:1', header: { authorization: 'secret' } },
      { type: 'file', path: 'x', rows: 5 },
      { type: 'stream', stream: 'other', steam: 'x' },
      { type: 'redis', url: REDIS, stream: 'x', fence: 3 },
    ];
    const problems = problemsOf({ sinks });
    const ends = problems.map((line) => [line.split(':')[0], line.split('did you mean ')[1] ?? '']);
    assert.deepEqual(ends, [
      ['streams[0].sinks[0].header', 'headers?'],
      ['streams[0].sinks[1].rows', ''],
      ['streams[0].sinks[2].steam', 'stream?'],
      ['streams[0].sinks[3].fence', ''],
    ]);
    assert.ok(!problems.join().includes('secret'));
  });

  test('a file or folder that two sinks would write to is refused, however it is written', () => {
    const sinks = ['out/a', './out/b', 'out/../out/a', 'out/b'].map((path, i) => ({
      type: 'file',
      path,
      name: `n${i}`,
    }));
    assert.deepEqual(problemsOf({ sinks }), [
      'streams[0].sinks[2].path: "out/../out/a", expected a path of its own: streams[0].sinks[0] writes there',
      'streams[0].sinks[3].path: "out/b", expected a path of its own: streams[0].sinks[1] writes there',
    ]);
    const other = { ...base, name: 'other', sinks: [{ type: 'parquet', path: 'p' }] };
    assert.throws(
      () => checkConnectors([{ ...base, sinks: [{ type: 'parquet', path: 'p/' }] }, other], CONNECTOR_KINDS),
      /^DefinitionProblem: streams\[1\]\.sinks\[0\]\.path: "p", expected .* streams\[0\]\.sinks\[0\] writes there$/,
    );
  });

  test('a sink that is only looked at leaves no timer behind', (t) => {
    const intervals = t.mock.method(globalThis, 'setInterval');
    const timeouts = t.mock.method(globalThis, 'setTimeout');
    const sinks = Object.entries(SINKS).map(([type, options]) => ({ type, name: type, ...options }));
    assert.deepEqual(problemsOf({ sinks }), []);
    assert.equal(intervals.mock.callCount() + timeouts.mock.callCount(), 0);
  });

  test('a file of certificate authorities that is not there is told by its path', () => {
    const redis = { type: 'redis', url: 'rediss://127.0.0.1:1', stream: 'x', tlsCaFile: '/none/ca.pem' };
    const told = '.tlsCaFile: "/none/ca.pem", expected a file that can be read (ENOENT)';
    assert.deepEqual(problemsOf({ sources: [redis], sinks: [redis] }), [
      `streams[0].sources[0]${told}`,
      `streams[0].sinks[0]${told}`,
    ]);
  });

  test('an address that may hold a password is told to be wrong, and not shown', () => {
    assert.deepEqual(problemsOf({ sources: [{ type: 'redis', url: 'http://me:secret@host', stream: 'x' }] }), [
      'streams[0].sources[0].url: a text (not shown), expected redis://host:port or rediss://host:port',
    ]);
  });

  test('a name, and of a sink what it takes, are options of all', () => {
    const ways = Object.entries(SOURCES).flatMap(([type, each]) => each.map((way) => ({ type, ...way })));
    const sources = ways.map((way, i) => ({ name: `n${i}`, ...way }));
    const sinks = Object.entries(SINKS).map(([type, options]) => ({ type, name: type, of: ['v'], ...options }));
    assert.deepEqual(problemsOf({ sources, sinks: [...sinks, { type: 'stream', stream: 'other', name: 'n' }] }), []);
    assert.equal(problemsOf({ sources: [{ type: 'machine', of: ['v'] }] }).length, 1);
  });

  test('two sources, or two sinks, of one name are refused, and a name that is none', () => {
    const [one, other] = [
      { type: 'file', path: 'x', name: 'n' },
      { type: 'file', path: 'y', name: 'n' },
    ];
    assert.deepEqual(problemsOf({ sources: [one, other], sinks: [one, other] }), [
      'streams[0].sources[1].name: "n", expected a name that no other source of the stream has',
      'streams[0].sinks[1].name: "n", expected a name that no other sink of the stream has',
    ]);
    const unnamed = (name: unknown): readonly string[] =>
      problemsOf({ sources: [{ type: 'machine', name: name as string }] });
    assert.match(unnamed(5)[0] ?? '', /^streams\[0\]\.sources\[0\]\.name: 5, expected a name: /);
    assert.match(unnamed('file#0')[0] ?? '', /^streams\[0\]\.sources\[0\]\.name: "file#0", expected a name: /);
  });

  test('streams do not start with them', async () => {
    const wrong: StreamDefinition = { ...base, sinks: [{ type: 'tap', colour: 'red' }] };
    const refused = /^streams\[0\]\.sinks\[0\]\.colour: "colour", expected no such option, but one of type, name, of$/;
    await assert.rejects(openRig([wrong]), { name: 'DefinitionProblem', message: refused });
  });
});
