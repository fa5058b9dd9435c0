/** Results as events: what is cut out of a line is what the line says when it is read, and what cannot be cut is read. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { DerivedEvents } from '../../../src/streams/engine/results/derived-body.ts';
import { collectInto, cutEvent, readEvent } from '../../../src/streams/engine/results/result-event.ts';
import { LineWriter } from '../../../src/streams/engine/shards/result-line.ts';
import { bytesOfLines, linesOf } from '../../../src/streams/lines/lines-of.ts';
import { type Keys, newResultRow, type ResultRow } from '../../../src/streams/operator.ts';

const NEITHER = { takesRetractions: false, takesOutputs: false };
const MARKS = [
  '},"start":1',
  ',"values":{',
  '},"context":{"events":[',
  '"],"traces":[],"correlationIds":[]}}',
  '\\"',
  'é',
];

const text = fc.oneof(
  fc.string(),
  fc.constantFrom(...MARKS),
  fc.tuple(fc.constantFrom(...MARKS), fc.string()).map(String),
);
const value = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), text, fc.constant(null));
const nested = fc.oneof(
  value,
  fc.array(value, { maxLength: 3 }),
  fc.dictionary(fc.constantFrom('start', 'context', 'a'), value),
);

const evidenceOf = (events: string[], traces: string[]): ResultRow['evidence'] => ({
  events,
  traces,
  correlationIds: [],
});

const written = (columns: readonly string[], key: Record<string, unknown>, row: Partial<ResultRow>): string => {
  const keys = { json: () => JSON.stringify(key) } as unknown as Keys;
  return new LineWriter('s', 'w', columns, false).line({ ...newResultRow([]), keyId: 0, ...row }, keys);
};

const readOf = (line: string): string => readEvent(JSON.parse(line) as ResultLine, NEITHER);

describe('a plain result', () => {
  test('is cut into the event that reading it gives', () => {
    const bounds = fc.oneof(fc.integer(), fc.constant(Number.POSITIVE_INFINITY));
    fc.assert(
      fc.property(
        fc.record({ start: bounds, end: bounds, pane: fc.nat(), final: fc.boolean() }),
        fc.constantFrom<ResultRow['timing'][]>('early', 'on-time', 'late'),
        fc.dictionary(fc.constantFrom('k', 'host'), value),
        fc.array(nested, { maxLength: 3 }),
        fc.array(text, { maxLength: 2 }),
        (facts, timing, key, values, events) => {
          const columns = values.map((_, i) => `v${i}`);
          const line = written(columns, key, { ...facts, timing, values, evidence: evidenceOf(events, []) });
          assert.deepEqual(JSON.parse(cutEvent(line)), JSON.parse(readOf(line)));
          assert.deepEqual(
            Object.keys(JSON.parse(cutEvent(line)) as object),
            Object.keys(JSON.parse(readOf(line)) as object),
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('is not cut when it has a context, none at all, or takes something back', () => {
    const values = [1];
    const evidence = evidenceOf(['1:0'], []);
    assert.notEqual(cutEvent(written(['v'], {}, { values, evidence })), '');
    assert.equal(cutEvent(written(['v'], {}, { values, evidence: evidenceOf(['1:0'], ['00-a-b-01']) })), '');
    assert.equal(cutEvent(written(['v'], {}, { values, evidence: null })), '');
    assert.equal(cutEvent(written(['v'], {}, { values, evidence, retraction: true })), '');
  });
});

describe('the events of a chunk', () => {
  const collected = (lines: string[], wants = NEITHER): DerivedEvents => {
    const events = new DerivedEvents(1);
    const chunk = { seq: 1, operator: 0, shard: 0, output: '' as const, count: lines.length, start: 0, end: 0 };
    collectInto(events, { ...chunk, lines: bytesOfLines(lines) }, wants, Number.POSITIVE_INFINITY);
    return events;
  };
  const linesIn = (events: DerivedEvents): string[] => linesOf(events.body(null));
  const evidence = evidenceOf(['1:0'], []);

  test('have the later of two values of one name, and what their stream can say of results', () => {
    const line = written(['start', 'host'], { host: 'a' }, { start: 5, values: [7, 'b'], evidence });
    const events = [collected([line]), collected([line], { takesRetractions: true, takesOutputs: true })];
    const facts = { end: 0, pane: 0, timing: 'on-time', final: true, host: 'b' };
    assert.deepEqual(
      events.map((each) => linesIn(each).map((text) => JSON.parse(text) as unknown)),
      [[{ start: 7, ...facts }], [{ start: 7, ...facts, retraction: false, output: '' }]],
    );
  });

  test('lack what is taken back, and carry contexts', () => {
    const lines = [
      written(['v'], { k: 'a' }, { values: [1], evidence }),
      written(['v'], { k: 'b' }, { values: [2], evidence: null, retraction: true }),
      written(['v'], { k: 'c' }, { values: [3], evidence: evidenceOf(['1:0'], ['00-a-b-01']) }),
    ];
    const events = collected(lines);
    assert.deepEqual(
      linesIn(events),
      [lines[0], lines[2]].map((line) => readOf(line as string)),
    );
    assert.deepEqual(
      events.contexts.map(({ traceparent }) => traceparent),
      ['', '00-a-b-01'],
    );
  });
});
