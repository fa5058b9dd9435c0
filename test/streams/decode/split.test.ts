/**
 * Batches cut by key: no event is lost, doubled, changed or put where its key is not, in any format.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pack } from 'msgpackr';
import { encodeColumns } from '../../../src/streams/decode/column-format.ts';
import { partitionOfHash, partitionOf as partitionOfKey } from '../../../src/streams/decode/key-hash.ts';
import { splitBatch } from '../../../src/streams/decode/split.ts';
import type { SplitResult, WireFormat } from '../../../src/streams/engine/task.ts';
import { decode, planOf, rowsOf } from './plan-of.ts';

const PARTITIONS = 3;
const plan = planOf(
  { sensor: 'string', n: 'integer', note: 'string?' },
  { keys: [['sensor']], key: [0], partitions: PARTITIONS },
);

interface Event {
  readonly sensor: string;
  readonly n: number;
  readonly note?: string;
}

function split(format: WireFormat, body: Uint8Array): SplitResult {
  const shared = new SharedArrayBuffer(Math.max(1, body.length));
  new Uint8Array(shared).set(body);
  const task = { kind: 'split', epoch: 1, stream: 0, format, body: shared, bodyBytes: body.length } as const;
  return splitBatch(plan, task);
}

/** Parts by partition; the body itself where there is only one. */
function partsOf(format: WireFormat, body: Uint8Array): readonly (Uint8Array | null)[] {
  const { only, parts } = split(format, body);
  return only < 0 ? parts : Array.from({ length: PARTITIONS }, (_, i) => (i === only ? body : null));
}

const partitionOf = (sensor: string): number => partitionOfKey([sensor], PARTITIONS);
const envelope = (data: unknown, id: number): object => ({
  specversion: '1.0',
  id: `${id}`,
  source: '/s',
  type: 't',
  data,
});
const text = (value: string): Uint8Array => Buffer.from(value);

const WAYS: Readonly<Partial<Record<WireFormat, (events: readonly Event[]) => Uint8Array>>> = {
  ndjson: (events) => text(`${events.map((event) => JSON.stringify(event)).join('\r\n')}\n`),
  json: (events) => text(JSON.stringify(events, null, 2)),
  msgpack: (events) => pack(events),
  'cloudevents-batch': (events) => text(JSON.stringify(events.map(envelope))),
  columns: (events) =>
    encodeColumns({
      sensor: events.map(({ sensor }) => sensor),
      n: events.map(({ n }) => n),
      note: events.map(({ note }) => note),
    }),
};

const someEvents = fc.array(
  fc.record(
    {
      sensor: fc.oneof(fc.constantFrom('a', 'b', 'e', 'f'), fc.string({ unit: 'grapheme' })),
      n: fc.integer(),
      note: fc.string({ unit: 'grapheme' }),
    },
    { requiredKeys: ['sensor', 'n'] },
  ),
  { maxLength: 40 },
);

describe('a batch cut by key', () => {
  for (const [format, encode] of Object.entries(WAYS) as [WireFormat, (events: readonly Event[]) => Uint8Array][]) {
    test(`${format}: each event is in the part of its key, in the order it came in`, () => {
      fc.assert(
        fc.property(someEvents, (events) => {
          const parts = partsOf(format, encode(events));
          for (const [partition, part] of parts.entries()) {
            const expected = events.filter(({ sensor }) => partitionOf(sensor) === partition);
            assert.equal(part === null, expected.length === 0 && !(events.length === 0 && partition === 0));
            if (part === null) continue;
            const decoded = decode(plan, format, part);
            assert.deepEqual(decoded.rejected, []);
            assert.deepEqual(
              rowsOf(decoded.events),
              expected.map(({ n, note = null, sensor }) => ({ sensor, n, note })),
            );
          }
        }),
        { numRuns: 200 },
      );
    });
  }

  test('what a dead letter holds, without a list: what is a list itself is refused in one part', () => {
    const events = [...'abef'].map((sensor, n) => ({ sensor, n }));
    const bodies: readonly [WireFormat, WireFormat, Uint8Array][] = [
      ['json-object', 'json', text(`${JSON.stringify(events[0])} []`)],
      ['msgpack-maps', 'msgpack', Buffer.concat([pack([]), ...events.map((event) => pack(event))])],
    ];
    for (const [format, as, body] of bodies) {
      const whole = decode(plan, format, body);
      assert.ok(whole.rejected.length > 0);
      const cut = split(format, body);
      const parts = cut.only < 0 ? cut.parts : [body];
      assert.equal(cut.format, cut.only < 0 ? as : format);
      const decoded = parts.flatMap((part) => (part === null ? [] : [decode(plan, cut.format, part)]));
      const sum = (count: (each: typeof whole) => number): number =>
        decoded.reduce((all, each) => all + count(each), 0);
      assert.equal(
        sum(({ rejected }) => rejected.length),
        whole.rejected.length,
      );
      assert.equal(
        sum((each) => rowsOf(each.events).length),
        rowsOf(whole.events).length,
      );
    }
  });

  test('keys of all partitions occur, about as often', () => {
    const counts = [0, 0, 0];
    for (let i = 0; i < 3000; i++) counts[partitionOf(`sensor-${i}`)] = (counts[partitionOf(`sensor-${i}`)] ?? 0) + 1;
    for (const count of counts) assert.ok(count > 850 && count < 1150, String(counts));
  });

  test('where a key is does not change from version to version', () => {
    assert.deepEqual(
      ['a', 'b', 'c', 'Oslo', ''].map((key) => partitionOfKey([key], 64)),
      [49, 13, 8, 25, 0],
    );
    assert.equal(partitionOfHash(0xffffffff, 64) < 64, true);
  });

  test('a body that is of one partition goes on as it is', () => {
    const body = text('{"sensor":"a","n":1}\n{"sensor":"a","n":"x"}');
    assert.equal(split('ndjson', body).only, partitionOf('a'));
    assert.equal(split('ndjson', text('')).only, 0);
    assert.equal(split('cloudevent', text(JSON.stringify(envelope({ sensor: 'b', n: 1 }, 1)))).only, partitionOf('b'));
  });
});

describe('what is refused', () => {
  const other = ['d', 'e', 'f'].find((key) => partitionOf(key) === 1) as string;
  const first = ['a', 'b', 'c', 'd', 'e', 'f'].find((key) => partitionOf(key) === 0) as string;
  const good = { sensor: first, n: 1 };
  /** Per partition: rows taken, reasons. */
  const outcomes = (format: WireFormat, body: Uint8Array): [number, string[]][] =>
    partsOf(format, body).map((part) => {
      if (part === null) return [0, []];
      const { accepted, rejected } = decode(plan, format, part);
      return [accepted, rejected.map(({ reason }) => reason)];
    });

  test('is refused in the partition of its key, and in the first when it has none', () => {
    const bad = { sensor: other, n: 'many' };
    const lines = [good, bad, { n: 1 }].map((event) => JSON.stringify(event));
    const bodies: [WireFormat, Uint8Array][] = [
      ['ndjson', text([...lines, '{"sensor":'].join('\n'))],
      ['json', text(`[${lines.join(', ')}, {"sensor": ]`)],
      ['msgpack', Buffer.concat([...[good, bad, { n: 1 }].map((event) => pack(event)), Buffer.from([0xc1])])],
      [
        'cloudevents-batch',
        text(`[${[good, bad, { n: 1 }].map((data, i) => JSON.stringify(envelope(data, i))).join()}, {]`),
      ],
    ];
    for (const [format, body] of bodies) {
      const whole = decode(plan, format, body);
      assert.equal(whole.rejected.length, 3, format);
      const [one, two, three] = outcomes(format, body);
      assert.equal(one?.[0], 1, format);
      assert.equal(one?.[1].length, 2, format);
      assert.match(one?.[1][0] as string, /sensor/, format);
      assert.deepEqual(two, [0, [whole.rejected[0]?.reason]], format);
      assert.deepEqual(three, [0, []], format);
    }
  });

  test('beside more of its kind than are listed elsewhere', () => {
    const lines = Array.from({ length: 2500 }, (_, i) =>
      JSON.stringify({ sensor: i % 2 === 0 ? first : other, n: 'x' }),
    );
    const parts = partsOf('ndjson', text(lines.join('\n')));
    const refused = parts.map((part) => {
      if (part === null) return 0;
      const { rejected, rejectedMore } = decode(plan, 'ndjson', part);
      return rejected.length + rejectedMore;
    });
    assert.deepEqual(refused, [1250, 1250, 0]);
  });

  test('a list that is not closed, or has something behind it, stays so', () => {
    const list = JSON.stringify([good, { sensor: other, n: 2 }]);
    for (const body of [
      list.slice(0, -1),
      `${list} {"sensor":"${first}","n":3}`,
      `${list} [`,
      `${list.slice(0, -1)},`,
    ]) {
      const whole = decode(plan, 'json', body);
      const parts = outcomes('json', text(body));
      assert.equal(whole.rejected.length, 1, body);
      assert.equal(
        parts.reduce((sum, [accepted]) => sum + accepted, 0),
        whole.accepted,
        body,
      );
      assert.equal(
        parts.reduce((sum, [, reasons]) => sum + reasons.length, 0),
        1,
        body,
      );
    }
  });
});
