/**
 * Shape of a pattern definition, as files, programs and the tool `pattern_define` give it.
 *
 * Role: form and bounds of each member by itself, with a description for people and models; what members mean together
 * is checked by `compile-pattern.ts`.
 */
import { z } from 'zod';
import type { PatternDefinition } from './definition.ts';
import { REPETITIONS_MAX, STEPS_PER_PATTERN_MAX } from './limits.ts';
import { expression, flag, key, list, ms, name, object, oneOf, select, whole } from './schema-parts.ts';

const times = object(
  {
    min: whole(0, REPETITIONS_MAX, 'At least so many events.'),
    max: whole(1, REPETITIONS_MAX, 'At most so many; null: unbounded.').nullable(),
  },
  'How often the step repeats. Default exactly once.',
);

const step = object({
  name: name('Unique in the pattern.'),
  where: expression(
    'Condition on the event. Steps are visible by name: `price < last(a).price`, `count(a) > 2`, `sum(a.price)`.',
  ).optional(),
  contiguity: oneOf(
    ['next', 'followedBy', 'followedByAny', 'notNext', 'notFollowedBy'],
    'How it follows the step before: at once, past other events (default), past any choice of events; or must not.',
  ).optional(),
  times: times.optional(),
  optional: flag('The step may be left out.').optional(),
  greedy: flag('Repetitions take as many events as they can.').optional(),
  inner: oneOf(
    ['next', 'followedBy', 'followedByAny'],
    'How repetitions follow each other. Default followedBy.',
  ).optional(),
  until: expression('Ends the repetition when it holds for an event.').optional(),
});

const skip = z.union(
  [
    oneOf(['noSkip', 'skipToNext', 'skipPastLast']),
    object({ toFirst: name('Go on at the first event of this step.') }),
    object({ toLast: name('Go on at the last event of this step.') }),
  ],
  'one of noSkip, skipToNext, skipPastLast, {toFirst: step}, {toLast: step}',
);

export const patternSchema = object({
  name: name('Unique in the stream.'),
  key: key.optional(),
  steps: list(step, 1, STEPS_PER_PATTERN_MAX, 'Events in order.'),
  withinMs: ms(1, 'From the first to the last event of a match at most.').optional(),
  skip: skip.describe('Where to go on after a match. Default noSkip: everywhere.').optional(),
  select: select(
    'Values of a match by name, e.g. {"low": "min(fall.price)"}. Default: times of first and last event.',
  ).optional(),
  timeouts: flag('Also tell of partial matches that ran out of time, as `{name}.timeout`. Default false.').optional(),
  time: oneOf(
    ['event', 'arrival'],
    'Order of events: by their time behind the watermark (default), or as they come.',
  ).optional(),
}) satisfies z.ZodType<PatternDefinition>;
