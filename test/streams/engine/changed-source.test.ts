/**
 * Sources of which others of the list come and go over a restart: each goes on at its own place.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after as afterAll, describe, test } from 'node:test';
import type { SourceDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { marked, markOf, notePlace, placesOf } from '../../../src/streams/engine/connectors/source-places.ts';
import { SOURCE_KINDS } from '../../../src/streams/sources/kinds.ts';
import type { SourceKind } from '../../../src/streams/sources/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'changed-source-'));
afterAll(() => rmSync(folder, { recursive: true }));

const streamWith = (sources: SourceDefinition[]): StreamDefinition => ({
  name: 's',
  schema: { fields: { n: { type: 'integer', optional: true } } },
  sources,
});

function file(name: string, ...numbers: number[]): SourceDefinition {
  const path = join(folder, name);
  writeFileSync(path, numbers.map((n) => `{"n":${n}}\n`).join(''));
  return { type: 'file', path };
}

const quiet = (): void => undefined;

/** What the stream has accepted when all of these sources have ended. `declaredIn`: folder of the declaring file. */
async function acceptedOf(
  sources: SourceDefinition[],
  stores: ReturnType<typeof lastingStores>,
  declaredIn = '',
): Promise<number> {
  const ended = new EventEmitter();
  const told = (_facts: object, message: string): void => void ended.emit(message);
  let left = sources.length;
  const all = new Promise<void>((resolve) => {
    for (const message of ['the source has ended', 'the source has failed']) {
      ended.on(message, () => {
        left -= 1;
        if (left === 0) resolve();
      });
    }
  });
  const kinds = { ...CONNECTOR_KINDS, folderOf: () => declaredIn };
  const rig = await openRig([streamWith(sources)], { stores, kinds, log: { error: quiet, warn: told, info: told } });
  try {
    await all;
    return (await rig.service.list())[0]?.counters.accepted ?? 0;
  } finally {
    await rig.close();
  }
}

test('a file is not read again because another one before it in the list has gone, or has come', async () => {
  const [a, b, c] = [file('a', 1, 2), file('b', 3, 4, 5), file('c', 6)];
  const stores = lastingStores();
  assert.equal(await acceptedOf([a, b], stores), 5);
  assert.equal(await acceptedOf([b], stores), 5);
  assert.equal(await acceptedOf([c, b], stores), 6);
  assert.equal(await acceptedOf([a, b], stores), 6);
});

test('a file goes on where it was by the path of its declaration, which begins where that stands', async () => {
  const stores = lastingStores();
  mkdirSync(join(folder, 'moved', 'conf'), { recursive: true });
  const { path } = file('moved/conf/x', 1, 2);
  assert.equal(await acceptedOf([{ type: 'file', path: 'x' }], stores, join(folder, 'moved', 'conf')), 2);
  appendFileSync(String(path), '{"n":3}\n');
  // As after a start from anywhere else.
  assert.equal(await acceptedOf([{ type: 'file', path: 'x' }], stores, join(folder, 'moved', 'conf')), 3);
});

test('a path that was written from the working directory keeps its place when it is written from its file', async () => {
  const stores = lastingStores();
  mkdirSync(join(folder, 'rewritten', 'conf'), { recursive: true });
  const { path } = file('rewritten/y', 1, 2);
  const fromHere = relative(process.cwd(), String(path));
  assert.equal(await acceptedOf([{ type: 'file', path: fromHere }], stores), 2);
  appendFileSync(String(path), '{"n":3}\n');
  const rewritten = [{ type: 'file', path: '../y' }];
  assert.equal(await acceptedOf(rewritten, stores, join(folder, 'rewritten', 'conf')), 3);
  assert.equal(await acceptedOf(rewritten, stores, join(folder, 'rewritten', 'conf')), 3);
  // Another file, under the path that the place was kept under: it is not gone on with.
  writeFileSync(String(path), '{"n":7}\n{"n":8}\n{"n":9}\n{"n":10}\n');
  assert.equal(await acceptedOf([{ type: 'file', path }], stores), 7);
});

const ticks = (seed: number, limit: number): SourceDefinition => ({
  type: 'generator',
  kind: 'ticks',
  rate: 0,
  seed,
  limit,
});

test('a generator goes on at its own place when others of the list have gone, have come or have changed', async () => {
  const stores = lastingStores();
  assert.equal(await acceptedOf([ticks(1, 20), ticks(2, 30)], stores), 50);
  assert.equal(await acceptedOf([ticks(2, 35)], stores), 55);
  assert.equal(await acceptedOf([ticks(3, 10), ticks(2, 40)], stores), 70);
  assert.equal(await acceptedOf([ticks(1, 21), ticks(2, 40), ticks(3, 11)], stores), 72);
  // Two that make the same are told apart by their number.
  assert.equal(await acceptedOf([ticks(4, 10), ticks(4, 20)], stores), 102);
  assert.equal(await acceptedOf([ticks(4, 11), ticks(4, 22)], stores), 105);
});

describe('places of Redis sources', () => {
  const kind = SOURCE_KINDS.get('redis') as SourceKind;
  const redis = (host: string, stream: string, group: string): SourceDefinition => ({
    ...{ type: 'redis', url: `redis://me:secret@${host}:6379/1`, stream, group },
  });
  /** What lists of sources leave behind: each has come to a position of its own. */
  function after(...lists: (readonly (readonly [SourceDefinition, string])[])[]): Map<string, string> {
    const positions = new Map<string, string>();
    for (const list of lists) {
      for (const [n, [source, position]] of list.entries()) {
        const placed = { partition: String(source['stream']), position: marked(position, markOf(source, kind)) };
        notePlace(positions, { ...placed, source: `s/redis#${n}` });
      }
    }
    return positions;
  }
  const placeOf = (positions: ReadonlyMap<string, string>, sources: SourceDefinition[], n: number): string[] => {
    const of = (name: string): Map<string, string> =>
      new Map(
        [...positions].flatMap(([key, at]) => (key.startsWith(`${name}|`) ? [[key.slice(name.length + 1), at]] : [])),
      );
    return [...placesOf('s', sources, n, kind, of)].flat();
  };
  const [a, b, c] = [redis('h', 'orders', 'one'), redis('h', 'orders', 'two'), redis('other', 'orders', 'one')];

  test('are of a key, a group and a server, whatever their number', () => {
    const positions = after([
      [a, '7-1 abc'],
      [b, '9-0 def'],
      [c, '5-0'],
    ]);
    assert.deepEqual(placeOf(positions, [b], 0), ['orders', '9-0 def']);
    assert.deepEqual(placeOf(positions, [c, a], 0), ['orders', '5-0']);
    assert.deepEqual(placeOf(positions, [c, a], 1), ['orders', '7-1 abc']);
    assert.deepEqual(placeOf(positions, [redis('h', 'orders', 'three'), a], 0), []);
    const moved = new Map([...positions, ...after([[b, '9-10 abc']])]);
    assert.deepEqual(placeOf(moved, [a, b], 1), ['orders', '9-10 abc']);
  });

  test('that an earlier version has left are of the number in the list', () => {
    const positions = new Map([
      ['s/redis#0|orders', '7-1 abc'],
      ['s/redis#1|orders', '9-0 def'],
    ]);
    assert.deepEqual(placeOf(positions, [a, b], 1), ['orders', '9-0 def']);
    notePlace(positions, { source: 's/redis#0', partition: 'orders', position: marked('8-0', markOf(a, kind)) });
    assert.deepEqual(placeOf(positions, [a, b], 0), ['orders', '8-0']);
    assert.deepEqual(placeOf(positions, [b, a], 0), []);
  });
});

test('a source that has failed is named by what is degraded', async () => {
  const gone = { type: 'file', path: join(folder, 'gone') };
  const rig = await openRig([streamWith([file('there', 1), gone])]);
  try {
    await eventually(
      'it is named',
      () => rig.service.degraded,
      (names) => names.length > 0,
    );
    assert.deepEqual(rig.service.degraded, ['source s/file#1']);
  } finally {
    await rig.close();
  }
});

test('a source that tries again is named by what is degraded until it reads', async () => {
  const redis = await RedisServer.start();
  await redis.run('SET', 'in', 'no stream');
  const rig = await openRig([streamWith([{ type: 'redis', url: redis.url, stream: 'in', blockMs: 1 }])]);
  const degraded = (): readonly string[] => rig.service.degraded;
  try {
    await eventually('it is named', degraded, (names) => names.length > 0);
    assert.deepEqual(degraded(), ['source s/redis#0']);
    await redis.run('DEL', 'in');
    await eventually('it reads', degraded, (names) => names.length === 0);
  } finally {
    await rig.close();
    await redis.end();
  }
});
