// HOT PATH
/**
 * What the names of an expression mean in a pattern: fields of the event looked at, of the one taken before it, and
 * first, last, count, sum, avg, min, max over what a step took.
 *
 * Role: the environment of compiled expressions. Sums along a chain are kept at its links when they are first asked
 * for, so that a repetition of n events costs n steps in all and not n per event; they are always added up from the
 * first event on, so what they are does not depend on when that was.
 */
import type { StepAggregate } from '../expressions/checked.ts';
import type { StepFunction } from '../expressions/language.ts';
import type { Environment } from '../expressions/scoped.ts';
import type { ChainTotals, KeptEvent, KeptValue, Taken } from './taken.ts';

/** Place of a field among the kept ones; TS: the event's time. */
export const TS = -1;

/** Where names lead: kept fields and positions by name. */
export interface ChainNames {
  field(name: string): number;
  position(step: string): number;
}

const COUNT = 0;
const SUM = 1;
const MIN = 2;
const MAX = 3;
const NUMBERS = 4;

/** All totals a pattern's expressions ask for: pairs of position and field, and positions. */
export class StepTotals {
  readonly #steps: number[] = [];
  readonly #fields: number[] = [];

  /** Slot of a step's field; `count(step)` has none: any field will do, its events are counted. */
  slot(step: number, field: number): number {
    const known = this.#steps.findIndex((each, i) => each === step && this.#fields[i] === field);
    if (known >= 0) return known;
    this.#steps.push(step);
    this.#fields.push(field);
    return this.#steps.length - 1;
  }

  /** The slot's field of an event. */
  value(event: KeptEvent | null, slot: number): KeptValue {
    return event === null ? null : valueAt(event, this.#fields[slot] as number);
  }

  of(taken: Taken): ChainTotals {
    if (taken.totals !== null) return taken.totals;
    const missing: Taken[] = [];
    let known: Taken | null = taken;
    while (known !== null && known.totals === null) {
      missing.push(known);
      known = known.parent;
    }
    let totals = known === null ? this.#empty() : (known.totals as ChainTotals);
    for (let i = missing.length - 1; i >= 0; i--) {
      const link = missing[i] as Taken;
      totals = this.#add(totals, link.event, link.step);
      link.totals = totals;
    }
    return totals;
  }

  #empty(): ChainTotals {
    const slots = this.#steps.length;
    const numbers = new Float64Array(slots * NUMBERS);
    for (let slot = 0; slot < slots; slot++) {
      numbers[slot * NUMBERS + MIN] = Infinity;
      numbers[slot * NUMBERS + MAX] = -Infinity;
    }
    return { numbers, first: new Array<null>(slots).fill(null), last: new Array<null>(slots).fill(null) };
  }

  #add(before: ChainTotals, event: KeptEvent, step: number): ChainTotals {
    const numbers = before.numbers.slice();
    const first = before.first.slice();
    const last = before.last.slice();
    for (let slot = 0; slot < this.#steps.length; slot++) {
      if (this.#steps[slot] !== step) continue;
      first[slot] ??= event;
      last[slot] = event;
      const value = valueAt(event, this.#fields[slot] as number);
      if (typeof value !== 'number' || Number.isNaN(value)) continue;
      const at = slot * NUMBERS;
      numbers[at + COUNT] = (numbers[at + COUNT] as number) + 1;
      numbers[at + SUM] = (numbers[at + SUM] as number) + value;
      if (value < (numbers[at + MIN] as number)) numbers[at + MIN] = value;
      if (value > (numbers[at + MAX] as number)) numbers[at + MAX] = value;
    }
    return { numbers, first, last };
  }
}

function valueAt(event: KeptEvent, field: number): KeptValue {
  return field === TS ? event.ts : (event.values[field] as KeptValue);
}

/** Names of one expression, by slot. Set the event and chain, then evaluate. */
export class ChainEnvironment implements Environment {
  event: KeptEvent | null = null;
  /** Event taken before it. */
  before: KeptEvent | null = null;
  /** Chain that the aggregates are over. */
  taken: Taken | null = null;
  readonly #totals: StepTotals;
  readonly #fields: readonly number[];
  readonly #ofBefore: readonly boolean[];
  /** By aggregate: slot of the totals; −1 for a step that takes no events. */
  readonly #slots: readonly number[];

  constructor(
    members: readonly (readonly string[])[],
    aggregates: readonly StepAggregate[],
    names: ChainNames,
    totals: StepTotals,
  ) {
    this.#totals = totals;
    this.#fields = members.map((path) => names.field(path.at(-1) as string));
    this.#ofBefore = members.map((path) => path.length > 1);
    this.#slots = aggregates.map(({ fn, step, field }) => {
      const position = names.position(step);
      // Times are numbers and never absent: counted by them, events are counted.
      return position < 0 ? -1 : totals.slot(position, fn === 'count' ? TS : names.field(field));
    });
  }

  member(_path: readonly string[], slot: number): KeptValue {
    const event = this.#ofBefore[slot] ? this.before : this.event;
    return event === null ? null : valueAt(event, this.#fields[slot] as number);
  }

  aggregate(fn: StepFunction, _step: string, _field: string, slot: number): KeptValue {
    const at = this.#slots[slot] as number;
    if (this.taken === null || at < 0) return fn === 'count' || fn === 'sum' ? 0 : null;
    const { numbers, first, last } = this.#totals.of(this.taken);
    const count = numbers[at * NUMBERS + COUNT] as number;
    switch (fn) {
      case 'count':
        return count;
      case 'sum':
        return numbers[at * NUMBERS + SUM] as number;
      case 'avg':
        return count === 0 ? null : (numbers[at * NUMBERS + SUM] as number) / count;
      case 'min':
        return count === 0 ? null : (numbers[at * NUMBERS + MIN] as number);
      case 'max':
        return count === 0 ? null : (numbers[at * NUMBERS + MAX] as number);
      default:
        return this.#totals.value((fn === 'first' ? first : last)[at] ?? null, at);
    }
  }
}
