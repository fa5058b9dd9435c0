/**
 * Readings of sensors whose stream is cut by sensor, and what must come out, computed plainly.
 *
 * Each sender is a source partition and sends in the order of time; its first batch has every sensor, so that each part of
 * the stream knows all senders before time goes on, and its last two have every sensor as well, so that time goes to the
 * end in each part. The windows feed a stream that is cut alike.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { batchesOf, check, END_MS, type Reading, WINDOW_MS } from './sensor-case.ts';

const SUMS_MS = 1000;
const AFTER_END_MS = END_MS + 2 * SUMS_MS;
const SENSORS = 7;

export function cutStreams(
  name: string,
  redisUrl: string,
  partitions: number,
  sources: StreamDefinition['sources'] = [],
): StreamDefinition[] {
  const sink = { type: 'redis', url: redisUrl, stream: `results:${name}` };
  const common = {
    time: { idleAfterMs: 0, maxFutureMs: 0 },
    durability: 'replicated',
    partitions,
  } as const;
  return [
    {
      ...common,
      name,
      sources,
      schema: {
        fields: { at: 'integer', sensor: 'string', value: 'integer' },
        timestamp: { field: 'at' },
        key: ['sensor'],
      },
      windows: [
        {
          name: 'parts',
          type: 'tumbling',
          sizeMs: WINDOW_MS,
          aggregates: { n: 'count', total: { fn: 'sum', of: 'value' } },
        },
      ],
      sinks: [
        { ...sink, of: ['parts'] },
        { type: 'stream', stream: `${name}Sums`, of: ['parts'] },
      ],
    },
    {
      ...common,
      name: `${name}Sums`,
      schema: {
        fields: { end: 'integer', sensor: 'string', n: 'integer' },
        timestamp: { field: 'end' },
        key: ['sensor'],
      },
      windows: [{ name: 'seconds', type: 'tumbling', sizeMs: SUMS_MS, aggregates: { n: { fn: 'sum', of: 'n' } } }],
      sinks: [{ ...sink, stream: `results:${name}Sums` }],
    },
  ];
}

export function cutBatches(random: () => number, batches: number, rows: number): Reading[][] {
  const [first, ...rest] = batchesOf(random, batches, rows);
  const all = (at: number): Reading[] => Array.from({ length: SENSORS }, (_, i) => ({ at, sensor: `s${i}`, value: 1 }));
  return [all((first as Reading[])[0]?.at as number), ...rest.slice(0, -1), all(END_MS), all(AFTER_END_MS)];
}

export function expectedOf(sent: readonly Reading[]): {
  readonly windows: ReadonlyMap<string, object>;
  readonly seconds: ReadonlyMap<string, object>;
} {
  const windows = new Map<string, { n: number; total: number }>();
  const seconds = new Map<string, { n: number }>();
  for (const { at, sensor, value } of sent) {
    if (at >= AFTER_END_MS) continue;
    const start = at - (at % WINDOW_MS);
    const sum = windows.get(`${sensor} ${start}`) ?? { n: 0, total: 0 };
    windows.set(`${sensor} ${start}`, { n: sum.n + 1, total: sum.total + value });
    const end = start + WINDOW_MS;
    if (end >= END_MS) continue;
    const second = `${sensor} ${end - (end % SUMS_MS)}`;
    seconds.set(second, { n: (seconds.get(second)?.n ?? 0) + 1 });
  }
  return { windows, seconds };
}

/** `lines`: of the sinks. Each result once, and the values are those of the events. */
export function checkCut(sent: readonly Reading[], parts: readonly string[], sums: readonly string[]): void {
  const { seconds, windows } = expectedOf(sent);
  check(windows, parts, 'windows');
  check(seconds, sums, 'sums');
}
