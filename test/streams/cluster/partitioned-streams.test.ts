/**
 * Partitions put together, with partitions that answer when the test says so.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PartitionedStreams } from '../../../src/streams/cluster/partitioned-streams.ts';
import type { UnitStreams } from '../../../src/streams/cluster/unit-streams.ts';
import { type ResultLine, StreamRefusal, type WindowQuery } from '../../../src/streams/engine/port.ts';
import type { SplitResult } from '../../../src/streams/engine/task.ts';
import { planOf } from '../decode/plan-of.ts';

const PENDING_BYTES_MAX = 100;
const plan = planOf({ sensor: 'string' }, { key: [0], partitions: 2, pendingBytesMax: PENDING_BYTES_MAX });
const ONE: SplitResult = { only: 0, format: 'ndjson', parts: [] };
const HEADING = {
  format: 'ndjson',
  partition: '',
  position: '',
  batchId: '',
  traceparent: '',
  correlationId: '',
} as const;

const lineOf = (id: string, end: number): ResultLine => ({
  ...{ id, stream: 'events', name: 'w', key: {}, start: 0, end, pane: 0, timing: 'on-time', final: true, values: {} },
});

function partitionedOf(
  unit: Partial<UnitStreams>,
  split: () => Promise<SplitResult> = async () => ONE,
): PartitionedStreams {
  const partitions = [unit, unit] as unknown as UnitStreams[];
  return new PartitionedStreams({ partitions, splitter: { split }, plan: () => plan });
}

describe('partitions as one stream', () => {
  for (const when of ['before', 'after'] as const) {
    test(`a window that closes while all are asked, ${when} the open ones are told, is told once`, async () => {
      let closed = false;
      const streams = partitionedOf({
        async query({ include }: WindowQuery) {
          // The open ones are told in their turn among the batches, the closed ones at once.
          if (include === 'open') await new Promise((resolve) => setImmediate(resolve));
          if (when === 'before' && include === 'open') closed = true;
          const rows = (include === 'closed') === closed ? [lineOf('closing', 1000)] : [];
          if (include === 'open') setImmediate(() => (closed = true));
          return {
            rows: [...rows, lineOf(include, 500)],
            watermark: null,
            truncated: false,
            truncatedBy: [],
            unanswered: [],
          };
        },
      });
      const query = { stream: 'events', name: 'w', key: null, fromMs: 0, toMs: 1e9, by: '', limit: 10 } as const;
      if (when === 'after') setImmediate(() => setImmediate(() => (closed = true)));
      const { rows } = await streams.query({ ...query, include: 'all' });
      const ids = rows.map(({ id }) => id);
      assert.equal(ids.filter((id) => id === 'closing').length, 2, `once from each of the two, not ${ids}`);
    });
  }

  test('an answer that a part of a partition is missing in names the partition', async () => {
    let asked = 0;
    const streams = partitionedOf({
      async query() {
        asked += 1;
        const unanswered = asked === 2 ? [{ part: 'shards 1 of 4', why: 'a thread was lost' }] : [];
        const truncatedBy = asked === 2 ? (['unanswered'] as const) : [];
        return { rows: [lineOf('a', 500)], watermark: null, truncated: asked === 2, truncatedBy, unanswered };
      },
    });
    const query = { stream: 'events', name: 'w', key: null, fromMs: 0, toMs: 1e9, by: '', limit: 10 } as const;
    const { truncated, truncatedBy, unanswered } = await streams.query({ ...query, include: 'open' });
    assert.deepEqual([truncated, truncatedBy], [true, ['unanswered']]);
    assert.deepEqual(unanswered, [{ part: 'partition 1: shards 1 of 4', why: 'a thread was lost' }]);
  });

  test('batches that were cut and wait for one before them count as waiting', async () => {
    let cut = 0;
    let release = (): void => undefined;
    const first = new Promise<SplitResult>((resolve) => {
      release = () => resolve(ONE);
    });
    const taken: number[] = [];
    const streams = partitionedOf(
      {
        async accept(_stream, _source, { body }) {
          taken.push(body.byteLength);
          return { accepted: 1, rejected: 0, late: 0 };
        },
      },
      () => {
        cut += 1;
        return cut === 1 ? first : Promise.resolve(ONE);
      },
    );
    const send = (bytes: number): Promise<unknown> =>
      streams.accept('events', 'test', { ...HEADING, body: new Uint8Array(bytes) });
    const waiting = [send(10), send(40), send(41)];
    await new Promise((resolve) => setImmediate(resolve));
    await assert.rejects(
      send(20),
      (error: unknown) =>
        error instanceof StreamRefusal && error.refusal === 'pending' && /91 bytes/.test(error.message),
    );
    assert.deepEqual(taken, []);
    release();
    await Promise.all(waiting);
    assert.deepEqual(taken, [10, 40, 41]);
    await send(PENDING_BYTES_MAX);
  });
});
