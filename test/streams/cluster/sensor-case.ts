/**
 * Readings of sensors, what is sent of them, and what must come out, computed plainly.
 *
 * Each sender is a partition and sends in the order of time, one batch after the other, so that nothing is late however
 * the senders run against each other: what comes out does not depend on when nodes end and start. Streams of a unit feed
 * one another: the minutes of a stream are the events of `{name}Sums`.
 */
import assert from 'node:assert/strict';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ResultLine } from '../../../src/streams/engine/port.ts';

const START_MS = 1_000_000;
export const WINDOW_MS = 100;
const SUMS_MS = 1000;
const KEYS = 7;
/** Of all senders; closes every window before it. */
export const END_MS = START_MS + 20_000;

export interface Reading {
  readonly at: number;
  readonly sensor: string;
  readonly value: number;
}

/** A unit of two streams, results in the Redis stream `{key}`. */
export function sensorUnit(name: string, redisUrl: string): StreamDefinition[] {
  const sink = { type: 'redis', url: redisUrl, stream: `results:${name}` };
  return [
    {
      name,
      schema: {
        fields: { at: 'integer', sensor: 'string', value: 'integer' },
        timestamp: { field: 'at' },
        key: ['sensor'],
      },
      time: { idleAfterMs: 0, maxFutureMs: 0 },
      durability: 'replicated',
      windows: [
        {
          name: 'parts',
          type: 'tumbling',
          sizeMs: WINDOW_MS,
          aggregates: { n: 'count', total: { fn: 'sum', of: 'value' } },
        },
      ],
      sinks: [sink, { type: 'stream', stream: `${name}Sums`, of: ['parts'] }],
    },
    {
      name: `${name}Sums`,
      schema: { fields: { end: 'integer', n: 'integer' }, timestamp: { field: 'end' } },
      time: { idleAfterMs: 0, maxFutureMs: 0 },
      durability: 'replicated',
      windows: [{ name: 'seconds', type: 'tumbling', sizeMs: SUMS_MS, aggregates: { n: { fn: 'sum', of: 'n' } } }],
      sinks: [{ ...sink, stream: `results:${name}Sums` }],
    },
  ];
}

/** What one sender sends, batch by batch; the first is at the start, the last at the end of time. */
export function batchesOf(random: () => number, batches: number, rows: number): Reading[][] {
  const made: Reading[][] = [[{ at: START_MS, sensor: 'first', value: 1 }]];
  for (let i = 0; i < batches; i++) {
    const from = START_MS + Math.floor(((END_MS - START_MS) * i) / batches);
    const spanMs = (END_MS - START_MS) / batches;
    const times = Array.from({ length: rows }, () => from + Math.floor(random() * spanMs)).sort((a, b) => a - b);
    made.push(
      times.map((at) => ({ at, sensor: `s${Math.floor(random() * KEYS)}`, value: Math.floor(random() * 1000) })),
    );
  }
  made.push([{ at: END_MS, sensor: 'last', value: 1 }]);
  return made;
}

/** `lines`: of the sinks of a unit. Each result once, and the values are those of the events. */
export function checkResults(
  sent: readonly Reading[],
  parts: readonly string[],
  sums: readonly string[],
  name: string,
): void {
  const windows = new Map<string, { n: number; total: number }>();
  const seconds = new Map<string, { n: number }>();
  let endMax = 0;
  for (const { at, sensor, value } of sent) {
    if (at >= END_MS) continue;
    const start = at - (at % WINDOW_MS);
    const sum = windows.get(`${sensor} ${start}`) ?? { n: 0, total: 0 };
    windows.set(`${sensor} ${start}`, { n: sum.n + 1, total: sum.total + value });
    endMax = Math.max(endMax, start + WINDOW_MS);
  }
  for (const [window, { n }] of windows) {
    const end = Number(window.split(' ')[1]) + WINDOW_MS;
    const start = end - (end % SUMS_MS);
    // Closed by the time of the newest result.
    if (start + SUMS_MS > endMax) continue;
    seconds.set(` ${start}`, { n: (seconds.get(` ${start}`)?.n ?? 0) + n });
  }
  check(windows, parts, `${name}: windows`);
  check(seconds, sums, `${name}: sums`);
}

export function check(expected: ReadonlyMap<string, object>, lines: readonly string[], what: string): void {
  const results = lines.map((line) => JSON.parse(line) as ResultLine);
  const ids = results.map(({ id }) => id);
  const twice = new Set(ids.filter((id, i) => ids.indexOf(id) !== i));
  // With their places, and the events they are of.
  const shown = lines.map((line, i) => `${i}: ${line}`).filter((_, i) => twice.has(ids[i] as string));
  assert.deepEqual(shown, [], `${what}: emitted twice`);
  const actual = results.map(({ key, start, values }) => [`${key['sensor'] ?? ''} ${start}`, values]);
  const inOrder = (entries: Iterable<readonly unknown[]>): unknown[] =>
    [...entries].sort((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1));
  assert.deepEqual(inOrder(actual as unknown[][]), inOrder(expected.entries()), what);
}
