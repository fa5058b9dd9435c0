/**
 * Shape of a window definition, as files, programs and the tool `window_define` give it.
 *
 * Role: form and bounds of each member by itself, with a description for people and models; what members mean together
 * is checked by `compile-window.ts`.
 */
import { z } from 'zod';
import type { WindowDefinition } from './definition.ts';
import {
  AGGREGATE_ENTRIES_MAX,
  AGGREGATES_PER_WINDOW_MAX,
  COUNT_MAX,
  OPTION_CHARACTERS_MAX,
  RETAINED_ROWS_MAX,
  TOP_ROWS_MAX,
} from './limits.ts';
import { expression, flag, key, ms, name, object, oneOf, real, record, signedMs, text, whole } from './schema-parts.ts';

export const AGGREGATE_FUNCTIONS = [
  'count',
  'sum',
  'mean',
  'min',
  'max',
  'variance',
  'stddev',
  'first',
  'last',
  'distinct',
  'quantile',
  'top',
  'rate',
  'ewma',
  'collect',
  'custom',
] as const;

const aggregate = z.union(
  [
    z.literal('count'),
    object({
      fn: oneOf(AGGREGATE_FUNCTIONS, 'What is computed.'),
      of: expression('Field or expression it is computed of; `count` and `rate` need none.').optional(),
      where: expression('Only events for which this condition holds.').optional(),
      q: real(0, 1, '`quantile`: 0.99 for the 99th percentile.').optional(),
      relativeError: real(0.0001, 0.5, '`quantile`: relative error past the exact bound. Default 0.01.').optional(),
      limit: whole(1, AGGREGATE_ENTRIES_MAX, '`top` (default 10), `collect` (default 100): entries.').optional(),
      alpha: real(0.000001, 1, '`ewma`: weight of the newest value. Default 0.3.').optional(),
      perMs: ms(1, '`rate`: per this many milliseconds. Default 1000.').optional(),
      module: text(OPTION_CHARACTERS_MAX, '`custom`: module with `init`, `add`, `merge`, `result`.').optional(),
      export: text(256, '`custom`: export of the module.').optional(),
    }),
  ],
  'count, or an object with fn',
);

const trigger = object(
  {
    everyMs: ms(0, 'Early results of an open window, this often in processing time. 0: none.').optional(),
    everyCount: whole(0, COUNT_MAX, 'An early result after so many events of a key and window. 0: none.').optional(),
  },
  'When results come before a window closes. Default: they do not.',
);

const top = object(
  {
    by: name('Aggregate that orders the results, descending.'),
    limit: whole(1, TOP_ROWS_MAX, 'Results kept.'),
    ties: flag('Keep all results that are level with the last one. Default false.').optional(),
  },
  'Keep only the best keys of each window; a later pane is a whole ranking again.',
);

export const windowSchema = object({
  name: name('Unique in the stream.'),
  type: oneOf(['tumbling', 'hopping', 'cumulating', 'session', 'count', 'global'], 'How windows are cut.'),
  sizeMs: ms(1, 'Length of a window: tumbling, hopping, cumulating.').optional(),
  slideMs: ms(1, 'hopping: from one start to the next. cumulating: the step, a divisor of the size.').optional(),
  offsetMs: signedMs('Shifts all starts of windows. Default 0.').optional(),
  gapMs: ms(1, 'session: silence of a key that ends it.').optional(),
  count: whole(1, COUNT_MAX, 'count: events per window and key.').optional(),
  time: oneOf(['event', 'processing'], 'Time that windows go by. Default event.').optional(),
  key: key.optional(),
  where: expression('Only events for which this condition holds, e.g. `price > 100 && city == "Oslo"`.').optional(),
  aggregates: record(
    aggregate,
    AGGREGATES_PER_WINDOW_MAX,
    'Values of a result by name, e.g. {"n": "count", "p99": {"fn": "quantile", "of": "ms", "q": 0.99}}.',
  ),
  allowedLatenessMs: ms(0, 'After the end, how long late events still count. Default 0.').optional(),
  late: oneOf(['drop', 'side-output'], 'Later events: dropped and counted, or results of `{name}.late`.').optional(),
  trigger: trigger.optional(),
  accumulation: oneOf(
    ['discarding', 'accumulating', 'retracting'],
    'A further result of a window holds only what is new, all so far (default), or all so far after a retraction.',
  ).optional(),
  top: top.optional(),
  retainRows: whole(0, RETAINED_ROWS_MAX, 'Closed results kept for queries. Default 10000.').optional(),
}) satisfies z.ZodType<WindowDefinition>;
