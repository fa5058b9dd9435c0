import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createDedup } from '../../../src/streams/decode/dedup-set.ts';
import { ARRIVAL_MS, decode, planOf, rowOf, rowsOf } from './plan-of.ts';

const plan = planOf({ ts: 'integer?', n: 'integer' }, { timestamp: 'ts', keys: [['n']] });
const envelope = (members: object): Record<string, unknown> => ({
  specversion: '1.0',
  id: 'e1',
  source: '/sensors',
  type: 'reading',
  data: { ts: 5, n: 1 },
  ...members,
});
const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const one = (members: object) => decode(plan, 'cloudevent', envelope(members));
const reasonOf = (members: object): string => one(members).rejected[0]?.reason ?? '';

describe('a CloudEvent', () => {
  test('its data is the event, its attributes are the context', () => {
    const members = {
      subject: 'a"b',
      traceparent: TRACE,
      correlationid: 'order-17',
      partitionkey: 'p',
      time: '2023-11-14T22:13:20Z',
      custom: 'x',
    };
    const { events, rejected } = one(members);
    assert.deepEqual(rejected, []);
    assert.deepEqual(rowOf(events, 0), { ts: 5, n: 1 });
    assert.equal(events.ts[0], 5);
    assert.deepEqual(JSON.parse(events.context(0)), {
      id: 'e1',
      source: '/sensors',
      type: 'reading',
      time: '2023-11-14T22:13:20Z',
      subject: 'a"b',
      traceparent: TRACE,
      correlationid: 'order-17',
      partitionkey: 'p',
    });
    assert.equal(events.original(0), '{"ts":5,"n":1}');
  });

  test('other formats have no context', () => {
    assert.equal(decode(plan, 'ndjson', '{"n":1}').events.context(0), '');
  });

  test('its time is the time of data that has none', () => {
    const time = '2023-11-14T22:13:20.5+00:00';
    for (const [unit, type, value] of [
      ['ms', 'integer', ARRIVAL_MS + 500],
      ['s', 'number', ARRIVAL_MS / 1000 + 0.5],
      ['s', 'integer', ARRIVAL_MS / 1000],
      ['iso', 'string', time],
    ] as const) {
      const timed = planOf({ at: type, n: 'integer' }, { timestamp: 'at', timestampUnit: unit });
      const { events, rejected } = decode(timed, 'cloudevent', envelope({ time, data: { n: 1 } }));
      assert.deepEqual(rejected, []);
      assert.equal(events.ts[0], ARRIVAL_MS + 500);
      assert.deepEqual(rowOf(events, 0), { at: value, n: 1 });
      assert.match(
        decode(timed, 'cloudevent', envelope({ data: { n: 1 } })).rejected[0]?.reason ?? '',
        /^data: field "at": is absent/,
      );
    }
    assert.equal(one({ data: { n: 1 } }).events.ts[0], ARRIVAL_MS);
  });

  test('the time of one event is not that of the next', () => {
    const timed = planOf({ at: 'integer', n: 'integer' }, { timestamp: 'at' });
    const body = [envelope({ time: '2023-11-14T22:13:20Z', data: { n: 1 } }), envelope({ id: 'e2', data: { n: 2 } })];
    const { accepted, rejected } = decode(timed, 'cloudevents-batch', body);
    assert.deepEqual([accepted, rejected.length], [1, 1]);
  });

  test('data may be base64', () => {
    const data_base64 = Buffer.from(' {"n":7,"ts":9} ').toString('base64');
    const { events, rejected } = one({ data: undefined, data_base64 });
    assert.deepEqual(rejected, []);
    assert.deepEqual(rowOf(events, 0), { ts: 9, n: 7 });
    assert.equal(events.original(0), ' {"n":7,"ts":9} ');
    assert.match(reasonOf({ data_base64 }), /has both/);
    assert.match(reasonOf({ data: undefined, data_base64: '***' }), /is not base64/);
    assert.match(
      reasonOf({ data: undefined, data_base64: Buffer.from('{"n":').toString('base64') }),
      /^data: expected JSON/,
    );
  });

  test('names with escapes are names', () => {
    const body = JSON.stringify(envelope({})).replace('"id"', '"\\u0069d"').replace('"data"', '"d\\u0061ta"');
    assert.equal(decode(plan, 'cloudevent', body).accepted, 1);
  });

  test('what it must have is checked', () => {
    assert.match(reasonOf({ specversion: '0.3' }), /^attribute "specversion": "0.3" is not "1.0"$/);
    assert.match(reasonOf({ specversion: undefined }), /^attribute "specversion": is absent/);
    assert.match(reasonOf({ id: '' }), /^attribute "id": "" is not a non-empty string$/);
    assert.match(reasonOf({ id: 5 }), /^attribute "id": 5 is not/);
    assert.match(reasonOf({ source: null }), /^attribute "source": is absent/);
    assert.match(reasonOf({ type: undefined }), /^attribute "type": is absent/);
    assert.match(reasonOf({ time: 'yesterday' }), /^attribute "time": "yesterday" is not a time/);
    assert.match(reasonOf({ subject: ['x'] }), /^attribute "subject": \["x"\] is not a string$/);
    assert.match(reasonOf({ correlationid: 17 }), /^attribute "correlationid": 17 is not a string$/);
    assert.match(reasonOf({ data: undefined }), /^data: is absent/);
    assert.match(reasonOf({ data: 'text' }), /^data: expected an object, got "text"$/);
    assert.match(reasonOf({ data: { n: 'x' } }), /^data: field "n": "x" is not a safe integer$/);
    assert.equal(decode(plan, 'cloudevent', '[]').rejected.length, 1);
    assert.equal(decode(plan, 'cloudevent', '{"specversion":"1.0"').rejected.length, 1);
    assert.equal(decode(plan, 'cloudevents-batch', envelope({})).rejected.length, 1);
  });

  test('data may be as deep as any event, and not deeper', () => {
    const data = (levels: number): string => `{"n":1,"x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const body = (levels: number): string => JSON.stringify(envelope({ data: '@' })).replace('"@"', data(levels));
    assert.equal(decode(plan, 'cloudevent', body(63)).accepted, 1);
    assert.match(decode(plan, 'cloudevent', body(64)).rejected[0]?.reason ?? '', /deeper than 64/);
  });
});

describe('repetitions', () => {
  const batch = (...ids: string[]): object[] => ids.map((id, i) => envelope({ id, data: { n: i } }));

  test('of another batch and of the same one are left out, those of another source are not', () => {
    const dedup = createDedup(100);
    const first = decode(plan, 'cloudevents-batch', batch('a', 'b', 'a'), { dedup, seq: 1 });
    assert.deepEqual([first.accepted, first.duplicates], [2, 1]);
    const second = decode(plan, 'cloudevents-batch', [...batch('b', 'c'), envelope({ id: 'b', source: '/other' })], {
      dedup,
      seq: 2,
    });
    assert.deepEqual([second.accepted, second.duplicates], [2, 1]);
  });

  test('a batch that is decoded again has the same rows', () => {
    const dedup = createDedup(100);
    decode(plan, 'cloudevents-batch', batch('a'), { dedup, seq: 1 });
    const first = decode(plan, 'cloudevents-batch', batch('a', 'b', 'b', 'c'), { dedup, seq: 2 });
    const again = decode(plan, 'cloudevents-batch', batch('a', 'b', 'b', 'c'), { dedup, seq: 2 });
    assert.deepEqual(rowsOf(first.events), [
      { ts: null, n: 1 },
      { ts: null, n: 3 },
    ]);
    assert.deepEqual(rowsOf(again.events), rowsOf(first.events));
    assert.deepEqual([again.accepted, again.duplicates], [first.accepted, first.duplicates]);
  });

  test('the same id, written otherwise, is the same', () => {
    const dedup = createDedup(100);
    const body = JSON.stringify(batch('a', 'a')).replace('"a"', '"\\u0061"');
    assert.equal(decode(plan, 'cloudevents-batch', body, { dedup }).duplicates, 1);
  });

  test('an event that was refused may come again', () => {
    const dedup = createDedup(100);
    assert.equal(decode(plan, 'cloudevent', envelope({ data: {} }), { dedup, seq: 1 }).rejected.length, 1);
    assert.equal(decode(plan, 'cloudevent', envelope({}), { dedup, seq: 2 }).accepted, 1);
  });

  test('many events, with contexts that need room, are all there', () => {
    const ids = Array.from({ length: 2000 }, (_, i) => `id-${i}`);
    const { events, accepted } = decode(plan, 'cloudevents-batch', batch(...ids), { dedup: createDedup(5000) });
    assert.equal(accepted, 2000);
    for (const [row, id] of ids.entries()) assert.equal(JSON.parse(events.context(row)).id, id);
  });
});
