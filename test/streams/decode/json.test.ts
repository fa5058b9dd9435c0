import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decode, planOf, rowsOf } from './plan-of.ts';

const plan = planOf({ n: 'integer', s: 'string?' });
const taken = (body: string): unknown[] => rowsOf(decode(plan, 'json', body).events).map(({ n }) => n);
const refused = (body: string): [number, number, string][] =>
  decode(plan, 'json', body).rejected.map(({ at, bytes, reason }) => [at, bytes, reason]);

describe('JSON bodies', () => {
  test('an array of objects, one object, nothing', () => {
    assert.deepEqual(taken(' [ {"n":1} ,\n{"n":2}\r\n] \n'), [1, 2]);
    assert.deepEqual(taken('{"n":3}'), [3]);
    assert.deepEqual(taken(' [ ] '), []);
    assert.deepEqual(refused('[]'), []);
  });

  test('an element that is no event costs itself', () => {
    const deep = `{"n":1,"x":${'['.repeat(100)}${']'.repeat(100)}}`;
    const body = `[{"n":1},{"n":"x"},7,{"n":2,"s":"\\ud800"},${deep},{"n":3,"s":"\\u0041\\n"}]`;
    assert.deepEqual(taken(body), [1, 3]);
    assert.deepEqual(
      refused(body).map(([at, bytes, reason]) => [body.slice(at, at + bytes), reason]),
      [
        ['{"n":"x"}', 'field "n": "x" is not a safe integer'],
        ['7', 'expected an object, got 7'],
        ['{"n":2,"s":"\\ud800"}', 'field "s": "\\ud800" is not a string of Unicode text'],
        [deep, 'is nested deeper than 64 levels'],
      ],
    );
  });

  test('a body of JSON that holds no events says what it is, one that is no JSON where it is not', () => {
    for (const body of ['null', '7', 'true', '"x"', ' -1.5 \n']) {
      const reason = `expected an array of objects, or one object, got ${body.trim()}`;
      assert.deepEqual(refused(body), [[0, body.length, reason]]);
    }
    for (const body of ['nul', '01', '"x', '7 8', 'hello']) {
      assert.match(
        refused(body)[0]?.[2] ?? '',
        /^expected JSON in UTF-8, which (is not valid|ends too early) at byte \d/,
      );
    }
  });

  test('where the array breaks, the rest is refused as one and what was before is taken', () => {
    for (const rest of ['{"n":}, {"n":2}]', '', ',{"n":2}]', '{"n":1', ']', '}', '{"n":2} {"n":3}]', '\u0000]']) {
      const body = `[{"n":1},${rest}`;
      assert.ok(taken(body).length >= 1, rest);
      assert.equal(refused(body).length, 1, rest);
      const [at, bytes] = refused(body)[0] as [number, number, string];
      assert.ok(at >= 9 && at + bytes === body.length, rest);
    }
    assert.match(refused('[{"n":1}')[0]?.[2] ?? '', /not closed/);
    assert.match(refused('[{"n":1}] x')[0]?.[2] ?? '', /behind the end/);
    for (const body of ['', ' ', '1', 'null', '"x"', 'nonsense', '{"n":1}{"n":2}'])
      assert.equal(refused(body).length, 1, body);
  });

  test('a body that JSON.parse takes gives its objects; one it does not take is refused somewhere', () => {
    const event = fc.record({ n: fc.oneof(fc.integer(), fc.constant('x')), s: fc.string({ unit: 'binary' }) });
    const bodies = fc.tuple(fc.array(event, { maxLength: 40 }), fc.constantFrom(0, 1), fc.nat(), fc.boolean());
    fc.assert(
      fc.property(bodies, ([events, indent, place, isDamaged]) => {
        const text = JSON.stringify(events, null, indent);
        const body = Buffer.from(text);
        if (isDamaged) body[place % body.length] = 0x5d;
        let valid = true;
        let parsed: unknown = null;
        try {
          parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
        } catch {
          valid = false;
        }
        const { events: batch, rejected } = decode(plan, 'json', body);
        if (!valid) assert.ok(rejected.length > 0);
        if (!valid || !Array.isArray(parsed)) return;
        const good = (parsed as { n: unknown; s?: unknown }[]).filter(
          (each) =>
            typeof each === 'object' &&
            each !== null &&
            Number.isSafeInteger(each.n) &&
            !/\p{Surrogate}/u.test(String(each.s)),
        );
        assert.deepEqual(
          rowsOf(batch),
          good.map(({ n, s }) => ({ n, s: s ?? null })),
        );
        assert.equal(rejected.length, parsed.length - good.length);
      }),
      { numRuns: 500 },
    );
  });
});
