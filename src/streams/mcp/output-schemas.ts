/**
 * What the stream tools answer with, as JSON Schemas.
 *
 * Role: beside `tools.ts`, which gives answers of these shapes; the shapes are those of `engine/port.ts` and
 * `describe.ts`. Members may be added later: no schema forbids others.
 */

const TEXT = { type: 'string' } as const;
const COUNT = { type: 'integer', minimum: 0 } as const;
const NAMES = { type: 'array', items: TEXT } as const;

type Schema = Readonly<Record<string, unknown>>;
type Properties = Readonly<Record<string, Schema>>;

/** All members are there, but those that are `optional`. */
function objectOf(properties: Properties, optional: Properties = {}): Schema {
  return { type: 'object', properties: { ...properties, ...optional }, required: Object.keys(properties) };
}

const listOf = (items: Schema, description = ''): Schema =>
  description === '' ? { type: 'array', items } : { type: 'array', items, description };

const countsOf = (...names: string[]): Schema => objectOf(Object.fromEntries(names.map((name) => [name, COUNT])));

/** Original events of a result, on request. */
const EVENTS = listOf(
  objectOf(
    { id: TEXT, text: { ...TEXT, description: 'The event as it came in; binary ones as JSON.' } },
    {
      source: { ...TEXT, description: 'Connector that brought it.' },
      partition: TEXT,
      position: { ...TEXT, description: "Its batch's in the source." },
      arrivalMs: { type: 'number', description: 'When it came in, ms since 1970.' },
      traceparent: TEXT,
      correlationId: TEXT,
      result: {
        ...objectOf(
          { stream: TEXT, name: TEXT, key: { type: 'object' } },
          { start: { type: ['number', 'null'] }, end: { type: ['number', 'null'] }, pane: { type: 'integer' } },
        ),
        description:
          'Of an event that was made of a result of another stream: that result. Ask window_query of that stream with ' +
          'its name as window, its key, and evidence, for the events behind it.',
      },
    },
  ),
  'The events behind it, as far as the log still holds them.',
);

export const ROW = objectOf(
  {
    id: TEXT,
    stream: TEXT,
    name: TEXT,
    key: { type: 'object' },
    start: { type: ['number', 'null'], description: 'Start of the window, ms since 1970.' },
    end: { type: ['number', 'null'], description: 'End of the window, exclusive.' },
    pane: { type: 'integer' },
    timing: { enum: ['early', 'on-time', 'late'] },
    final: { type: 'boolean', description: 'False: the window is open and the values will change.' },
    values: { type: 'object' },
  },
  {
    retraction: { type: 'boolean' },
    failed: {
      type: 'object',
      additionalProperties: TEXT,
      description: 'Values that are null because a reducer threw: what it threw.',
    },
    output: TEXT,
    context: {
      ...objectOf({}, { events: NAMES, traces: NAMES, correlationIds: NAMES }),
      description: 'Ids of contributing events, trace and correlation ids.',
    },
    events: EVENTS,
  },
);

export const ANSWER = objectOf({
  rows: listOf(ROW),
  watermark: { type: ['number', 'null'], description: 'Event time up to which results are complete.' },
  truncated: { type: 'boolean', description: 'There may be more than these.' },
  truncatedBy: listOf(
    { enum: ['limit', 'retained', 'unanswered', 'size'] },
    'Why: more rows than `limit` match, closed results of the range are kept no more, or a part of the keys could not ' +
      'be asked, so that the rows with the highest values are those of what is left; or (`size`) there is no room for so ' +
      'many rows as large as these.',
  ),
  unanswered: listOf(
    objectOf({ part: { ...TEXT, description: 'Which shards, of which partition.' }, why: TEXT }),
    'Parts of the keys whose open results are missing: the answer is incomplete. Empty: all have answered.',
  ),
});

const FACTS = {
  name: TEXT,
  title: TEXT,
  description: TEXT,
  durability: { enum: ['memory', 'fsync', 'replicated'] },
  watermark: { type: ['number', 'null'], description: 'ms since 1970; null before the first event.' },
  counters: countsOf('accepted', 'rejected', 'duplicates', 'late', 'batches', 'results'),
  pendingBytes: { ...COUNT, description: 'Accepted and not applied yet.' },
  spilledBytes: { ...COUNT, description: 'Of its state, on disk because memory has no room for it.' },
  deadLetters: COUNT,
  partialsDropped: {
    type: 'object',
    additionalProperties: COUNT,
    description: 'By pattern: partial matches given up because a limit was reached.',
  },
  keysEvicted: {
    type: 'object',
    additionalProperties: COUNT,
    description:
      'By operator, where there are any: idle keys whose state was let go because there was no room for it ' +
      '(`onFull: evict-idle`); a key that comes back begins anew.',
  },
  resultsRefused: { ...COUNT, description: 'Results that a sink refused for good, since the start.' },
  resultsFailed: {
    type: 'object',
    additionalProperties: COUNT,
    description:
      'By window, where there are any: results told without values that a reducer threw for, since the start.',
  },
  alertCallsLost: {
    ...COUNT,
    description: 'Webhook calls of alerts refused for good, or given up because too many waited, since the start.',
  },
  stepsLeftOut: {
    ...COUNT,
    description: 'Times that watermarks or ticks could not be applied, since the start: results come with a later one.',
  },
} as const;

export const STREAMS = objectOf({ streams: listOf(objectOf(FACTS)) });

export const DESCRIPTION = objectOf({
  ...FACTS,
  fields: { type: 'object', additionalProperties: TEXT, description: 'Name → type; `?` behind it: optional.' },
  key: NAMES,
  timestamp: { ...TEXT, description: 'The field and its unit, or `arrival`.' },
  partitions: { type: 'integer', minimum: 1 },
  operators: listOf(
    objectOf({
      name: TEXT,
      kind: { enum: ['window', 'pattern', 'join', 'view', 'anomaly', 'alert'] },
      type: TEXT,
      key: NAMES,
      values: NAMES,
      uri: { ...TEXT, description: 'Its resource.' },
    }),
  ),
});

export const ALERTS = objectOf({
  alerts: listOf(
    objectOf(
      {
        id: TEXT,
        stream: TEXT,
        alert: TEXT,
        severity: { enum: ['info', 'warning', 'critical'] },
        state: { enum: ['raised', 'cleared'] },
        key: { type: 'object' },
        message: TEXT,
        atMs: { type: 'number', description: 'ms since 1970.' },
        result: ROW,
      },
      { events: EVENTS },
    ),
  ),
});

export const ACCEPTED = countsOf('accepted', 'rejected', 'late');

export const KEPT = objectOf({ operators: listOf(objectOf({ name: TEXT, kept: { type: 'boolean' }, why: TEXT })) });
