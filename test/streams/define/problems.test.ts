import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { STREAMS_MAX } from '../../../src/streams/define/limits.ts';
import { bids, PEOPLE, problemsOf, tumbling } from './bids.ts';

/** The problem of a window that differs from a good one in these members. */
const windowProblems = (more: object): string[] => problemsOf(bids({ windows: [{ ...tumbling(), ...more }] }));

const MEMBERS =
  'name, title, description, schema, time, durability, partitions, dedup, limits, windows, patterns, joins, anomalies, views, alerts, sources, sinks';

describe('the shape of a definition is checked, with the path of what is wrong', () => {
  const TABLE: readonly [string, readonly unknown[], readonly string[]][] = [
    ['not an object', [3], ['streams[0]: 3, expected an object']],
    [
      'nothing',
      [{}],
      [
        'streams[0].name: missing, expected a name: a letter or _, then up to 63 letters, digits, _ or -',
        'streams[0].schema: missing, expected an object',
      ],
    ],
    [
      'an unknown member',
      [{ ...bids(), windws: [] }],
      [`streams[0].windws: "windws", expected no such member, but one of ${MEMBERS}; did you mean windows?`],
    ],
    [
      'a bad name',
      [bids({ name: 'a b' })],
      ['streams[0].name: "a b", expected a name: a letter or _, then up to 63 letters, digits, _ or -'],
    ],
    [
      'a name that objects have',
      [bids({ name: '__proto__' })],
      ['streams[0].name: "__proto__", expected a name: a letter or _, then up to 63 letters, digits, _ or -'],
    ],
    [
      'a number out of bounds',
      [bids({ time: { outOfOrderMs: -1 } })],
      ['streams[0].time.outOfOrderMs: -1, expected whole milliseconds from 0 to 3162240000000'],
    ],
    [
      'a field type',
      [{ name: 's', schema: { fields: { a: 'nunber' } } }],
      [
        'streams[0].schema.fields.a: "nunber", expected one of number, integer, string, boolean, or an object with type',
      ],
    ],
    [
      'a field type in an object',
      [{ name: 's', schema: { fields: { a: { type: 'strin' } } } }],
      [
        'streams[0].schema.fields.a.type: "strin", expected one of number, integer, string, boolean; did you mean string?',
      ],
    ],
    [
      'no fields',
      [{ name: 's', schema: { fields: {} } }],
      ['streams[0].schema.fields: an object, expected an object of 1 to 256 members'],
    ],
    [
      'an aggregate',
      [bids({ windows: [tumbling({ aggregates: { n: 'cuont' as 'count', s: { fn: 'summ', of: 'price' } } })] })],
      [
        'streams[0].windows[0].aggregates.n: "cuont", expected count, or an object with fn',
        'streams[0].windows[0].aggregates.s.fn: "summ", expected one of count, sum, mean, min, max, variance, stddev, first, last, distinct, quantile, top, rate, ewma, collect, custom; did you mean sum?',
      ],
    ],
    [
      'a name of an aggregate',
      [bids({ windows: [tumbling({ aggregates: { 'a b': 'count' } })] })],
      [
        'streams[0].windows[0].aggregates["a b"]: "a b", expected a name: a letter or _, then up to 63 letters, digits, _ or -',
      ],
    ],
    [
      'a header that HTTP cannot carry',
      [
        bids({
          windows: [tumbling()],
          alerts: [{ name: 'a', on: 'w', actions: [{ webhook: 'http://x', headers: { 'x-bad': 'one\ntwo' } }] }],
        }),
      ],
      [
        'streams[0].alerts[0].actions[0].headers: an object, expected header names and texts as HTTP can carry them, none that say how the body is sent',
      ],
    ],
    [
      'a webhook',
      [bids({ windows: [tumbling()], alerts: [{ name: 'a', on: 'w', actions: [{ webhook: 'ftp://x' }] }] })],
      [
        'streams[0].alerts[0].actions[0].webhook: "ftp://x", expected an http or https address without user and password: headers can say who calls',
      ],
    ],
    [
      'too many windows',
      [bids({ windows: Array.from({ length: 65 }, (_, i) => tumbling({ name: `w${i}` })) })],
      ['streams[0].windows: a list of 65, expected a list of at most 64'],
    ],
    [
      'a connector',
      [bids({ sources: [{ type: 'Redis Streams' }] })],
      ['streams[0].sources[0].type: "Redis Streams", expected the type of a connector'],
    ],
  ];
  for (const [name, definitions, expected] of TABLE) {
    test(name, () => assert.deepEqual(problemsOf(...definitions), expected));
  }

  test('too many streams', () => {
    const many = Array.from({ length: STREAMS_MAX + 1 }, (_, i) => bids({ name: `s${i}` }));
    assert.deepEqual(problemsOf(...many), ['streams: a list of 257, expected at most 256 streams']);
  });

  test('headers and options are never repeated', () => {
    const secret = { name: 's', schema: 'hunter2'.split(''), sinks: [{ type: 3, password: 'hunter2' }] };
    assert.doesNotMatch(problemsOf(secret).join(), /hunter2/);
  });

  test('all problems are told, those of good shape beside those of bad', () => {
    const problems = problemsOf(bids({ windows: [tumbling({ where: 'pricee > 1' })] }), { name: 'x' }, bids());
    assert.deepEqual(
      problems.map((problem) => problem.split(':')[0]),
      ['streams[1].schema', 'streams[2].name', 'streams[0].windows[0].where'],
    );
  });

  test('no more than fifty, with how many more there are', () => {
    const windows = Array.from({ length: 60 }, (_, i) => tumbling({ name: `w${i}`, where: 'nope' }));
    const problems = problemsOf(bids({ windows }));
    assert.equal(problems.length, 51);
    assert.match(problems[50] ?? '', /10 more problems/);
  });
});

describe('a stream', () => {
  const schema = bids().schema;
  const TABLE: readonly [string, object, RegExp][] = [
    [
      'key of unknown fields',
      { schema: { ...schema, key: ['auktion'] } },
      /^streams\[0\]\.schema\.key\[0\]: "auktion", expected a field: auction, .* did you mean auction\?$/,
    ],
    [
      'key with a field twice',
      { schema: { ...schema, key: ['at', 'at'] } },
      /schema\.key\[1\]: "at", expected each field once/,
    ],
    [
      'timestamp of no field',
      { schema: { ...schema, timestamp: { field: 'tz' } } },
      /schema\.timestamp\.field: "tz", expected a field/,
    ],
    [
      'timestamp in a text that is not iso',
      { schema: { ...schema, timestamp: { field: 'city' } } },
      /schema\.timestamp\.unit: "ms", expected iso for the string field city/,
    ],
    [
      'iso in a number',
      { schema: { ...schema, timestamp: { field: 'at', unit: 'iso' } } },
      /schema\.timestamp\.unit: "iso", expected s, ms, us or ns/,
    ],
    [
      'optional timestamp',
      { schema: { ...schema, timestamp: { field: 'city', unit: 'iso' } } },
      /schema\.timestamp\.field: "city", expected a field that is not optional/,
    ],
  ];
  for (const [name, more, expected] of TABLE) {
    test(name, () => {
      const problems = problemsOf(bids(more));
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', expected);
    });
  }
});

describe('a window', () => {
  const hop = { type: 'hopping', slideMs: 1000 };
  const TABLE: readonly [string, object, string][] = [
    ['without its size', { sizeMs: undefined }, 'sizeMs: missing, expected a value: it is a tumbling window'],
    ['with what it has not', { gapMs: 5 }, 'gapMs: 5, expected nothing: a tumbling window has no such member'],
    [
      'cumulating in steps that do not fit',
      { type: 'cumulating', slideMs: 7 },
      'slideMs: 7, expected a divisor of sizeMs (60000)',
    ],
    [
      'hopping too finely',
      { ...hop, sizeMs: 86_400_000, slideMs: 100 },
      'slideMs: 100, expected a slide of which sizeMs (86400000) has at most 100000 slices, not 864000',
    ],
    [
      'session with a slide',
      { type: 'session', gapMs: 5, sizeMs: undefined, slideMs: 5 },
      'slideMs: 5, expected nothing: a session window has no such member',
    ],
    [
      'session with top',
      { type: 'session', gapMs: 5, sizeMs: undefined, top: { by: 'n', limit: 1 } },
      'top: an object, expected nothing: a session window has no such member',
    ],
    [
      'late in processing time',
      { time: 'processing', allowedLatenessMs: 5 },
      'allowedLatenessMs: 5, expected nothing: in processing time no event is late',
    ],
    ['top by nothing', { top: { by: 'nn', limit: 1 } }, 'top.by: "nn", expected an aggregate of the window: n'],
    [
      'top by a list',
      { aggregates: { all: { fn: 'collect', of: 'price' } }, top: { by: 'all', limit: 1 } },
      'top.by: "all", expected an aggregate that gives a number, not a list',
    ],
    [
      'top when one key has had so many events',
      { top: { by: 'n', limit: 1 }, trigger: { everyCount: 3 } },
      'trigger.everyCount: 3, expected nothing: top ranks all keys, and one key having so many events is no moment for the others',
    ],
    [
      'top of what is new',
      { top: { by: 'n', limit: 1 }, allowedLatenessMs: 5, accumulation: 'discarding' },
      'accumulation: "discarding", expected accumulating or retracting: top ranks all that a window holds, not what is new in it',
    ],
    [
      'key of an unknown field',
      { key: ['bider'] },
      'key[0]: "bider", expected a field: auction, bidder, price, city, at; did you mean bidder?',
    ],
    [
      'where that is no condition',
      { where: 'price' },
      'where: "price" (at position 0: a number), expected a condition (true or false)',
    ],
    [
      'where of unknown fields',
      { where: 'at > 1 && prize > 1' },
      'where: "at > 1 && prize > 1" (at position 10: unknown name "prize"), expected one of ts, auction, bidder, price, city, at; did you mean price?',
    ],
    [
      'sum of a text',
      { aggregates: { s: { fn: 'sum', of: 'city' } } },
      'aggregates.s.of: "city", expected a number for sum, not a string',
    ],
    [
      'sum of nothing',
      { aggregates: { s: { fn: 'sum' } } },
      'aggregates.s.of: missing, expected what sum is computed of: a field or an expression',
    ],
    [
      'quantile without q',
      { aggregates: { p: { fn: 'quantile', of: 'price' } } },
      'aggregates.p.q: missing, expected the quantile, 0 to 1',
    ],
    [
      'quantile beyond 1',
      { aggregates: { p: { fn: 'quantile', of: 'price', q: 99 } } },
      'aggregates.p.q: 99, expected a number from 0 to 1',
    ],
    [
      'options of another function',
      { aggregates: { m: { fn: 'mean', of: 'price', alpha: 0.5 } } },
      'aggregates.m.alpha: 0.5, expected nothing: mean has no such option',
    ],
    [
      'custom without module',
      { aggregates: { c: { fn: 'custom' } } },
      'aggregates.c.module: missing, expected the path of a module',
    ],
  ];
  for (const [name, more, expected] of TABLE) {
    test(name, () => assert.deepEqual(windowProblems(more), [`streams[0].windows[0].${expected}`]));
  }
});

describe('a pattern', () => {
  const a = { name: 'a' };
  const b = { name: 'b', where: 'price < last(a).price' };
  const TABLE: readonly [string, object, string][] = [
    ['with a step twice', { steps: [a, a] }, 'steps[1].name: "a", expected a name of its own'],
    [
      'with a step that looks ahead',
      { steps: [{ name: 'a', where: 'count(b) > 1' }, b] },
      'steps[0].where: "count(b) > 1" (at position 6: unknown step "b"), expected one of a',
    ],
    [
      'that begins with what must not be',
      { steps: [{ name: 'x', contiguity: 'notNext' }, a] },
      'steps[0].contiguity: "notNext", expected a first step that takes events',
    ],
    [
      'that forbids for ever',
      { steps: [a, { name: 'x', contiguity: 'notFollowedBy' }] },
      'withinMs: missing, expected a bound: only then is it known that nothing follows the last step',
    ],
    [
      'of nothing but options',
      { steps: [{ name: 'a', optional: true }] },
      'steps: a list of 1, expected a step that takes events and is not optional',
    ],
    [
      'that repeats what must not be',
      { steps: [a, { name: 'x', contiguity: 'notNext', times: { min: 2, max: 3 } }, b] },
      'steps[1].times: an object, expected nothing: notNext takes no events',
    ],
    [
      'greedy about one event',
      { steps: [{ name: 'a', greedy: true }] },
      'steps[0].greedy: true, expected times with more than one event beside it',
    ],
    [
      'with fewer at most than at least',
      { steps: [{ name: 'a', times: { min: 3, max: 2 } }] },
      'steps[0].times.max: 2, expected at least min (3), or null',
    ],
    [
      'that skips to no step',
      { steps: [a], skip: { toLast: 'c' } },
      'skip.toLast: "c", expected a step that takes events: a',
    ],
    [
      'with timeouts without a limit',
      { steps: [a], timeouts: true },
      'timeouts: true, expected withinMs beside it: without a bound nothing runs out of time',
    ],
    [
      'that selects unknown fields',
      { steps: [a], select: { x: 'last(a).pric' } },
      'select.x: "last(a).pric" (at position 8: unknown field "pric"), expected one of ts, auction, bidder, price, city, at, prev.ts, prev.auction, … (12); did you mean price?',
    ],
  ];
  for (const [name, more, expected] of TABLE) {
    test(name, () => {
      assert.deepEqual(problemsOf(bids({ patterns: [{ name: 'p', steps: [], ...more }] })), [
        `streams[0].patterns[0].${expected}`,
      ]);
    });
  }
});

describe('a join', () => {
  const good = {
    name: 'j',
    with: 'people',
    type: 'interval',
    on: { left: ['bidder'], right: ['id'] },
    lowerMs: 0,
    upperMs: 10,
    select: { n: 'right.name' },
  };
  const TABLE: readonly [string, object, string][] = [
    ['with no stream', { with: 'peopel' }, 'with: "peopel", expected a stream: bids, people; did you mean people?'],
    [
      'on keys of other types',
      { on: { left: ['bidder'], right: ['name'] } },
      'on.right[0]: "name", expected a integer like bidder, not a string',
    ],
    [
      'on keys of other lengths',
      { on: { left: ['bidder', 'at'], right: ['id'] } },
      'on.right: a list of 1, expected as many fields as on the left (2)',
    ],
    ['of an empty interval', { upperMs: -1 }, 'upperMs: -1, expected at least lowerMs (0)'],
    ['without bounds', { lowerMs: undefined }, 'lowerMs: missing, expected a value: it is a join of type interval'],
    ['with what it has not', { sizeMs: 5 }, 'sizeMs: 5, expected nothing: a join of type interval has no such member'],
    [
      'of bare names',
      { where: 'price > 1' },
      'where: "price > 1" (at position 0: unknown name "price"), expected one of left.ts, left.auction, left.bidder, left.price, left.city, left.at, right.ts, right.id, … (9); did you mean left.price?',
    ],
  ];
  for (const [name, more, expected] of TABLE) {
    test(name, () => {
      assert.deepEqual(problemsOf({ ...bids(), joins: [{ ...good, ...more }] }, PEOPLE), [
        `streams[0].joins[0].${expected}`,
      ]);
    });
  }
  test('of number and integer is fine', () => {
    const people = { ...PEOPLE, schema: { fields: { id: 'number', name: 'string' } } };
    assert.deepEqual(problemsOf({ ...bids(), joins: [good] }, people), []);
  });
});

describe('events made of results', () => {
  const view = { name: 'v' };
  const to = (stream: string, of?: string[]): object => ({
    type: 'stream',
    stream,
    ...(of === undefined ? {} : { of }),
  });
  const stream = (name: string, sinks: object[], more: object = {}): object => ({
    ...bids(),
    name,
    views: [view],
    sinks,
    ...more,
  });
  const alert = { name: 'loud', on: 'v', actions: [{ stream: 'a' }] };
  const join = {
    name: 'j',
    with: 'b',
    type: 'window',
    sizeMs: 10,
    on: { left: ['auction'], right: ['auction'] },
    select: { n: 'left.price' },
  };
  const TABLE: readonly [string, object[], string[]][] = [
    [
      'do not come back the way they went',
      [stream('a', [to('b')]), stream('b', [to('a')])],
      ['streams[1].sinks[0].stream: "a", expected a stream whose results do not come back: b → a → b'],
    ],
    [
      'nor by a longer way, nor through an alert',
      [stream('a', [to('b')]), stream('b', [to('c')]), stream('c', [], { alerts: [alert] })],
      ['streams[2].alerts[0].actions[0].stream: "a", expected a stream whose results do not come back: c → a → b → c'],
    ],
    [
      'nor to the other side of a join',
      [stream('a', [to('b')], { joins: [join] }), stream('b', [])],
      ['streams[0].sinks[0].stream: "b", expected a stream whose results do not come back: b → b'],
    ],
    [
      'unless it is not the join that is handed on',
      [stream('a', [to('b', ['v'])], { joins: [join] }), stream('b', [])],
      [],
    ],
    [
      'and may meet again',
      [stream('a', [to('b'), to('c')]), stream('b', [to('d')]), stream('c', [to('d')]), stream('d', [])],
      [],
    ],
  ];
  for (const [name, streams, expected] of TABLE) {
    test(name, () => assert.deepEqual(problemsOf(...streams), expected));
  }
});

describe('what watches', () => {
  const watched = (more: object): unknown => ({ ...bids(), windows: [tumbling()], ...more });
  const anomaly = { name: 'z', window: 'w', value: 'n', type: 'zscore' };
  const alert = { name: 'hot', on: 'w' };
  const TABLE: readonly [string, object, string][] = [
    [
      'no window',
      { anomalies: [{ ...anomaly, window: 'win' }] },
      'anomalies[0].window: "win", expected a window of the stream: w; did you mean w?',
    ],
    [
      'no aggregate',
      { anomalies: [{ ...anomaly, value: 'mean' }] },
      'anomalies[0].value: "mean", expected an aggregate of w: n',
    ],
    [
      'a text',
      { anomalies: [{ name: 'z', value: 'city', type: 'ewma' }] },
      'anomalies[0].value: "city", expected a field that is a number, not a string',
    ],
    [
      'another key',
      { anomalies: [{ ...anomaly, key: ['bidder'] }] },
      'anomalies[0].key: a list of 1, expected none, or that of w: auction',
    ],
    [
      'without a season',
      { anomalies: [{ ...anomaly, type: 'seasonal', buckets: 24 }] },
      'anomalies[0].seasonMs: missing, expected a value: its type is seasonal',
    ],
    [
      'with what it has not',
      { anomalies: [{ ...anomaly, alpha: 0.5 }] },
      'anomalies[0].alpha: 0.5, expected nothing: an anomaly of type zscore has no such member',
    ],
    [
      'nothing',
      { alerts: [{ ...alert, on: 'ww' }] },
      'alerts[0].on: "ww", expected a window, pattern or anomaly of the stream: w',
    ],
    [
      'a ranking, key by key',
      { windows: [tumbling({ top: { by: 'n', limit: 3 } })], alerts: [alert] },
      'alerts[0].on: "w", expected a window without top: its results are looked at key by key, before they are ranked (a sink of type stream makes events of the ranking)',
    ],
    [
      'the values of a ranking, key by key',
      { windows: [tumbling({ top: { by: 'n', limit: 3 } })], anomalies: [anomaly] },
      'anomalies[0].window: "w", expected a window without top: its results are looked at key by key, before they are ranked (a sink of type stream makes events of the ranking)',
    ],
    [
      'unknown values',
      { alerts: [{ ...alert, when: 'm > 1' }] },
      'alerts[0].when: "m > 1" (at position 0: unknown name "m"), expected one of n, key.auction, start, end',
    ],
    [
      'unknown values in a message',
      { alerts: [{ ...alert, message: '{key.auktion}' }] },
      'alerts[0].message: "{key.auktion}" (at position 5: unknown name "key.auktion"), expected one of n, key.auction, start, end; did you mean key.auction?',
    ],
    [
      'values of an anomaly',
      { anomalies: [anomaly], alerts: [{ name: 'a', on: 'z', when: 'score > 3 && kind != 1' }] },
      'alerts[0].when: "score > 3 && kind != 1" (at position 18: a string compared with a number), expected values of one type',
    ],
    [
      'groups that are not of the key',
      { alerts: [{ ...alert, groupBy: ['bidder'] }] },
      'alerts[0].groupBy[0]: "bidder", expected a member of the key: auction',
    ],
    [
      'into itself',
      { alerts: [{ ...alert, actions: [{ stream: 'bids' }] }] },
      'alerts[0].actions[0].stream: "bids", expected another stream than the one that is watched',
    ],
    [
      'into no stream',
      { alerts: [{ ...alert, actions: [{ stream: 'bidz' }] }] },
      'alerts[0].actions[0].stream: "bidz", expected a stream: bids; did you mean bids?',
    ],
    [
      'by a used name',
      { alerts: [{ ...alert, name: 'w' }] },
      'alerts[0].name: "w", expected a name that no other window, pattern, join, view, … of the stream has',
    ],
    [
      'for longer than can be counted',
      { alerts: [{ ...alert, for: 256 }] },
      'alerts[0].for: 256, expected a whole number from 1 to 255',
    ],
  ];
  for (const [name, more, expected] of TABLE) {
    test(name, () => assert.deepEqual(problemsOf(watched(more)), [`streams[0].${expected}`]));
  }

  test('sinks name operators, and other streams', () => {
    assert.deepEqual(
      problemsOf(
        watched({ sinks: [{ type: 'file', of: ['w', 'x'] }, { type: 'stream', stream: 'bids' }, { type: 'stream' }] }),
      ),
      [
        'streams[0].sinks[0].of[1]: "x", expected a window, pattern or the like of the stream: w',
        'streams[0].sinks[1].stream: "bids", expected another stream than the one results come from',
        'streams[0].sinks[2].stream: missing, expected a stream: bids',
      ],
    );
  });
});
