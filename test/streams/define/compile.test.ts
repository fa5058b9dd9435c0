import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compatibility } from '../../../src/streams/define/compatibility.ts';
import { compilePlan, defineStream } from '../../../src/streams/define/compile.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { DefinitionProblem } from '../../../src/streams/define/definition-problem.ts';
import { patternDefinitionJsonSchema, windowDefinitionJsonSchema } from '../../../src/streams/define/schema.ts';
import { bids, OPTIONS, operatorNamed, PEOPLE, tumbling } from './bids.ts';

const ALL = bids({
  windows: [
    tumbling({ aggregates: { n: 'count', mean: { fn: 'mean', of: 'price' } } }),
    {
      name: 'hop',
      type: 'hopping',
      sizeMs: 10_000,
      slideMs: 4000,
      offsetMs: -1000,
      key: ['bidder'],
      aggregates: { n: 'count' },
    },
  ],
  patterns: [
    {
      name: 'fall',
      steps: [
        { name: 'a' },
        { name: 'b', where: 'price < last(a).price', times: { min: 0, max: null } },
        { name: 'c', contiguity: 'next' },
      ],
      select: { low: 'min(b.price)' },
      skip: { toLast: 'b' },
    },
  ],
  joins: [
    {
      name: 'who',
      with: 'people',
      type: 'interval',
      on: { left: ['bidder'], right: ['id'] },
      lowerMs: -5,
      upperMs: 5,
      select: { name: 'right.name' },
    },
  ],
  views: [{ name: 'cheap', where: 'price < 10' }],
  anomalies: [
    { name: 'odd', window: 'w', value: 'mean', type: 'ewma' },
    { name: 'jump', value: 'price', type: 'rate', maxPerSecond: 5, key: ['bidder'] },
  ],
  alerts: [
    { name: 'many', on: 'hop', when: 'n > 100', clear: 'n < 50' },
    { name: 'strange', on: 'odd', when: 'score > 4' },
    { name: 'fell', on: 'fall', when: 'low < 3 && step == "c"' },
  ],
});

describe('a plan', () => {
  const plan = compilePlan([ALL, PEOPLE], OPTIONS);
  const named = (name: string) => operatorNamed(plan, name);

  test('numbers streams and operators, and can be sent to a thread', () => {
    assert.deepEqual(
      plan.operators.map(({ index }) => index),
      plan.operators.map((_, i) => i),
    );
    assert.deepEqual(
      plan.streams.map(({ index }) => index),
      [0, 1],
    );
    assert.deepEqual(structuredClone(plan), plan);
  });

  test('shares a group between operators of the same inputs and key', () => {
    const groups = Object.fromEntries(plan.operators.map(({ group, name }) => [name, group]));
    assert.deepEqual(groups, {
      w: 0,
      hop: 1,
      fall: 0,
      who: 2,
      cheap: 0,
      odd: 0,
      jump: 1,
      many: 1,
      strange: 0,
      fell: 0,
    });
    assert.deepEqual(plan.groups, [
      { index: 0, inputs: [{ stream: 0, fields: [0] }], keyNames: ['auction'] },
      { index: 1, inputs: [{ stream: 0, fields: [1] }], keyNames: ['bidder'] },
      {
        index: 2,
        inputs: [
          { stream: 0, fields: [1] },
          { stream: 1, fields: [0] },
        ],
        keyNames: ['bidder'],
      },
    ]);
  });

  test('wires what watches to what is watched, which comes first', () => {
    const feeds = Object.fromEntries(
      plan.operators.map((operator) => [operator.name, operator.feeds.map((fed) => plan.operators[fed]?.name)]),
    );
    assert.deepEqual(feeds, {
      w: ['odd'],
      hop: ['many'],
      fall: ['fell'],
      who: [],
      cheap: [],
      odd: ['strange'],
      jump: [],
      many: [],
      strange: [],
      fell: [],
    });
    for (const { feeds: fed, index } of plan.operators) for (const each of fed) assert.ok(each > index);
  });

  test('has all defaults', () => {
    const { stateShape, ...rest } = named('w');
    assert.ok(stateShape.startsWith('{"kind":"window"'));
    const none = {
      of: '',
      where: '',
      q: 0,
      relativeError: 0.01,
      limit: 100,
      alpha: 0.3,
      perMs: 1000,
      module: '',
      exportName: '',
    };
    assert.deepEqual(rest, {
      kind: 'window',
      index: 0,
      name: 'w',
      stream: 0,
      group: 0,
      feeds: [5],
      type: 'tumbling',
      sizeMs: 60_000,
      slideMs: 60_000,
      offsetMs: 0,
      gapMs: 0,
      count: 0,
      time: 'event',
      where: '',
      aggregates: [
        { name: 'n', fn: 'count', ...none },
        { name: 'mean', fn: 'mean', ...none, of: 'price' },
      ],
      allowedLatenessMs: 0,
      sideOutput: false,
      earlyMs: 0,
      earlyCount: 0,
      accumulation: 'accumulating',
      top: null,
      retainRows: 10_000,
    });
    const { fields, ...stream } =
      compilePlan([{ name: 's', schema: { fields: { 'cpu-load': 'number' } } }], OPTIONS).streams[0] ?? assert.fail();
    assert.deepEqual(fields, [{ name: 'cpu-load', type: 'number', optional: false }]);
    assert.deepEqual(stream, {
      index: 0,
      name: 's',
      title: '',
      description: '',
      timestampField: -1,
      timestampUnit: 'ms',
      key: [],
      keepUnknown: true,
      outOfOrderMs: 0,
      idleAfterMs: 30_000,
      maxFutureMs: 300_000,
      durability: 'memory',
      partitions: 1,
      dedupIdsMax: 1_000_000,
      batchIdsMax: 100_000,
      dedupTtlMs: 3_600_000,
      keysMax: 1_000_000,
      stateBytesMax: 536_870_912,
      spillBytesMax: 17_179_869_184,
      onFull: 'refuse',
      pendingBytesMax: 67_108_864,
    });
  });

  test('has offsets between 0 and the slide, and patterns spelled out', () => {
    const hop = named('hop');
    assert.ok(hop.kind === 'window' && hop.offsetMs === 3000);
    const fall = named('fall');
    assert.ok(fall.kind === 'pattern');
    assert.deepEqual(
      fall.steps.map(({ contiguity, max, min, optional }) => [contiguity, min, max, optional]),
      [
        ['followedBy', 1, 1, false],
        ['followedBy', 1, Number.POSITIVE_INFINITY, true],
        ['next', 1, 1, false],
      ],
    );
    assert.deepEqual(fall.skip, { mode: 'toLast', step: 'b' });
  });

  test('names the field of an anomaly as an expression', () => {
    const load = { name: 's', schema: { fields: { 'cpu-load': 'number', host: 'string' } } };
    const anomalies = [
      { name: 'a', value: 'cpu-load', type: 'zscore' },
      { name: 'b', value: 'host', type: 'missing', afterMs: 5 },
    ];
    const values = compilePlan([{ ...load, anomalies }], OPTIONS).operators.map(
      (each) => each.kind === 'anomaly' && each.value,
    );
    assert.deepEqual(values, ['`cpu-load`', '']);
  });
});

describe('defineStream', () => {
  test('gives the definition back, frozen through and through', () => {
    const definition = structuredClone(ALL);
    const defined = defineStream(definition);
    assert.equal(defined, definition);
    assert.ok(Object.isFrozen(defined.windows?.[0]?.aggregates));
    assert.deepEqual(defined, ALL);
  });

  test('refuses what is wrong, by its path; other streams are not known yet', () => {
    assert.throws(
      () => defineStream(bids({ windows: [tumbling({ sizeMs: 0 })] })),
      (error) =>
        error instanceof DefinitionProblem &&
        error.message === 'windows[0].sizeMs: 0, expected whole milliseconds from 1 to 3162240000000',
    );
    assert.throws(
      () => defineStream(bids({ windows: [tumbling({ where: 'x' })] })),
      /^DefinitionProblem: windows\[0\]\.where/,
    );
    assert.throws(() => defineStream(3 as unknown as StreamDefinition), /definition: 3, expected an object/);
  });
});

describe('a changed plan keeps state', () => {
  const verdicts = (before: StreamDefinition, after: StreamDefinition, shards = 8): Record<string, string> =>
    Object.fromEntries(
      compatibility(compilePlan([before], OPTIONS), compilePlan([after], { epoch: 2, shards })).map(
        ({ kept, operator, why }) => [operator, kept ? 'kept' : why],
      ),
    );
  const one = (more: object): StreamDefinition => bids({ windows: [{ ...tumbling({ where: 'price > 1' }), ...more }] });

  test('where nothing that state is made of has changed', () => {
    const reformatted = {
      where: '( price>1 )',
      allowedLatenessMs: 5,
      retainRows: 7,
      top: { by: 'n', limit: 1 },
      late: 'side-output',
    };
    assert.deepEqual(verdicts(one({}), one(reformatted)), { 'bids/w': 'kept' });
    const before = one({});
    const moved = {
      ...before,
      schema: { ...before.schema, fields: { more: 'string', ...before.schema.fields } },
    } as StreamDefinition;
    assert.deepEqual(verdicts(before, moved), { 'bids/w': 'kept' });
  });

  test('and says what did otherwise', () => {
    assert.deepEqual(verdicts(one({}), one({ sizeMs: 5000 })), {
      'bids/w': 'sizeMs was 60000 and is 5000; slideMs was 60000 and is 5000',
    });
    assert.deepEqual(verdicts(one({}), one({ where: 'price > 2' })), {
      'bids/w': 'where was "price > 1" and is "price > 2"',
    });
    assert.deepEqual(verdicts(one({}), one({ key: ['bidder'] })), {
      'bids/w': 'its key was bids(auction: integer) and is bids(bidder: integer)',
    });
    assert.deepEqual(verdicts(one({}), one({ name: 'v' })), {
      'bids/w': 'it is no longer declared',
      'bids/v': 'it is new',
    });
    assert.deepEqual(verdicts(one({}), one({}), 16), { 'bids/w': 'the number of shards was 8 and is 16' });
    assert.deepEqual(verdicts(one({}), bids({ views: [{ name: 'w' }] })), {
      'bids/w': 'it was a window and is a view',
    });
    const before = one({});
    const retyped = {
      ...before,
      schema: { ...before.schema, fields: { ...before.schema.fields, price: 'integer' } },
    } as StreamDefinition;
    assert.deepEqual(verdicts(before, retyped), { 'bids/w': 'reads was ["price:number"] and is ["price:integer"]' });
  });

  test('and says which of many aggregates, steps and values did', () => {
    const aggregates = { n: 'count', mean: { fn: 'mean', of: 'price' }, top: { fn: 'max', of: 'price' } };
    const lost = (given: object): string | undefined =>
      verdicts(one({ aggregates }), one({ aggregates: given }))['bids/w'];
    assert.equal(lost({ ...aggregates, low: { fn: 'min', of: 'price' } }), 'aggregates.low is new');
    assert.equal(lost({ n: 'count', top: aggregates.top }), 'aggregates.mean is gone');
    assert.equal(
      lost({ ...aggregates, top: { fn: 'max', of: 'auction' } }),
      'aggregates.top.of was "price" and is "auction"; reads was ["price:number"] and is ["auction:integer","price:number"]',
    );
    assert.equal(
      lost({ n: 'count', top: aggregates.top, mean: aggregates.mean }),
      'aggregates were in the order n, mean, top and are in the order n, top, mean',
    );
    const pattern = (where: string): StreamDefinition =>
      bids({ patterns: [{ name: 'p', steps: [{ name: 'a' }, { name: 'b', where }] }] });
    assert.deepEqual(verdicts(pattern('price > 1'), pattern('price > 2')), {
      'bids/p': 'steps.b.where was "price > 1" and is "price > 2"',
    });
  });

  test('whatever thresholds and messages become', () => {
    const watched = (when: string, threshold: number): StreamDefinition =>
      bids({
        windows: [tumbling()],
        anomalies: [{ name: 'z', window: 'w', value: 'n', type: 'zscore', threshold }],
        alerts: [{ name: 'a', on: 'z', when, message: when, severity: 'critical', for: threshold }],
      });
    const kept = { 'bids/w': 'kept', 'bids/z': 'kept', 'bids/a': 'kept' };
    assert.deepEqual(verdicts(watched('score > 1', 3), watched('score > 2', 4)), kept);
  });

  test('not of an anomaly whose window gives other values, for what it has learned is about those', () => {
    const watched = (window: object, n: object): StreamDefinition => ({
      ...bids({
        windows: [
          { ...tumbling({ aggregates: { n: { fn: 'count', ...n }, mean: { fn: 'mean', of: 'price' } } }), ...window },
        ],
        anomalies: [
          { name: 'odd', window: 'w', value: 'n', type: 'zscore' },
          { name: 'rare', window: 'w', value: 'mean', type: 'zscore' },
        ],
      } as Partial<StreamDefinition>),
    });
    const lost = (window: object, n: object): string[] =>
      compatibility(compilePlan([watched({}, {})], OPTIONS), compilePlan([watched(window, n)], OPTIONS)).flatMap(
        ({ kept, operator }) => (kept ? [] : [operator]),
      );
    assert.deepEqual(lost({ sizeMs: 5000 }, {}), ['bids/w', 'bids/odd', 'bids/rare']);
    assert.deepEqual(lost({ where: 'price > 9' }, {}), ['bids/w', 'bids/odd', 'bids/rare']);
    assert.deepEqual(lost({}, { where: 'price > 9' }), ['bids/w', 'bids/odd']);
    assert.deepEqual(lost({ allowedLatenessMs: 5, offsetMs: 0 }, {}), []);
    const verdict = verdicts(watched({}, {}), watched({}, { fn: 'sum', of: 'price' }));
    assert.equal(verdict['bids/odd'], 'of.fn was "count" and is "sum"; of.of was "" and is "price"');
  });

  test('of a join and a pattern when fields move, not when what they read changes its type', () => {
    const plan = (fields: object) => compilePlan([{ ...ALL, schema: { ...ALL.schema, fields } }, PEOPLE], OPTIONS);
    const before = plan(ALL.schema.fields);
    const kept = (after: ReturnType<typeof plan>) =>
      compatibility(before, after).flatMap(({ kept, operator }) => (kept ? [operator] : []));
    assert.equal(kept(plan({ extra: 'string', ...ALL.schema.fields })).length, before.operators.length);
    const retyped = kept(plan({ ...ALL.schema.fields, price: 'integer' }));
    assert.ok(retyped.includes('bids/who') && retyped.includes('bids/hop') && !retyped.includes('bids/fall'));
  });
});

test('anything at all is a plan or a DefinitionProblem', () => {
  const paths = ['windows', 'patterns', 'joins', 'anomalies', 'views', 'alerts', 'sinks', 'schema'] as const;
  fc.assert(
    fc.property(fc.constantFrom(...paths), fc.nat(2), fc.string(), fc.anything(), (member, at, name, junk) => {
      const given = structuredClone(ALL) as unknown as Record<string, unknown>;
      const list = given[member];
      const target = Array.isArray(list) ? list[at % list.length] : list;
      const names = target === undefined ? [] : Object.keys(target as object);
      if (names.length === 0) given[name] = junk;
      else (target as Record<string, unknown>)[names[name.length % names.length] as string] = junk;
      try {
        compilePlan([given, PEOPLE], OPTIONS);
      } catch (error) {
        assert.ok(error instanceof DefinitionProblem, String(error));
        assert.ok(error.problems.every(({ path }) => path.startsWith('streams[0]')));
      }
    }),
    { numRuns: 500 },
  );
});

test('tools are given the shapes that are checked', () => {
  const window = windowDefinitionJsonSchema as {
    type: string;
    required: string[];
    additionalProperties: boolean;
    properties: Record<string, { description?: string }>;
  };
  assert.deepEqual(
    [window.type, window.required, window.additionalProperties],
    ['object', ['name', 'type', 'aggregates'], false],
  );
  for (const [member, { description }] of Object.entries(window.properties))
    assert.ok(description !== undefined, member);
  const pattern = patternDefinitionJsonSchema as typeof window;
  assert.deepEqual(pattern.required, ['name', 'steps']);
  assert.ok(!JSON.stringify([window, pattern]).includes('$ref'));
});
