/**
 * A stream whose policy is `refuse`, at its limit: time goes on, nothing is lost untold, and a restart changes neither.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { FULL_PATIENCE_MS } from '../../../src/streams/engine/intake/when-full.ts';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { lastingStores } from './faults.ts';
import { createTap, openRig, type Rig } from './rig.ts';

const HOUR_MS = 3_600_000;

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0 },
  limits: { keysMax: 100 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: HOUR_MS, aggregates: { n: 'count' } }],
  sinks: [{ type: 'tap' }],
};

const keysOf = (count: number, at: number): object[] => Array.from({ length: count }, (_, i) => ({ at, k: `k${i}` }));

type Outcome = Accepted | string;

const outcomeOf = (sent: Promise<Accepted>): Promise<Outcome> =>
  sent.catch((error: unknown) => {
    if (error instanceof StreamRefusal) return error.refusal;
    throw error;
  });

const taken = (accepted: number, rejected = 0, late = 0): Accepted => ({ accepted, rejected, late });

/** What it counts in all its results of windows, closed ones only. */
const counted = async (rig: Rig): Promise<number> =>
  (await rig.rows('s', 'w')).reduce((sum, { values }) => sum + (values['n'] as number), 0);

test('a batch whose events are all of later windows closes the earlier ones, and is taken', async () => {
  const rig = await openRig([STREAM]);
  try {
    await rig.send('s', keysOf(101, 10));
    assert.deepEqual(await outcomeOf(rig.send('s', [{ at: HOUR_MS + 5, k: 'new' }])), taken(1));
    assert.equal(await counted(rig), 101);
  } finally {
    await rig.close();
  }
});

test('what cannot close anything is refused, then set aside and told, and its time counts', async () => {
  const rig = await openRig([STREAM]);
  try {
    await rig.send('s', keysOf(101, 10));
    const across = [
      { at: HOUR_MS - 1, k: 'new' },
      { at: HOUR_MS + 5, k: 'new' },
    ];
    assert.equal(await outcomeOf(rig.send('s', across)), 'full');
    rig.nowMs += FULL_PATIENCE_MS - 1;
    assert.equal(await outcomeOf(rig.send('s', across)), 'full');
    rig.nowMs += 1;
    assert.deepEqual(await outcomeOf(rig.send('s', across, { batchId: 'b' })), taken(0, 2));
    assert.deepEqual(await outcomeOf(rig.send('s', across, { batchId: 'b' })), taken(0, 2));
    const [letter, ...others] = await rig.service.deadLetters('s', '', 10);
    assert.equal(others.length, 0);
    assert.equal(letter?.text, across.map((event) => JSON.stringify(event)).join('\n'));
    assert.match(letter?.reason ?? '', /2 events.*101 keys.*at most 100/);
    // There is room again: nothing is set aside any more, and what was can be replayed.
    assert.deepEqual(await outcomeOf(rig.send('s', [{ at: HOUR_MS + 6, k: 'new' }])), taken(1));
    assert.deepEqual(await rig.service.replayDeadLetters('s', [letter?.id ?? '']), {
      letters: 1,
      ...taken(2, 0, 1),
    });
    const [facts] = rig.service.list();
    assert.deepEqual([facts?.counters.accepted, facts?.counters.rejected, facts?.deadLetters], [104, 2, 0]);
  } finally {
    await rig.close();
  }
});

test('room in between begins the wait anew', async () => {
  const rig = await openRig([STREAM]);
  try {
    await rig.send('s', keysOf(101, 10));
    assert.equal(await outcomeOf(rig.send('s', [{ at: 11, k: 'new' }])), 'full');
    assert.deepEqual(await outcomeOf(rig.send('s', keysOf(101, HOUR_MS + 10))), taken(101));
    rig.nowMs += FULL_PATIENCE_MS;
    assert.equal(await outcomeOf(rig.send('s', [{ at: HOUR_MS + 11, k: 'new' }])), 'full');
  } finally {
    await rig.close();
  }
});

test('of many at once one is looked at, and CloudEvents that were set aside count when they are replayed', async () => {
  const rig = await openRig([STREAM]);
  try {
    await rig.send('s', keysOf(101, 10));
    assert.equal(await outcomeOf(rig.send('s', [{ at: 11, k: 'new' }])), 'full');
    rig.nowMs += FULL_PATIENCE_MS;
    const event = { specversion: '1.0', id: '1', source: '/t', type: 'x', data: { at: 11, k: 'new' } };
    const sent = [1, 2, 3].map(() => outcomeOf(rig.send('s', [event], { format: 'cloudevent' })));
    assert.deepEqual(await Promise.all(sent), [taken(0, 1), 'full', 'full']);
    await rig.send('s', [{ at: HOUR_MS + 5, k: 'new' }]);
    const [letter] = await rig.service.deadLetters('s', '', 10);
    assert.deepEqual(await rig.service.replayDeadLetters('s', [letter?.id ?? '']), {
      letters: 1,
      ...taken(1, 0, 1),
    });
  } finally {
    await rig.close();
  }
});

test('a restart, from a checkpoint or from the log alone, goes on where it was', async () => {
  const runs: { outcomes: Outcome[]; lines: string[]; letters: string[] }[] = [];
  for (const fate of ['none', 'checkpoint', 'log'] as const) {
    const stores = lastingStores();
    const tap = createTap();
    let rig = await openRig([STREAM], { stores, tap });
    const again = async (): Promise<void> => {
      if (fate === 'none') return;
      const { nowMs } = rig;
      if (fate === 'checkpoint') await rig.checkpoint();
      await rig.abandon();
      rig = await openRig([STREAM], { stores, tap });
      rig.nowMs = nowMs;
    };
    const outcomes: Outcome[] = [];
    const send = async (...events: object[]): Promise<void> =>
      void outcomes.push(await outcomeOf(rig.send('s', events)));
    await send(...keysOf(101, 10));
    await again();
    await send({ at: 11, k: 'new' });
    rig.nowMs += FULL_PATIENCE_MS;
    await send({ at: 12, k: 'new' });
    await send({ at: HOUR_MS - 1, k: 'new' }, { at: HOUR_MS + 5, k: 'new' });
    await again();
    await send({ at: HOUR_MS + 6, k: 'new' });
    await send({ at: 2 * HOUR_MS + 6, k: 'new' });
    await rig.settled();
    const letters = (await rig.service.deadLetters('s', '', 10)).map(({ text }) => text);
    runs.push({ outcomes, lines: tap.lines().toSorted(), letters });
    await rig.close();
  }
  assert.equal(runs[0]?.letters.length, 2);
  for (const run of runs.slice(1)) assert.deepEqual(run, runs[0]);
});
