/**
 * Shape of a stream definition: which members there are, of which form, within which bounds.
 *
 * Role: the first look at what people wrote; nothing unknown passes it. It follows `definition.ts` member by member,
 * which the compiler checks. Options of connectors are theirs to check. The shapes of windows and patterns are also given
 * as JSON Schema, for the tools that define them: what a model is told is what is enforced.
 */
import { z } from 'zod';
import type { StreamDefinition } from './definition.ts';
import {
  ACTIONS_PER_ALERT_MAX,
  ALERTS_PER_STREAM_MAX,
  ANOMALIES_PER_STREAM_MAX,
  BATCH_IDS_MAX,
  CONSECUTIVE_MAX,
  COUNT_MAX,
  DEDUP_IDS_MAX,
  DESCRIPTION_CHARACTERS_MAX,
  FIELDS_MAX,
  HEADERS_PER_WEBHOOK_MAX,
  JOINS_PER_STREAM_MAX,
  KEY_FIELDS_MAX,
  KEYS_MAX,
  OPTION_CHARACTERS_MAX,
  PARTITIONS_MAX,
  PATTERNS_PER_STREAM_MAX,
  PENDING_BYTES_MAX,
  SEASON_BUCKETS_MAX,
  SINKS_PER_STREAM_MAX,
  SOURCES_PER_STREAM_MAX,
  STATE_BYTES_MAX,
  TITLE_CHARACTERS_MAX,
  VIEWS_PER_STREAM_MAX,
  WINDOWS_PER_STREAM_MAX,
} from './limits.ts';
import {
  expression,
  flag,
  key,
  list,
  ms,
  name,
  object,
  oneOf,
  real,
  record,
  select,
  signedMs,
  text,
  whole,
} from './schema-parts.ts';
import { patternSchema } from './schema-pattern.ts';
import { windowSchema } from './schema-window.ts';
import { areWebHeaders, isWebAddress, WEB_ADDRESS, WEB_HEADERS } from './web-address.ts';

const fieldType = oneOf(['number', 'integer', 'string', 'boolean']);
const field = z.union(
  [fieldType, object({ type: fieldType, optional: flag().optional() })],
  'one of number, integer, string, boolean, or an object with type',
);

const timestamp = z.union(
  [z.literal('arrival'), object({ field: name(), unit: oneOf(['s', 'ms', 'us', 'ns', 'iso']).optional() })],
  'arrival, or an object with field',
);

const schema = object({
  fields: record(field, FIELDS_MAX),
  timestamp: timestamp.optional(),
  key: key.optional(),
  unknown: oneOf(['drop', 'keep']).optional(),
});

const time = object({
  outOfOrderMs: ms(0).optional(),
  idleAfterMs: ms(0).optional(),
  maxFutureMs: ms(0).optional(),
});

const join = object({
  name: name(),
  with: name(),
  type: oneOf(['interval', 'window', 'lookup']),
  on: object({ left: list(name(), 1, KEY_FIELDS_MAX), right: list(name(), 1, KEY_FIELDS_MAX) }),
  lowerMs: signedMs().optional(),
  upperMs: signedMs().optional(),
  sizeMs: ms(1).optional(),
  kind: oneOf(['inner', 'left']).optional(),
  where: expression('').optional(),
  select: select(''),
  ttlMs: ms(0).optional(),
});

const anomaly = object({
  name: name(),
  window: name().optional(),
  value: name(),
  type: oneOf(['zscore', 'ewma', 'seasonal', 'rate', 'missing']),
  key: key.optional(),
  threshold: real(0, 1e6).optional(),
  alpha: real(0.000001, 1).optional(),
  warmup: whole(0, COUNT_MAX).optional(),
  seasonMs: ms(1).optional(),
  buckets: whole(1, SEASON_BUCKETS_MAX).optional(),
  maxPerSecond: real(0, Number.MAX_VALUE).optional(),
  afterMs: ms(1).optional(),
});

const view = object({ name: name(), where: expression('').optional(), select: select('').optional() });

const headers = z
  .record(z.string(), text(OPTION_CHARACTERS_MAX), 'an object of texts')
  .refine((all) => Object.keys(all).length <= HEADERS_PER_WEBHOOK_MAX, `at most ${HEADERS_PER_WEBHOOK_MAX} headers`)
  .refine(areWebHeaders, WEB_HEADERS);
const action = z.union(
  [
    object({
      webhook: z.string(WEB_ADDRESS).max(2048, WEB_ADDRESS).refine(isWebAddress, WEB_ADDRESS),
      headers: headers.optional(),
    }),
    object({ stream: name() }),
  ],
  'an object with webhook or stream',
);

const alert = object({
  name: name(),
  on: name(),
  when: expression('').optional(),
  clear: expression('').optional(),
  for: whole(1, CONSECUTIVE_MAX).optional(),
  severity: oneOf(['info', 'warning', 'critical']).optional(),
  message: text(OPTION_CHARACTERS_MAX).optional(),
  groupBy: list(name(), 1, KEY_FIELDS_MAX).optional(),
  silenceMs: ms(0).optional(),
  actions: list(action, 0, ACTIONS_PER_ALERT_MAX).optional(),
});

const connectorType = z.string('the type of a connector').regex(/^[a-z][a-z0-9-]{0,63}$/, 'the type of a connector');
const notAnObject = { error: 'an object with type' };
const source = z.looseObject({ type: connectorType }, notAnObject);
const sink = z.looseObject({ type: connectorType, of: list(name(), 1, KEY_FIELDS_MAX * 16).optional() }, notAnObject);

const limits = object({
  keysMax: whole(1, KEYS_MAX).optional(),
  stateBytesMax: whole(2 ** 20, STATE_BYTES_MAX).optional(),
  onFull: oneOf(['refuse', 'evict-idle', 'spill']).optional(),
  spillBytesMax: whole(2 ** 20, STATE_BYTES_MAX).optional(),
  pendingBytesMax: whole(2 ** 16, PENDING_BYTES_MAX).optional(),
});

export const streamSchema = object({
  name: name(),
  title: text(TITLE_CHARACTERS_MAX).optional(),
  description: text(DESCRIPTION_CHARACTERS_MAX).optional(),
  schema,
  time: time.optional(),
  durability: oneOf(['memory', 'fsync', 'replicated']).optional(),
  partitions: whole(1, PARTITIONS_MAX).optional(),
  dedup: object({
    idsMax: whole(0, DEDUP_IDS_MAX).optional(),
    batchIdsMax: whole(0, BATCH_IDS_MAX).optional(),
    ttlMs: ms(0).optional(),
  }).optional(),
  limits: limits.optional(),
  windows: list(windowSchema, 0, WINDOWS_PER_STREAM_MAX).optional(),
  patterns: list(patternSchema, 0, PATTERNS_PER_STREAM_MAX).optional(),
  joins: list(join, 0, JOINS_PER_STREAM_MAX).optional(),
  anomalies: list(anomaly, 0, ANOMALIES_PER_STREAM_MAX).optional(),
  views: list(view, 0, VIEWS_PER_STREAM_MAX).optional(),
  alerts: list(alert, 0, ALERTS_PER_STREAM_MAX).optional(),
  sources: list(source, 0, SOURCES_PER_STREAM_MAX).optional(),
  sinks: list(sink, 0, SINKS_PER_STREAM_MAX).optional(),
}) satisfies z.ZodType<StreamDefinition>;

export type JsonSchema = Readonly<Record<string, unknown>>;

export const windowDefinitionJsonSchema: JsonSchema = jsonSchemaOf(windowSchema);
export const patternDefinitionJsonSchema: JsonSchema = jsonSchemaOf(patternSchema);

function jsonSchemaOf(shape: z.ZodType): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(shape, { io: 'input', target: 'draft-2020-12', reused: 'inline' });
  return rest;
}
