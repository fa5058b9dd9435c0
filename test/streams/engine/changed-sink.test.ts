/**
 * A sink whose declaration changes over a restart: what the one before has under way, and what waits, is given once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SinkDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import type { SinkBatch, SinkKind } from '../../../src/streams/sinks/port.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const streamWith = (path: string): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }],
  sinks: [{ type: 'slow', path }],
});

/** Sinks of one place, which take a while to write, as files do. */
class SlowPlace {
  readonly lines: string[] = [];
  /** Of the sinks that are open, names of what they were declared with. */
  readonly open = new Set<string>();
  #cursor = 0;
  away = false;

  kind(): SinkKind {
    return {
      type: 'slow',
      guarantee: 'exactly-once',
      options: ['path'],
      create: ({ path }) => {
        let writing: Promise<void> = Promise.resolve();
        const name = String(path);
        return {
          open: async () => {
            if (name === 'none') throw new Error('no such folder');
            this.open.add(name);
            return this.#cursor;
          },
          write: (batch) => {
            const written = this.#write(batch);
            writing = written.catch(() => undefined);
            return written;
          },
          close: async () => {
            await writing;
            this.open.delete(name);
          },
        };
      },
    };
  }

  async #write({ lines, seq }: SinkBatch): Promise<void> {
    if (this.away) throw new Error('not now');
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    this.lines.push(...lines);
    this.#cursor = seq;
  }
}

/** Stores with a checkpoint in which results wait, and a log with one more. */
async function withResultsWaiting(place: SlowPlace, kinds: typeof CONNECTOR_KINDS) {
  const stores = lastingStores();
  place.away = true;
  const first = await openRig([streamWith('one')], { stores, kinds });
  for (const at of [1, 20, 40]) await first.send('s', [{ at }]);
  await first.checkpoint();
  await first.send('s', [{ at: 60 }]);
  await first.abandon();
  place.away = false;
  return stores;
}

const startsOf = (lines: readonly string[]): number[] =>
  lines.map((line) => (JSON.parse(line) as { start: number }).start);

test('what waits is given once, by the one before or by the one after', async () => {
  const place = new SlowPlace();
  const kinds = { ...CONNECTOR_KINDS, sinks: new Map([['slow', place.kind()]]) };
  const stores = await withResultsWaiting(place, kinds);
  const rig = await openRig([streamWith('other')], { stores, kinds });
  await rig.settled();
  assert.deepEqual(startsOf(place.lines), [0, 20, 40]);
  await rig.close();
  assert.equal(place.open.size, 0);
});

test('one that cannot be opened leaves nothing open', async () => {
  const place = new SlowPlace();
  const kinds = { ...CONNECTOR_KINDS, sinks: new Map([['slow', place.kind()]]) };
  const stores = await withResultsWaiting(place, kinds);
  await assert.rejects(openRig([streamWith('none')], { stores, kinds }), /no such folder/);
  assert.deepEqual([...place.open], []);
  const rig = await openRig([streamWith('two')], { stores, kinds });
  await rig.settled();
  assert.deepEqual(startsOf(place.lines), [0, 20, 40]);
  await rig.close();
});

test('what waits for a sink goes to it though others of the list have gone or come, and to no other', async () => {
  const given = new Map<string, string[]>();
  let away = true;
  const kind: SinkKind = {
    type: 'box',
    guarantee: 'exactly-once',
    options: ['path'],
    create: ({ path }) => ({
      open: () => Promise.resolve(0),
      write: ({ lines }) => {
        if (away) return Promise.reject(new Error('not now'));
        given.set(String(path), [...(given.get(String(path)) ?? []), ...lines]);
        return Promise.resolve();
      },
      close: () => Promise.resolve(),
    }),
  };
  const kinds = { ...CONNECTOR_KINDS, sinks: new Map([['box', kind]]) };
  const window = (name: string) => ({ name, type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } }) as const;
  const box = (path: string): SinkDefinition => ({ type: 'box', path, of: [path] });
  const streamInto = (...paths: string[]): StreamDefinition => ({
    ...streamWith(''),
    windows: [window('a'), window('b'), window('c')],
    sinks: paths.map(box),
  });
  const stores = lastingStores();
  let rig = await openRig([streamInto('a', 'b')], { stores, kinds });
  for (const at of [1, 20]) await rig.send('s', [{ at }]);
  await rig.checkpoint();
  await rig.send('s', [{ at: 40 }]);
  await rig.abandon();
  for (const paths of [['b'], ['c', 'b'], ['b', 'c']]) {
    rig = await openRig([streamInto(...paths)], { stores, kinds });
    await rig.checkpoint();
    await rig.abandon();
  }
  away = false;
  rig = await openRig([streamInto('b', 'c')], { stores, kinds });
  await rig.settled();
  await rig.close();
  const names = (path: string): unknown[] =>
    (given.get(path) ?? []).map((line) => {
      const { name, start } = JSON.parse(line) as { name: string; start: number };
      return [name, start];
    });
  assert.deepEqual(names('b'), [
    ['b', 0],
    ['b', 20],
  ]);
  assert.deepEqual([names('a'), names('c')], [[], []]);
});
