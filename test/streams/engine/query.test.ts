/**
 * `window_query`: the best rows are the best of all, a key given in part is found wherever it is, and an answer that may
 * lack anything says what.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { StreamRefusal, type WindowAnswer, type WindowQuery } from '../../../src/streams/engine/port.ts';
import { RETAINED_ROWS } from '../../../src/streams/engine/results/retained.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const KEYS = 3000;
const aggregates = { v: { fn: 'sum' as const, of: 'v' } };

const WINDOWS: Readonly<Record<string, Partial<WindowDefinition>>> = {
  tumbling: { sizeMs: 1_000_000 },
  hopping: { sizeMs: 1_000_000, slideMs: 500_000 },
  session: { gapMs: 100_000 },
  count: { count: 1000 },
  global: {},
};

const streamOf = (more: Partial<StreamDefinition>): StreamDefinition => ({
  name: 's',
  schema: {
    fields: { at: 'integer', host: 'string', disk: 'integer', v: 'number' },
    timestamp: { field: 'at' },
    key: ['host', 'disk'],
  },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  ...more,
});

const ask = (rig: Rig, query: Partial<WindowQuery>): Promise<WindowAnswer> =>
  rig.service.query({ ...EVERYTHING, stream: 's', name: 'w', limit: 5, include: 'all', ...query });

const valuesOf = ({ rows }: WindowAnswer): unknown[] => rows.map(({ values }) => values['v']);

/** A value of each key that says nothing about where the key is. */
const numberOf = (i: number): number => (i * 7919) % KEYS;

/** Hosts `h0` … `h9`, each with as many disks. */
const events = (at: number): object[] =>
  Array.from({ length: KEYS }, (_, i) => ({ at, host: `h${i % 10}`, disk: Math.floor(i / 10), v: numberOf(i) }));

describe('open rows', () => {
  for (const [type, window] of Object.entries(WINDOWS)) {
    test(`of a ${type} window: the highest of all keys, and of a key given in part`, async () => {
      const definition = { name: 'w', type, aggregates, ...window } as WindowDefinition;
      const rig = await openRig([streamOf({ windows: [definition] })]);
      try {
        await rig.send('s', events(600_000));
        // Of a hopping window an event is in two.
        const each = type === 'hopping' ? 2 : 1;
        const best = await ask(rig, { by: 'v', limit: 4 * each });
        const expected = [2999, 2998, 2997, 2996].flatMap((v) => Array.from({ length: each }, () => v));
        assert.deepEqual([valuesOf(best), best.truncated, best.truncatedBy], [expected, true, ['limit']]);

        const ofH7 = Array.from({ length: KEYS / 10 }, (_, i) => numberOf(10 * i + 7)).toSorted((a, b) => b - a);
        const some = await ask(rig, { key: { host: 'h7' }, by: 'v', limit: each });
        assert.deepEqual(
          valuesOf(some),
          ofH7.slice(0, 1).flatMap((v) => Array.from({ length: each }, () => v)),
        );
        assert.deepEqual(some.truncatedBy, ['limit']);
        const all = await ask(rig, { key: { host: 'h7' }, limit: 1000 });
        assert.deepEqual([all.rows.length, all.truncated], [(KEYS / 10) * each, false]);
        const disk = await ask(rig, { key: { disk: 299 }, limit: 100 });
        assert.deepEqual([disk.rows.length, disk.truncated], [10 * each, false]);
        assert.deepEqual((await ask(rig, { key: { host: 'nobody' } })).rows, []);
        const one = await ask(rig, { key: { host: 'h7', disk: 0 }, by: 'v' });
        assert.deepEqual([one.rows.length, one.truncated], [each, false]);
      } finally {
        await rig.close();
      }
    });
  }

  test('equal ones by the text of their key, whichever shards they are in', async () => {
    const rig = await openRig([streamOf({ windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates }] })]);
    try {
      const hosts = Array.from({ length: 50 }, (_, i) => `h${(i * 7) % 50}`);
      await rig.send(
        's',
        hosts.map((host) => ({ at: 10, host, disk: 0, v: 1 })),
      );
      const { rows } = await ask(rig, { by: 'v', limit: 20 });
      assert.deepEqual(
        rows.map(({ key }) => key['host']),
        hosts.toSorted().slice(0, 20),
      );
    } finally {
      await rig.close();
    }
  });

  test('more than an answer may hold are told, of a key given in part too', async () => {
    const rig = await openRig([streamOf({ windows: [{ name: 'w', type: 'session', gapMs: 100_000, aggregates }] })]);
    try {
      const many = Array.from({ length: 2500 }, (_, i) => ({ at: 10, host: 'h', disk: i, v: i }));
      await rig.send('s', many);
      const answer = await ask(rig, { key: { host: 'h' }, limit: 1000 });
      assert.deepEqual([answer.rows.length, answer.truncatedBy], [1000, ['limit']]);
      const best = await ask(rig, { key: { host: 'h' }, by: 'v', limit: 2 });
      assert.deepEqual(valuesOf(best), [2499, 2498]);
    } finally {
      await rig.close();
    }
  });
});

describe('closed rows', () => {
  const small = streamOf({
    windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, retainRows: 10, aggregates }],
  });
  const close = async (rig: Rig, second: number, keys: number): Promise<void> => {
    const rows = Array.from({ length: keys }, (_, i) => ({ at: second * 1000, host: `h${i}`, disk: 0, v: i }));
    await rig.send('s', rows);
    await rig.send('s', [{ at: (second + 1) * 1000, host: 'next', disk: 0, v: 0 }]);
  };

  test('of which some are kept no more are told as such, where the range has any of them', async () => {
    const rig = await openRig([small]);
    try {
      await close(rig, 0, 6);
      assert.deepEqual((await ask(rig, { include: 'closed', limit: 100 })).truncatedBy, []);
      await close(rig, 2, 30);
      const best = await ask(rig, { include: 'closed', by: 'v', limit: 3 });
      assert.deepEqual([best.truncated, best.truncatedBy], [true, ['limit', 'retained']]);
      const early = await ask(rig, { include: 'closed', toMs: 1000, limit: 100 });
      assert.deepEqual(early.truncatedBy, ['retained']);
      const late = await ask(rig, { include: 'closed', fromMs: 3000, limit: 100 });
      assert.deepEqual(late.truncatedBy, []);
      assert.deepEqual((await ask(rig, { include: 'open', limit: 100 })).truncatedBy, []);
      // The newest ones are all there as long as they are not asked for beyond what is kept.
      assert.deepEqual((await ask(rig, { include: 'closed', limit: 1 })).truncatedBy, ['limit']);
    } finally {
      await rig.close();
    }
  });

  test('of one instant are in a range that begins with it, and are missed there when they are kept no more', async () => {
    const rig = await openRig([streamOf({ views: [{ name: 'w' }] })]);
    try {
      const at = (...times: number[]): object[] => times.map((each, v) => ({ at: each, host: 'h', disk: 0, v }));
      await rig.send('s', at(0, 5000, 6000));
      const startsOf = async (query: Partial<WindowQuery>): Promise<unknown[]> =>
        (await ask(rig, query)).rows.map(({ start }) => start);
      assert.deepEqual(await startsOf({ fromMs: 6000 }), [6000]);
      assert.deepEqual(await startsOf({ fromMs: 0, toMs: 6000 }), [5000, 0]);
      await rig.send('s', at(...Array.from({ length: RETAINED_ROWS }, () => 7000)));
      assert.deepEqual((await ask(rig, { fromMs: 6000, toMs: 6001 })).truncatedBy, ['retained']);
      assert.deepEqual((await ask(rig, { fromMs: 6001, toMs: 6002 })).truncatedBy, []);
    } finally {
      await rig.close();
    }
  });

  test('and a restart does not forget that', async () => {
    const stores = lastingStores();
    let rig = await openRig([small], { stores });
    await close(rig, 0, 30);
    await close(rig, 2, 3);
    const before = await ask(rig, { include: 'closed', limit: 100 });
    assert.deepEqual(before.truncatedBy, ['retained']);
    await rig.checkpoint();
    await rig.abandon();
    rig = await openRig([small], { stores });
    try {
      assert.deepEqual(await ask(rig, { include: 'closed', limit: 100 }), before);
    } finally {
      await rig.close();
    }
  });
});

test('a value that the operator does not have is refused with those it has', async () => {
  const rig = await openRig([streamOf({ windows: [{ name: 'w', type: 'global', aggregates }] })]);
  try {
    await assert.rejects(ask(rig, { by: 'w' }), (error) => {
      assert.ok(error instanceof StreamRefusal && error.refusal === 'invalid');
      assert.match(error.message, /w has no value "w"; it has v/);
      return true;
    });
  } finally {
    await rig.close();
  }
});

test('a value that is no number is refused: nothing is the highest of it', async () => {
  const texts = { name: { fn: 'first', of: 'host' }, all: { fn: 'collect', of: 'v' }, v: { fn: 'max', of: 'v' } };
  const rig = await openRig([streamOf({ windows: [{ name: 'w', type: 'global', aggregates: texts }] })]);
  try {
    const message = 'by: name of w is a string, expected a value that is a number';
    await assert.rejects(ask(rig, { by: 'name' }), { refusal: 'invalid', message });
    await ask(rig, { by: 'all' });
    await ask(rig, { by: 'v' });
  } finally {
    await rig.close();
  }
});

test('a value of the key that is of another type is refused, not looked for in vain', async () => {
  const rig = await openRig([streamOf({ windows: [{ name: 'w', type: 'global', aggregates }] })]);
  try {
    await rig.send('s', [{ at: 1, host: 'a', disk: 1, v: 2 }]);
    assert.deepEqual(valuesOf(await ask(rig, { key: { host: 'a', disk: 1 } })), [2]);
    assert.deepEqual(valuesOf(await ask(rig, { key: { host: 'a', disk: null } })), []);
    const wrong: [object, RegExp][] = [
      [{ host: 'a', disk: '1' }, /key member "disk" of w: "1", expected a number/],
      [{ host: true }, /key member "host" of w: true, expected a string/],
      [{ disk: {} }, /key member "disk" of w: an object, expected a number/],
    ];
    for (const [key, message] of wrong) {
      await assert.rejects(ask(rig, { key: key as NonNullable<WindowQuery['key']> }), (error) => {
        assert.ok(error instanceof StreamRefusal && error.refusal === 'invalid');
        assert.match(error.message, message);
        return true;
      });
    }
  } finally {
    await rig.close();
  }
});

test('a key whose member is named as one that all objects have can be left out', async () => {
  const rig = await openRig([
    {
      name: 's',
      schema: {
        fields: { at: 'integer', ['constructor' as string]: 'string', v: 'number' },
        timestamp: { field: 'at' },
      },
      time: { maxFutureMs: 0, idleAfterMs: 0 },
      windows: [{ name: 'w', type: 'global', key: ['constructor'], aggregates }],
    },
  ]);
  try {
    await rig.send('s', [{ at: 1, constructor: 'a', v: 2 }]);
    assert.deepEqual(valuesOf(await ask(rig, { key: {} })), [2]);
    assert.deepEqual(valuesOf(await ask(rig, { key: { constructor: 'a' } as unknown as WindowQuery['key'] })), [2]);
  } finally {
    await rig.close();
  }
});
