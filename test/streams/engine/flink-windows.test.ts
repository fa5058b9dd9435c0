/**
 * The examples of Flink's documentation for windowing table-valued functions and window top-N, through the engine: from
 * bytes, over several shards, to the lines of a sink.
 * Source: nightlies.apache.org/flink, "Windowing table-valued functions" and "Window Top-N".
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { openRig } from './rig.ts';

const MINUTE_MS = 60_000;
const DAY_MS = Date.UTC(2020, 3, 15);

/** Time of day, price, who offers. */
type Bid = readonly [time: string, price: number, supplier: string];

const BIDS: readonly Bid[] = [
  ['08:05', 4, 'C'],
  ['08:07', 2, 'A'],
  ['08:09', 5, 'D'],
  ['08:11', 3, 'B'],
  ['08:13', 1, 'E'],
  ['08:17', 6, 'F'],
];

const SUPPLIED: readonly Bid[] = [
  ['08:05', 4, 'supplier1'],
  ['08:06', 4, 'supplier2'],
  ['08:07', 2, 'supplier1'],
  ['08:08', 2, 'supplier3'],
  ['08:09', 5, 'supplier4'],
  ['08:11', 2, 'supplier3'],
  ['08:13', 1, 'supplier1'],
  ['08:15', 3, 'supplier2'],
  ['08:17', 6, 'supplier5'],
];

const atOf = (time: string): number => {
  const [hour, minute] = time.split(':').map(Number) as [number, number];
  return DAY_MS + (60 * hour + minute) * MINUTE_MS;
};

const timeOf = (ms: number | null): string => new Date(ms ?? Number.NaN).toISOString().slice(11, 16);

/** Bounds, supplier if there is a key, total. In one batch, or in one for each bid, which come in no order. */
async function totals(
  window: Pick<WindowDefinition, 'type' | 'sizeMs' | 'slideMs' | 'key' | 'top'>,
  bids: readonly Bid[],
  batches: readonly (readonly Bid[])[] = [bids],
): Promise<string[]> {
  const rig = await openRig([
    {
      name: 'bid',
      schema: {
        fields: { at: 'integer', price: 'number', supplier: 'string' },
        timestamp: { field: 'at' },
        key: ['supplier'],
      },
      time: { outOfOrderMs: 60 * MINUTE_MS, maxFutureMs: 0 },
      windows: [{ name: 'w', aggregates: { total: { fn: 'sum', of: 'price' } }, ...window }],
      sinks: [{ type: 'tap' }],
    },
  ]);
  const eventOf = ([time, price, supplier]: Bid): object => ({ at: atOf(time), price, supplier });
  for (const batch of batches) await rig.send('bid', batch.map(eventOf));
  await rig.send('bid', [eventOf(['23:59', 0, 'end'])]);
  await rig.settled();
  const rows = rig.tap.lines().map((line) => {
    const { end, key, start, values } = JSON.parse(line) as ResultLine;
    const supplier = typeof key['supplier'] === 'string' ? ` ${key['supplier']}` : '';
    return `${timeOf(start)}-${timeOf(end)}${supplier} ${values['total']}`;
  });
  await rig.close();
  return rows;
}

const VECTORS: readonly [string, Parameters<typeof totals>[0], readonly Bid[], readonly string[]][] = [
  [
    'TUMBLE of 10 minutes',
    { type: 'tumbling', sizeMs: 10 * MINUTE_MS, key: [] },
    BIDS,
    ['08:00-08:10 11', '08:10-08:20 10'],
  ],
  [
    'HOP of 10 minutes every 5',
    { type: 'hopping', sizeMs: 10 * MINUTE_MS, slideMs: 5 * MINUTE_MS, key: [] },
    BIDS,
    ['08:00-08:10 11', '08:05-08:15 15', '08:10-08:20 10', '08:15-08:25 6'],
  ],
  [
    'CUMULATE up to 10 minutes in steps of 2',
    { type: 'cumulating', sizeMs: 10 * MINUTE_MS, slideMs: 2 * MINUTE_MS, key: [] },
    BIDS,
    [
      '08:00-08:06 4',
      '08:00-08:08 6',
      '08:00-08:10 11',
      '08:10-08:12 3',
      '08:10-08:14 4',
      '08:10-08:16 4',
      '08:10-08:18 10',
      '08:10-08:20 10',
    ],
  ],
  [
    'the three best suppliers of each 10 minutes',
    { type: 'tumbling', sizeMs: 10 * MINUTE_MS, top: { by: 'total', limit: 3 } },
    SUPPLIED,
    [
      '08:00-08:10 supplier1 6',
      '08:00-08:10 supplier4 5',
      '08:00-08:10 supplier2 4',
      '08:10-08:20 supplier5 6',
      '08:10-08:20 supplier2 3',
      '08:10-08:20 supplier3 2',
    ],
  ],
];

describe("windows of Flink's documentation", () => {
  for (const [name, window, bids, expected] of VECTORS) {
    test(name, async () => {
      assert.deepEqual(await totals(window, bids), expected);
      const backwards = bids.toReversed().map((bid) => [bid]);
      assert.deepEqual(await totals(window, bids, backwards), expected);
    });
  }
});
