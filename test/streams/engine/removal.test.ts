/**
 * What was defined at run time is removed: with all it held, for good, and as if it had never been for everything else.
 */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const KEYS = 40;
const STEP_MS = 130;
const WINDOW: WindowDefinition = { name: 'x', type: 'tumbling', sizeMs: 500, aggregates: { n: 'count' } };

const DECLARED: StreamDefinition = {
  name: 's',
  schema: {
    fields: { at: 'integer', k: 'string', j: 'string', v: 'number' },
    timestamp: { field: 'at' },
    key: ['k'],
  },
  windows: [
    { ...WINDOW, name: 'own' },
    { name: 'odd', type: 'session', gapMs: 300, where: 'v > 3', aggregates: { total: { fn: 'sum', of: 'v' } } },
  ],
  patterns: [
    {
      name: 'rise',
      steps: [
        { name: 'a', where: 'v < 3' },
        { name: 'b', where: 'v > 7' },
      ],
      select: { v: 'last(b).v' },
    },
  ],
  anomalies: [{ name: 'far', window: 'own', value: 'n', type: 'rate', maxPerSecond: 0.5 }],
  alerts: [{ name: 'busy', on: 'own', when: 'n > 2' }],
  sinks: [{ type: 'tap' }],
};

/** What is removed: with the key of the others, with one of its own, with a ranking, and a pattern. */
const REMOVED = {
  'a window with the key of others': ['windows', WINDOW],
  'a window with a key of its own': ['windows', { ...WINDOW, key: ['j'] }],
  'a window with a ranking': ['windows', { ...WINDOW, allowedLatenessMs: 900, top: { by: 'n', limit: 3 } }],
  'a window of events that others pass over': ['windows', { ...WINDOW, type: 'global', sizeMs: undefined }],
  'a pattern': ['patterns', { name: 'x', steps: [{ name: 'a' }, { name: 'b', where: 'v > 8' }] }],
} as const;

const eventsOf = (nth: number): object[] =>
  Array.from({ length: KEYS }, (_, i) => ({
    at: nth * STEP_MS + (i % 7),
    // Keys that come and go.
    k: `k${(i * (1 + (nth % 3))) % KEYS}`,
    j: `j${i % 5}`,
    v: (i * 7 + nth * 3) % 11,
  }));

async function send(rig: Rig, from: number, to: number): Promise<void> {
  for (let nth = from; nth < to; nth++) await rig.send('s', eventsOf(nth));
  await rig.settled();
}

/** Without what follows from the numbers of records. */
const plain = (line: string): string => {
  const { context: _context, id: _id, ...rest } = JSON.parse(line) as Record<string, unknown>;
  return JSON.stringify(rest);
};

interface Outcome {
  readonly counters: object | undefined;
  /** By name of the operator. */
  readonly held: Readonly<Record<string, readonly string[]>>;
  readonly told: readonly string[];
}

/** Of all that is not removed. */
async function outcome(rig: Rig): Promise<Outcome> {
  const told = rig.tap.lines().filter((line) => (JSON.parse(line) as { name: string }).name !== 'x');
  const held: Record<string, string[]> = {};
  for (const { name } of rig.service.plan.operators) {
    if (name !== 'x')
      held[name] = (await rig.rows('s', name, 'all')).map((row) => plain(JSON.stringify(row))).toSorted();
  }
  const { results: _results, ...counters } = rig.service.list()[0]?.counters ?? {};
  return { counters, held, told: told.map(plain) };
}

const namesOf = (rig: Rig): string[] => rig.service.plan.operators.map(({ name }) => name);

describe('what was defined at run time and is removed leaves everything else as it would be without it', () => {
  let expected: Outcome;
  before(async () => {
    const without = await openRig([DECLARED]);
    await send(without, 0, 20);
    expected = await outcome(without);
    for (const [name, rows] of Object.entries(expected.held)) assert.ok(rows.length > 0, name);
    await without.close();
  });
  for (const [what, [kind, definition]] of Object.entries(REMOVED)) {
    test(what, async () => {
      for (const isSaved of [true, false]) {
        const stores = lastingStores();
        const { checkpoints } = await stores();
        const tap = createTap();
        let rig = await openRig([DECLARED], { stores, tap });
        await send(rig, 0, 4);
        await rig.service.define('s', kind, definition);
        await send(rig, 4, 10);
        // Else the log alone says that it was removed.
        if (!isSaved && checkpoints !== null) checkpoints.save = () => Promise.reject(new Error('no space left'));
        await rig.service.remove('s', kind, 'x');
        assert.ok(!namesOf(rig).includes('x'));
        await assert.rejects(rig.rows('s', 'x'), { refusal: 'unknown' });
        await send(rig, 10, 13);
        await rig.abandon();
        rig = await openRig([DECLARED], { stores, tap });
        assert.ok(!namesOf(rig).includes('x'));
        await send(rig, 13, 20);
        assert.deepEqual(await outcome(rig), expected);
        await rig.abandon();
      }
    });
  }
});

test('results that were told stay told, none is taken back', async () => {
  const rig = await openRig([DECLARED]);
  await rig.service.define('s', 'windows', { ...WINDOW, accumulation: 'retracting', allowedLatenessMs: 100_000 });
  await send(rig, 0, 10);
  const before = rig.tap.lines();
  assert.ok(before.some((line) => line.includes('"name":"x"')));
  await rig.service.remove('s', 'windows', 'x');
  await rig.settled();
  assert.deepEqual(rig.tap.lines(), before);
  await rig.close();
});

test('after it the name is free: for another shape, that begins with nothing, and through a restart', async () => {
  for (const again of [WINDOW, { ...WINDOW, sizeMs: 100_000, key: [] }] as const) {
    const stores = lastingStores();
    let rig = await openRig([DECLARED], { stores });
    await rig.service.define('s', 'windows', WINDOW);
    await send(rig, 0, 10);
    await rig.service.remove('s', 'windows', 'x');
    await send(rig, 10, 12);
    await rig.service.define('s', 'windows', again);
    assert.deepEqual(await rig.rows('s', 'x', 'all'), []);
    await rig.abandon();
    rig = await openRig([DECLARED], { stores });
    await rig.send('s', eventsOf(12));
    const counted = (await rig.rows('s', 'x', 'all')).map(({ values }) => Number(values['n']));
    assert.equal(
      counted.reduce((sum, n) => sum + n, 0),
      KEYS,
    );
    await rig.close();
  }
});

test('a pattern takes the name of a removed window', async () => {
  const rig = await openRig([DECLARED]);
  await rig.service.define('s', 'windows', WINDOW);
  await rig.service.remove('s', 'windows', 'x');
  await rig.service.define('s', 'patterns', { name: 'x', steps: [{ name: 'a' }] });
  assert.deepEqual(
    rig.service.plan.operators.filter(({ name }) => name === 'x').map(({ kind }) => kind),
    ['pattern'],
  );
  await rig.close();
});

test('the last one that was defined leaves the stream as it is declared: the next start changes nothing', async () => {
  const stores = lastingStores();
  const { eventLog } = await stores();
  const { patterns: _patterns, ...bare } = DECLARED;
  let rig = await openRig([bare], { stores });
  await rig.service.define('s', 'patterns', { name: 'x', steps: [{ name: 'a' }] });
  await rig.service.remove('s', 'patterns', 'x');
  const { last } = eventLog;
  await rig.abandon();
  rig = await openRig([bare], { stores });
  assert.equal(eventLog.last, last);
  assert.deepEqual(rig.troubles, []);
  await rig.close();
});

test('what is declared, not there, or read by something is refused, by name, and stays what it is', async () => {
  const placeOf = (stream: string): string => `more.yaml: streams[${stream === 's' ? 0 : 1}]`;
  const rig = await openRig([DECLARED], { placeOf });
  const refused = (kind: 'windows' | 'patterns', name: string, refusal: string, message: string): Promise<void> =>
    assert.rejects(rig.service.remove('s', kind, name), { refusal, message });
  const only = 'only what was defined by a call can be removed';
  await refused('windows', 'odd', 'invalid', `window odd is declared (more.yaml: streams[0].windows[1]): ${only}`);
  await refused('patterns', 'rise', 'invalid', `pattern rise is declared (more.yaml: streams[0].patterns[0]): ${only}`);
  const declared = rig.service.definitions;
  await assert.rejects(rig.service.define('s', 'windows', { ...WINDOW, name: 'odd' }), {
    refusal: 'invalid',
    message:
      'window odd is declared (more.yaml: streams[0].windows[1]): only what was defined by a call can be replaced',
  });
  assert.deepEqual(rig.service.definitions, declared);
  await refused('windows', 'rise', 'unknown', 'stream s has no window "rise"; it has own, odd');
  await rig.service.define('s', 'windows', WINDOW);
  await refused('windows', 'y', 'unknown', 'stream s has no window "y"; it has own, odd, x');
  await assert.rejects(rig.service.remove('t', 'windows', 'x'), {
    refusal: 'unknown',
    message: 'no stream named "t"; did you mean s?',
  });
  assert.ok(namesOf(rig).includes('odd'));
  await rig.close();
});

test('what reads it is named, and so is each of them', async () => {
  const read: StreamDefinition = {
    ...DECLARED,
    windows: [...(DECLARED.windows ?? []), WINDOW],
    anomalies: [{ name: 'jump', window: 'x', value: 'n', type: 'rate', maxPerSecond: 1 }],
    alerts: [{ name: 'many', on: 'x', when: 'n > 2' }],
    sinks: [{ type: 'tap' }, { type: 'tap', name: 'out', of: ['own', 'x'] }],
  };
  const rig = await openRig([read], { declared: [DECLARED] });
  await assert.rejects(rig.service.remove('s', 'windows', 'x'), {
    refusal: 'invalid',
    message: 'window x cannot be removed: it is read by anomaly jump, alert many, sink s/out',
  });
  assert.ok(namesOf(rig).includes('x'));
  await rig.close();
});

test('whoever listens hears of the definitions, then of the results that are gone', async () => {
  const rig = await openRig([DECLARED]);
  await rig.service.define('s', 'windows', WINDOW);
  const heard: unknown[] = [];
  rig.service.onDefined(() => heard.push('defined'));
  rig.service.onChange((change) => heard.push(change));
  const { operators } = await rig.service.remove('s', 'windows', 'x');
  assert.deepEqual(heard, ['defined', { stream: 's', operator: 'x', kind: 'window' }]);
  assert.deepEqual(
    operators.filter(({ kept }) => !kept).map(({ name }) => name),
    ['s/x'],
  );
  await rig.close();
});
