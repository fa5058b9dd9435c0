/**
 * Batches that are damaged, or hold what is no event, cut by key: what a whole body comes to, its parts come to, too.
 * The same events, each where its key is, and as many refused ones.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { pack } from 'msgpackr';
import { encodeColumns } from '../../../src/streams/decode/column-format.ts';
import { partitionOf as partitionOfKey } from '../../../src/streams/decode/key-hash.ts';
import { splitBatch } from '../../../src/streams/decode/split.ts';
import type { WireFormat } from '../../../src/streams/engine/task.ts';
import { randomFrom } from '../../random.ts';
import { ARRIVAL_MS, decode, planOf, rowsOf } from './plan-of.ts';

const PARTITIONS = 3;
const CASES = 1500;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);
const FIELDS = { sensor: 'string', n: 'integer', note: 'string?' } as const;
const OPTIONS = { keys: [['sensor']], key: [0], partitions: PARTITIONS } as const;
const plan = planOf(FIELDS, OPTIONS);
const partitionOf = (sensor: string): number => partitionOfKey([sensor], PARTITIONS);
const sensorOf = (partition: number): string =>
  ['a', 'b', 'c', 'd', 'e', 'f'].find((sensor) => partitionOf(sensor) === partition) as string;

interface Parts {
  readonly format: WireFormat;
  readonly parts: readonly (Uint8Array | null)[];
}

function cut(format: WireFormat, body: Uint8Array, of = plan): Parts {
  const shared = new SharedArrayBuffer(Math.max(1, body.length));
  new Uint8Array(shared).set(body);
  const found = splitBatch(of, { kind: 'split', epoch: 1, stream: 0, format, body: shared, bodyBytes: body.length });
  if (found.only < 0) return found;
  return { format, parts: Array.from({ length: PARTITIONS }, (_, i) => (i === found.only ? body : null)) };
}

/** Rows and number of refused ones, by partition. */
function outcomeOf({ format, parts }: Parts): [object[], number][] {
  return parts.map((part) => {
    if (part === null) return [[], 0];
    const { events, rejected, rejectedMore } = decode(plan, format, part);
    return [rowsOf(events), rejected.length + rejectedMore];
  });
}

function check(format: WireFormat, body: Uint8Array): void {
  const whole = decode(plan, format, body);
  const rows = rowsOf(whole.events) as { sensor: string }[];
  const outcome = outcomeOf(cut(format, body));
  const shown = `${format} ${JSON.stringify(Buffer.from(body).toString('latin1'))}`;
  for (const [partition, [its]] of outcome.entries()) {
    const expected = rows.filter(({ sensor }) => partitionOf(sensor) === partition);
    assert.deepEqual(its, expected, `partition ${partition} of ${shown}`);
  }
  const refused = outcome.reduce((sum, [, its]) => sum + its, 0);
  assert.equal(refused, whole.rejected.length + whole.rejectedMore, `refused of ${shown}`);
}

const ODD = [5, null, 'x', [], [{ sensor: 'a', n: 1 }], {}, { sensor: 5, n: 1 }, { n: 1 }, { sensor: 'b', n: 'x' }];
const MARKS = [' ', ',', ']', '}', '[', '{', '\n', '"', '\u0000', ',,', '],'];

function bodyOf(format: WireFormat, random: () => number): Uint8Array {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const event = (): unknown =>
    random() < 0.2 ? pick(ODD) : { sensor: pick(['a', 'b', 'c', 'e', 'ü', '"\\']), n: 1, note: pick(MARKS) };
  const events = Array.from({ length: Math.floor(random() * 6) }, event);
  const list = (items: readonly unknown[]): Buffer =>
    Buffer.from(`[${items.map((item) => JSON.stringify(item)).join(pick([',', ' ,\n']))}${pick(['', ' '])}]`);
  const envelope = (data: unknown, id = 0): object => {
    const base64 = Buffer.from(JSON.stringify(data)).toString('base64');
    const content = random() < 0.3 ? { data_base64: base64 } : { data };
    return { specversion: '1.0', id: `${id}`, source: '/s', type: 't', ...content };
  };
  if (format === 'ndjson') return Buffer.from(events.map((each) => JSON.stringify(each)).join(pick(['\n', '\r\n\n'])));
  if (format === 'json') return random() < 0.2 ? Buffer.from(JSON.stringify(event())) : list(events);
  if (format === 'msgpack') return random() < 0.5 ? pack(events) : Buffer.concat(events.map((each) => pack(each)));
  if (format === 'cloudevent') return Buffer.from(JSON.stringify(envelope(event())));
  if (format === 'cloudevents-batch') return list(events.map((each, i) => (random() < 0.1 ? each : envelope(each, i))));
  return encodeColumns({
    sensor: events.map(() => pick(['a', 'b', 'c', 'ü', null])),
    n: events.map(() => pick([1, 2, 1.5, null])),
    note: events.map(() => pick(['x', null])),
  });
}

function damaged(body: Uint8Array, format: WireFormat, random: () => number): Uint8Array {
  const place = Math.floor(random() * body.length);
  const mark = Buffer.from(MARKS[Math.floor(random() * MARKS.length)] as string);
  const more = format === 'msgpack' ? pack(ODD[4]) : Buffer.from(`${mark}{"sensor":"b","n":7}`);
  const kind = Math.floor(random() * 6);
  if (kind === 0) return body.subarray(0, place);
  if (kind === 1) return Buffer.concat([body, more]);
  if (kind === 2) return Buffer.concat([body, mark]);
  if (kind === 3 && format !== 'columns') {
    return Buffer.concat([body.subarray(0, place), mark, body.subarray(place)]);
  }
  return body;
}

describe('a damaged batch cut by key', () => {
  for (const format of ['ndjson', 'json', 'msgpack', 'cloudevent', 'cloudevents-batch', 'columns'] as const) {
    test(`${format}: its parts come to what the whole comes to`, () => {
      const random = randomFrom(SEED);
      for (let i = 0; i < CASES; i++) check(format, damaged(bodyOf(format, random), format, random));
    });
  }

  test('what only closes a list, or is behind one in MessagePack, is refused though it is alone in its part', () => {
    const [, second, third] = [0, 1, 2].map((partition) => ({ sensor: sensorOf(partition), n: 1 }));
    check('json', Buffer.from(`[${JSON.stringify(second)}, ${JSON.stringify(third)}, ]`));
    check('msgpack', Buffer.concat([pack([second]), pack(third), pack({ sensor: sensorOf(0), n: 1 })]));
    check('msgpack', pack([second, [third], third]));
    check('cloudevent', Buffer.from(`{"specversion":"1.0","id":"1","source":"s","type":"t","data":{"sensor":"b"}} 1`));
  });

  test('claims of millions of elements cost what their bytes do', () => {
    for (const head of [
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdf, 0x7f, 0xff, 0xff, 0xff],
      [0xdd, 0x05, 0, 0, 0],
    ]) {
      check('msgpack', Buffer.concat([pack({ sensor: sensorOf(1), n: 1 }), Buffer.from(head)]));
    }
  });

  test('where an event goes does not depend on the time, nor on how its data is written', () => {
    const of = planOf({ ...FIELDS, at: 'integer' }, { ...OPTIONS, timestamp: 'at', maxFutureMs: 1000 });
    const ahead = { sensor: sensorOf(2), n: 1, at: ARRIVAL_MS + 1e9 };
    const refused = { sensor: sensorOf(1), n: 'x', at: 1 };
    const data = [ahead, refused, { ...ahead, sensor: sensorOf(0) }].map((event, i) => ({
      ...{ specversion: '1.0', id: `${i}`, source: '/s', type: 't' },
      data_base64: Buffer.from(JSON.stringify(event)).toString('base64'),
    }));
    const { format, parts } = cut('cloudevents-batch', Buffer.from(JSON.stringify(data)), of);
    assert.deepEqual(
      parts.map((part) => decode(of, format, part as Uint8Array).rejected.length),
      [1, 1, 1],
    );
    assert.deepEqual(
      parts.map((part) => (JSON.parse(Buffer.from(part as Uint8Array).toString()) as { id: string }[])[0]?.id),
      ['2', '1', '0'],
    );
  });
});
