/**
 * Everything that is counted, as plain numbers in arrays: what `meters.ts` adds to and `exposition.ts` reads.
 *
 * Labels are bounded: methods are a closed list, entries a `LabelIndex`, statuses 400…599. A series is a place in an
 * array, so counting makes no object and no string.
 */
import { FixedHistogram } from './histogram.ts';
import { LabelIndex } from './label-index.ts';
import type { Outcome } from './port.ts';

export const METHODS = [
  'initialize',
  'ping',
  'server/discover',
  'subscriptions/listen',
  'tools/list',
  'tools/call',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'prompts/list',
  'prompts/get',
  'completion/complete',
  'logging/setLevel',
  'tasks/get',
  'tasks/update',
  'tasks/cancel',
] as const;

export const OUTCOMES: readonly Outcome[] = [
  'ok',
  'tool-error',
  'invalid',
  'shed',
  'timeout',
  'cancelled',
  'lost',
  'internal',
];

export const SHED_REASONS = ['queue-full', 'share', 'draining', 'limit', 'rate'] as const;

/** Entry names kept apart; further ones share `other`. */
export const ENTRIES_MAX = 1000;
const REASONS_MAX = 16;
export const STATUS_FIRST = 400;
export const STATUSES = 200;

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const BATCHES = [1, 2, 4, 8, 16, 32, 64, 128];

/** Everything counted, as `exposition.ts` reads it. */
export class Tallies {
  readonly methods = new LabelIndex(METHODS.length + 1, METHODS);
  readonly entries = new LabelIndex(ENTRIES_MAX);
  readonly reasons = new LabelIndex(REASONS_MAX);
  /** method × outcome */
  readonly requests = new Float64Array((METHODS.length + 1) * OUTCOMES.length);
  readonly durations = Array.from({ length: METHODS.length + 1 }, () => new FixedHistogram(SECONDS));
  readonly queueWaits = new FixedHistogram(SECONDS);
  readonly batches = new FixedHistogram(BATCHES);
  readonly sheds = new Float64Array(SHED_REASONS.length);
  /** From 400 on; the last place is for everything else. */
  readonly refusals = new Float64Array(STATUSES + 1);
  /** reason × entry */
  readonly losses = new Float64Array(REASONS_MAX * ENTRIES_MAX);
  readonly strays = new Float64Array(ENTRIES_MAX);
  readonly quarantines = new Float64Array(ENTRIES_MAX);
  callerRuns = 0;
  callerRunSeconds = 0;
  workerStarts = 0;
}

/** Label of a place in `Tallies.refusals`. */
export function statusLabel(place: number): string {
  return place === STATUSES ? 'other' : String(STATUS_FIRST + place);
}
