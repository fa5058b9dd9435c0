/**
 * The oracle stands on its own: Flink's published window results, cases worked out by hand at the borders of every
 * rule, and agreement with a naive program that shares nothing with the SQL.
 */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import type { StreamDefinition, WindowDefinition } from '../../../src/streams/define/definition.ts';
import { admit } from './admission.ts';
import type { OracleBatch, OracleCase } from './case.ts';
import { oracleDatabase } from './database.ts';
import { type ExpectedWindow, expectedLate, expectedWindows } from './windows.ts';

after(async () => (await oracleDatabase()).close());

type Row = readonly [at: number, key: string, v: number | null];

const MINUTE_MS = 60_000;

function caseOf(
  window: Omit<WindowDefinition, 'name' | 'aggregates'> & Partial<WindowDefinition>,
  batches: readonly (readonly Row[])[],
  time: StreamDefinition['time'] = {},
  partitions: readonly string[] = [],
): OracleCase {
  const stream: StreamDefinition = {
    name: 's',
    schema: { fields: { at: 'integer', key: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['key'] },
    time: { outOfOrderMs: 0, maxFutureMs: 0, ...time },
    windows: [{ name: 'w', aggregates: { sum: { fn: 'sum', of: 'v' } }, ...window }],
  };
  const steps = batches.map(
    (rows, i): OracleBatch => ({
      stream: 's',
      partition: partitions[i] ?? 'p',
      source: 'test',
      arrivalMs: 0,
      events: rows.map(([at, key, v]) => ({ fields: { at, key, v }, id: '' })),
    }),
  );
  return { streams: [stream], steps };
}

const shownValue = (row: ExpectedWindow, name: string): unknown => row.values[name]?.value;
const brief = (rows: readonly ExpectedWindow[], name = 'sum'): unknown[] =>
  rows
    .map((row) => [row.key['key'] ?? '', row.start, row.end, shownValue(row, name)])
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

describe("windows of Flink's documentation", () => {
  const at = (minute: number): number => (8 * 60 + minute) * MINUTE_MS;
  const bids: Row[] = [
    [at(5), 'C', 4],
    [at(7), 'A', 2],
    [at(9), 'D', 5],
    [at(11), 'B', 3],
    [at(13), 'E', 1],
    [at(17), 'F', 6],
  ];
  const sums = async (window: Parameters<typeof caseOf>[0]): Promise<unknown[]> => {
    const rows = await expectedWindows(caseOf({ key: [], ...window }, [bids, [[at(600), 'end', 0]]]));
    return rows.map((row) => [row.start / MINUTE_MS - 480, row.end / MINUTE_MS - 480, shownValue(row, 'sum')]);
  };

  test('tumbling: 10 minutes', async () => {
    assert.deepEqual(await sums({ type: 'tumbling', sizeMs: 10 * MINUTE_MS }), [
      [0, 10, 11],
      [10, 20, 10],
    ]);
  });

  test('hopping: 10 minutes every 5', async () => {
    assert.deepEqual(await sums({ type: 'hopping', sizeMs: 10 * MINUTE_MS, slideMs: 5 * MINUTE_MS }), [
      [0, 10, 11],
      [5, 15, 15],
      [10, 20, 10],
      [15, 25, 6],
    ]);
  });

  test('cumulating: up to 10 minutes in steps of 2', async () => {
    assert.deepEqual(await sums({ type: 'cumulating', sizeMs: 10 * MINUTE_MS, slideMs: 2 * MINUTE_MS }), [
      [0, 6, 4],
      [0, 8, 6],
      [0, 10, 11],
      [10, 12, 3],
      [10, 14, 4],
      [10, 16, 4],
      [10, 18, 10],
      [10, 20, 10],
    ]);
  });
});

describe('borders', () => {
  test('a window includes its start, not its end, and negative times round down', async () => {
    const rows = [
      [-1, 'a', 1],
      [-10, 'a', 2],
      [-11, 'a', 4],
      [0, 'a', 8],
      [9, 'a', 16],
      [10, 'a', 32],
    ] as Row[];
    const given = caseOf({ type: 'tumbling', sizeMs: 10 }, [rows, [[1000, 'z', 0]]]);
    assert.deepEqual(brief(await expectedWindows(given)), [
      ['a', -10, 0, 3],
      ['a', -20, -10, 4],
      ['a', 0, 10, 24],
      ['a', 10, 20, 32],
    ]);
  });

  test('an offset moves windows', async () => {
    const given = caseOf({ type: 'tumbling', sizeMs: 10, offsetMs: 3 }, [
      [
        [2, 'a', 1],
        [3, 'a', 2],
      ],
      [[1000, 'z', 0]],
    ]);
    assert.deepEqual(brief(await expectedWindows(given)), [
      ['a', -7, 3, 1],
      ['a', 3, 13, 2],
    ]);
  });

  test('a window is expected when the watermark has reached its last millisecond', async () => {
    // Highest time − 1 is the watermark: 10 closes [0, 10), 9 does not.
    const closed = caseOf({ type: 'tumbling', sizeMs: 10 }, [
      [
        [5, 'a', 1],
        [10, 'a', 2],
      ],
    ]);
    assert.deepEqual(brief(await expectedWindows(closed)), [['a', 0, 10, 1]]);
    const open = caseOf({ type: 'tumbling', sizeMs: 10 }, [
      [
        [5, 'a', 1],
        [9, 'a', 2],
      ],
    ]);
    assert.deepEqual(await expectedWindows(open), []);
  });

  test('lateness is judged by the watermark before the batch', async () => {
    const together = caseOf({ type: 'tumbling', sizeMs: 10 }, [
      [
        [10, 'a', 1],
        [5, 'a', 2],
      ],
    ]);
    assert.deepEqual(brief(await expectedWindows(together)), [['a', 0, 10, 2]]);
    assert.equal(await expectedLate(together), 0);
    const apart = caseOf({ type: 'tumbling', sizeMs: 10 }, [[[10, 'a', 1]], [[5, 'a', 2]]]);
    assert.deepEqual(await expectedWindows(apart), []);
    assert.equal(await expectedLate(apart), 1);
  });

  test('allowed lateness ends when the watermark reaches end − 1 + lateness', async () => {
    const late = (watermark: number): OracleCase =>
      caseOf({ type: 'tumbling', sizeMs: 10, allowedLatenessMs: 5 }, [[[watermark + 1, 'b', 1]], [[5, 'a', 2]]]);
    assert.deepEqual(brief(await expectedWindows(late(13))), [['a', 0, 10, 2]]);
    assert.equal((await expectedWindows(late(13)))[0]?.final, false);
    assert.deepEqual(await expectedWindows(late(14)), []);
  });

  test('an event may be late for one hop and in time for another', async () => {
    const given = caseOf({ type: 'hopping', sizeMs: 20, slideMs: 10 }, [
      [[20, 'b', 1]],
      [[15, 'a', 2]],
      [[100, 'z', 0]],
    ]);
    const rows = (await expectedWindows(given)).filter(({ key }) => key['key'] === 'a');
    assert.deepEqual(brief(rows), [['a', 10, 30, 2]]);
    assert.equal(await expectedLate(given), 0);
  });

  test('the slowest partition holds the watermark, an idle one does not', async () => {
    const batches: Row[][] = [[[100, 'a', 1]], [[5, 'a', 2]]];
    const given = caseOf({ type: 'tumbling', sizeMs: 10 }, [...batches, [[200, 'a', 4]]], {}, ['p', 'q', 'p']);
    assert.deepEqual(brief(await expectedWindows(given)), []);
    const steps = [...given.steps, { stream: 's', idle: 'q' }];
    assert.deepEqual(brief(await expectedWindows({ ...given, steps })), [['a', 100, 110, 1]]);
    // With all of them silent it goes by the one that came furthest.
    const silent = [...given.steps.slice(0, 2), { stream: 's', idle: 'p' }, { stream: 's', idle: 'q' }];
    const admitted = admit({ ...given, steps: silent }, given.streams[0] as StreamDefinition);
    assert.deepEqual(admitted.watermarks, [99, 99, 99, 99]);
    const behind = [...given.steps.slice(1, 2), { ...(given.steps[0] as OracleBatch), partition: 'r' }];
    const both = [...behind, { stream: 's', idle: 'q' }, { stream: 's', idle: 'r' }];
    assert.deepEqual(admit({ ...given, steps: both }, given.streams[0] as StreamDefinition).watermarks, [4, 4, 99, 99]);
  });

  test('ties at the limit of the best are kept when asked for', async () => {
    const rows: Row[] = [
      [1, 'a', 3],
      [2, 'b', 5],
      [3, 'c', 5],
      [4, 'd', 1],
    ];
    const top = { by: 'sum', limit: 1, ties: true };
    const given = caseOf({ type: 'tumbling', sizeMs: 10, top }, [rows, [[100, 'z', 0]]]);
    assert.deepEqual(brief(await expectedWindows(given)), [
      ['b', 0, 10, 5],
      ['c', 0, 10, 5],
    ]);
  });
});

describe('sessions', () => {
  const sessions = async (batches: readonly (readonly Row[])[], allowedLatenessMs = 0): Promise<unknown[]> => {
    const given = caseOf({ type: 'session', gapMs: 10, allowedLatenessMs }, [...batches, [[1000, 'z', 0]]]);
    return brief((await expectedWindows(given)).filter(({ key }) => key['key'] !== 'z'));
  };

  test('touching is not merging', async () => {
    assert.deepEqual(
      await sessions([
        [
          [0, 'a', 1],
          [10, 'a', 2],
        ],
      ]),
      [
        ['a', 0, 10, 1],
        ['a', 10, 20, 2],
      ],
    );
    assert.deepEqual(
      await sessions([
        [
          [0, 'a', 1],
          [9, 'a', 2],
        ],
      ]),
      [['a', 0, 19, 3]],
    );
  });

  test('an event between two sessions makes them one', async () => {
    const batch: Row[] = [
      [0, 'a', 1],
      [15, 'a', 2],
      [8, 'a', 4],
    ];
    assert.deepEqual(await sessions([batch]), [['a', 0, 25, 7]]);
  });

  test('an event too old by itself counts where a live session reaches back to it', async () => {
    // Watermark 19: [5, 15) alone would be late, but [12, 22) is live and overlaps it.
    assert.deepEqual(
      await sessions([
        [
          [12, 'a', 1],
          [20, 'b', 0],
        ],
        [[5, 'a', 2]],
      ]),
      [
        ['a', 5, 22, 3],
        ['b', 20, 30, 0],
      ],
    );
    assert.deepEqual(await sessions([[[20, 'b', 0]], [[5, 'a', 2]]]), [['b', 20, 30, 0]]);
  });

  test('a session that was given up does not come back', async () => {
    // Watermark 11 has ended [0, 10); [9, 19) would overlap it, and is a session of its own.
    assert.deepEqual(await sessions([[[0, 'a', 1]], [[12, 'b', 0]], [[9, 'a', 2]]]), [
      ['a', 0, 10, 1],
      ['a', 9, 19, 2],
      ['b', 12, 22, 0],
    ]);
    assert.deepEqual(await sessions([[[0, 'a', 1]], [[12, 'b', 0]], [[9, 'a', 2]]], 5), [
      ['a', 0, 19, 3],
      ['b', 12, 22, 0],
    ]);
  });
});

describe('admission', () => {
  test('the first of several events of one source and id counts, one far ahead does not', () => {
    const given = caseOf({ type: 'tumbling', sizeMs: 10 }, []);
    const event = (id: string, at: number) => ({ id, fields: { at, key: 'a', v: 1 } });
    const batch = { stream: 's', partition: 'p', source: 'x', arrivalMs: 100, events: [event('1', 5), event('1', 6)] };
    const steps = [
      batch,
      { ...batch, events: [event('1', 7), event('2', 8), event('3', 201)] },
      { ...batch, source: 'y' },
    ];
    const stream = { ...given.streams[0], time: { maxFutureMs: 100 } } as StreamDefinition;
    const admitted = admit({ streams: [stream], steps }, stream);
    assert.deepEqual(
      admitted.events.map(({ ts, step }) => [step, ts]),
      [
        [0, 5],
        [1, 8],
        [2, 5],
      ],
    );
    assert.deepEqual([admitted.duplicates, admitted.rejected, admitted.watermark], [3, 1, 7]);
  });
});
