// HOT PATH
/**
 * Events as patterns keep them, and the chains of events that partial matches have taken.
 *
 * Role: the data of the matcher. A chain is a list from its newest event back to its first; partial matches that began
 * alike share the common part, so taking an event costs one link however long the match is.
 *
 *   partial 1 ──► c2 ─┐
 *   partial 2 ──► c1 ─┴─► b1 ──► a1      (links: `parent`)
 *
 * Invariants: links and the content of events never change once made; `mark` and `index` are scratch of the codec, and
 * `totals` is a cache of what the chain determines. So are `low` and `high`, 64 bits of all events of a chain and the
 * steps that took them: two chains of one key have the same only if they are the same, but for one chance in 2^64.
 */
import { BETWEEN_RECORDS } from '../operator.ts';

const WORD = 2 ** 32;

/** A field's value: NaN or null when absent. */
export type KeptValue = number | string | boolean | null;

export class KeptEvent {
  readonly ts: number;
  /** Log sequence number and row of the batch it came in. */
  readonly seq: number;
  readonly row: number;
  /** Conditions that look at this event alone, by condition number: whether they hold. */
  readonly holds: number;
  /** Fields that other conditions and `select` read, in the order of `PatternFields`. */
  readonly values: readonly KeptValue[];
  /** Own context as JSON, or `''`; trace context and correlation id of its batch. */
  readonly context: string;
  readonly traceparent: string;
  readonly correlationId: string;
  /** Position in the order in which events of the key were matched; −1 before. */
  ordinal = -1;
  mark = 0;
  index = 0;

  constructor(
    ts: number,
    seq: number,
    row: number,
    holds: number,
    values: readonly KeptValue[],
    context: string,
    traceparent: string,
    correlationId: string,
  ) {
    this.ts = ts;
    this.seq = seq;
    this.row = row;
    this.holds = holds;
    this.values = values;
    this.context = context;
    this.traceparent = traceparent;
    this.correlationId = correlationId;
  }
}

/** Sums over a chain, by the slots of `StepTotals`. */
export interface ChainTotals {
  readonly numbers: Float64Array;
  readonly first: readonly (KeptEvent | null)[];
  readonly last: readonly (KeptEvent | null)[];
}

export class Taken {
  readonly parent: Taken | null;
  readonly event: KeptEvent;
  /** Position of the step that took it. */
  readonly step: number;
  /** First event of the chain. */
  readonly first: KeptEvent;
  /** Events in the chain. */
  readonly size: number;
  /** Signed 32 bits each. */
  readonly low: number;
  readonly high: number;
  totals: ChainTotals | null = null;
  mark = 0;
  index = 0;

  constructor(parent: Taken | null, event: KeptEvent, step: number) {
    this.parent = parent;
    this.event = event;
    this.step = step;
    this.first = parent === null ? event : parent.first;
    this.size = parent === null ? 1 : parent.size + 1;
    const place = event.seq * BETWEEN_RECORDS;
    const fine = place | 0;
    const coarse = (place / WORD) | 0;
    const low = mixLow(mixLow(parent === null ? 0 : parent.low, fine), coarse);
    this.low = mixLow(mixLow(low, event.row), step);
    const high = mixHigh(mixHigh(parent === null ? 0 : parent.high, step), event.row);
    this.high = mixHigh(mixHigh(high, coarse), fine);
  }
}

/** For each value of the one argument, a permutation of the other's. */
function mixLow(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1) + 0x7f4a7c15;
  return mixed ^ (mixed >>> 15);
}

function mixHigh(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x85ebca6b) + 0x2545f491;
  return mixed ^ (mixed >>> 13);
}

/** First or last event that a step took; null when it took none. */
export function eventOf(taken: Taken, step: number, which: 'first' | 'last'): KeptEvent | null {
  let found: KeptEvent | null = null;
  for (let link: Taken | null = taken; link !== null; link = link.parent) {
    if (link.step !== step) continue;
    found = link.event;
    if (which === 'last') break;
  }
  return found;
}

/** The chain, oldest link first. */
export function links(taken: Taken): Taken[] {
  const chain: Taken[] = [];
  for (let link: Taken | null = taken; link !== null; link = link.parent) chain.push(link);
  return chain.reverse();
}

/**
 * Order of matches: by first event, then by the events one after the other, so that of two matches that part, the one
 * that took the earlier event comes first; then by steps.
 */
export function compareMatches(a: Taken, b: Taken): number {
  if (a.first.ordinal !== b.first.ordinal) return a.first.ordinal - b.first.ordinal;
  const left = links(a);
  const right = links(b);
  let bySteps = 0;
  for (let i = 0; i < left.length && i < right.length; i++) {
    const { event: x, step: xStep } = left[i] as Taken;
    const { event: y, step: yStep } = right[i] as Taken;
    if (x.ordinal !== y.ordinal) return x.ordinal - y.ordinal;
    if (bySteps === 0) bySteps = xStep - yStep;
  }
  return left.length - right.length || bySteps;
}
