/**
 * Bodies that begin with a byte order mark, as editors and exports write it: the mark is passed over, and everything else
 * is where it was, whichever reader takes the events.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { partitionOf } from '../../../src/streams/decode/key-hash.ts';
import { splitBatch } from '../../../src/streams/decode/split.ts';
import { schemaOf } from '../../../src/streams/decode/stream-schema.ts';
import type { WireFormat } from '../../../src/streams/engine/task.ts';
import { wrapBinaryEvent } from '../../../src/streams/ingest/binary-cloud-event.ts';
import { ReplayPace } from '../../../src/streams/sources/replay-pace.ts';
import { decode, planOf, rowsOf } from './plan-of.ts';

const MARK = '\ufeff';
const MARK_BYTES = 3;
const freshPlan = () => planOf({ ts: 'integer', key: 'string' }, { timestamp: 'ts', keys: [['key']] });
const events = Array.from({ length: 100 }, (_, i) => ({ ts: i, key: `k${i % 7}` }));
const lines = events.map((event) => JSON.stringify(event));
const cloudEvent = (data: object, i: number): object => ({
  specversion: '1.0',
  id: `${i}`,
  source: 's',
  type: 't',
  data,
});

const BODIES: readonly (readonly [WireFormat, string])[] = [
  ['ndjson', lines.join('\n')],
  ['ndjson', ` \t${lines.join('\r\n')}\n`],
  ['json', `[${lines.join(',')}]`],
  ['json', JSON.stringify(events, null, 2)],
  ['json', lines[5] as string],
  ['cloudevents-batch', JSON.stringify(events.map(cloudEvent))],
  ['cloudevent', JSON.stringify(cloudEvent(events[3] as object, 3))],
];

describe('a body that begins with a byte order mark', () => {
  for (const [format, body] of BODIES) {
    test(`${format}, ${JSON.stringify(body.slice(0, 12))}…: its events are those without it, before and after a program is made`, () => {
      const plan = freshPlan();
      const plain = decode(freshPlan(), format, body);
      for (let i = 0; i < 2; i++) {
        const marked = decode(plan, format, MARK + body);
        assert.deepEqual(marked.rejected, []);
        assert.equal(marked.accepted, plain.accepted);
        assert.deepEqual(rowsOf(marked.events), rowsOf(plain.events));
        for (let row = 0; row < marked.accepted; row++) {
          assert.equal(marked.events.original(row), plain.events.original(row));
          if (format.startsWith('cloud')) continue;
          assert.equal(marked.events.eventAt[row], (plain.events.eventAt[row] as number) + MARK_BYTES);
        }
      }
      const { shapes } = schemaOf(plan, 0);
      if (body.length > 1000 && !format.startsWith('cloud')) {
        assert.equal((format === 'ndjson' ? shapes.lines : shapes.array).size, 1);
      }
    });
  }

  test('what is refused of it is where it stands', () => {
    const bad = '{"ts":"x","key":"k"}';
    const first = decode(freshPlan(), 'ndjson', `${MARK}${bad}\n${lines[0]}`);
    assert.deepEqual(
      [first.accepted, first.rejected[0]?.at, first.rejected[0]?.bytes],
      [1, 0, bad.length + MARK_BYTES],
    );
    assert.match(first.rejected[0]?.reason ?? '', /^field "ts"/);
    const second = decode(freshPlan(), 'ndjson', `${MARK}${lines[0]}\n${bad}`);
    const at = MARK_BYTES + (lines[0] as string).length + 1;
    assert.deepEqual([second.accepted, second.rejected[0]?.at, second.rejected[0]?.bytes], [1, at, bad.length]);
    const element = decode(freshPlan(), 'json', `${MARK}[${bad},${lines[0]}]`);
    assert.deepEqual([element.accepted, element.rejected[0]?.at, element.rejected[0]?.bytes], [1, 4, bad.length]);
    const broken = decode(freshPlan(), 'json', `${MARK}{"ts":1`);
    assert.deepEqual([broken.accepted, broken.rejected[0]?.at, broken.rejected[0]?.bytes], [0, 0, MARK_BYTES + 7]);
    assert.match(broken.rejected[0]?.reason ?? '', /ends too early at byte 7,/);
  });

  test('has it once: a second one is refused, and so is one within', () => {
    for (const format of ['ndjson', 'json'] as const) {
      const { accepted, rejected } = decode(freshPlan(), format, `${MARK}${MARK}${lines[0]}`);
      assert.deepEqual([accepted, rejected.length, rejected[0]?.at], [0, 1, 0]);
      assert.match(rejected[0]?.reason ?? '', /byte order mark/);
    }
    for (const body of [`[${MARK}${lines[0]}]`, ` ${MARK}[]`]) {
      assert.equal(decode(freshPlan(), 'json', body).rejected.length, 1, body);
    }
    assert.equal(decode(freshPlan(), 'ndjson', ` ${MARK}${lines[0]}`).rejected.length, 1);
  });

  test('alone is an empty body', () => {
    const { accepted, rejected } = decode(freshPlan(), 'ndjson', MARK);
    assert.deepEqual([accepted, rejected], [0, []]);
  });
});

test('lines of files that were put together may begin with it, too, wherever a batch of them begins', () => {
  const body = [...lines.slice(0, 50), MARK + lines[50], ...lines.slice(51)].join('\n');
  const { accepted, events: batch, rejected } = decode(freshPlan(), 'ndjson', body);
  assert.deepEqual([accepted, rejected], [100, []]);
  assert.equal(batch.original(50), lines[50]);
});

test('what is refused for it is refused in its partition as well', () => {
  const partitions = 3;
  const plan = planOf({ ts: 'integer', key: 'string' }, { keys: [['key']], key: [1], partitions });
  const twice = `${MARK}${MARK}${lines[1]}`;
  const body = Buffer.from([twice, MARK + lines[0], ...lines.slice(1, 20), twice].join('\n'));
  const shared = new SharedArrayBuffer(body.length);
  new Uint8Array(shared).set(body);
  const task = { kind: 'split', epoch: 1, stream: 0, format: 'ndjson', body: shared, bodyBytes: body.length } as const;
  const { parts } = splitBatch(plan, task);
  let refused = 0;
  for (const [partition, part] of parts.entries()) {
    const decoded = decode(plan, 'ndjson', part ?? '');
    refused += decoded.rejected.length;
    const expected = events.slice(0, 20).filter(({ key }) => partitionOf([key], partitions) === partition);
    assert.deepEqual(rowsOf(decoded.events), expected);
  }
  assert.equal(refused, 2);
});

test('data of a CloudEvent in binary mode may begin with it', () => {
  const attributes = { specversion: '1.0', id: '1', source: 's', type: 't' };
  const body = wrapBinaryEvent(attributes, 'application/json', Buffer.from(MARK + lines[0]));
  assert.equal(decode(freshPlan(), 'cloudevent', body as Uint8Array).accepted, 1);
});

test('a line that begins with it has its time for the pace of a replay', () => {
  const pace = new ReplayPace({ name: 's', speed: 1, timestamp: 'ts', unit: 'ms' }, () => 7);
  assert.equal(pace.due(Buffer.from(MARK + lines[4])), 7);
});
