/**
 * What the matches of a pattern are, found by trying all sequences of events and looking at each gap: slow, without
 * partial matches, tables or bits.
 *
 * A match is a sequence of events with the steps that take them. Between two of its events, and after its last one, the
 * pattern waits for a step; each event in between must be one that waiting for that step can pass over.
 */
import type { PatternPlan } from '../../../src/streams/plan.ts';
import { type Chain, holds, type Letter, type LetterPattern, type LetterStep, type Outcome } from './letters.ts';

interface Found extends Outcome {
  readonly first: number;
  readonly taken: readonly { readonly event: number; readonly step: number }[];
}

interface Link {
  readonly event: number;
  readonly step: number;
}

const forbids = ({ contiguity }: LetterStep): boolean => contiguity === 'notNext' || contiguity === 'notFollowedBy';

class Search {
  readonly found: Found[] = [];
  readonly #letters: readonly Letter[];
  readonly #within: number;
  readonly #taking: LetterStep[] = [];
  /** Forbidding steps before each taking one, and after the last. */
  readonly #gaps: LetterStep[][] = [[]];

  constructor(pattern: LetterPattern, letters: readonly Letter[]) {
    this.#letters = letters;
    this.#within = pattern.withinMs ?? 0;
    for (const step of pattern.steps) {
      if (forbids(step)) this.#gaps.at(-1)?.push(step);
      else {
        this.#taking.push(step);
        this.#gaps.push([]);
      }
    }
    for (let event = 0; event < letters.length; event++) {
      for (let step = 0; step < this.#taking.length; step++) {
        if (!this.#skippable(0, step) || !this.#takes(step, event, [])) continue;
        const greedy = this.#taking.slice(0, step).some((each, q) => each.greedy === true && this.#takes(q, event, []));
        if (!greedy) this.#extend([{ event, step }]);
      }
    }
  }

  /** Whether all steps from `from` up to `to`, without it, can be left out. */
  #skippable(from: number, to: number): boolean {
    return this.#taking.slice(from, to).every((step) => step.optional === true || step.min === 0);
  }

  #chain(links: readonly Link[]): Chain {
    return links.map(({ event, step }) => ({
      letter: this.#letters[event] as Letter,
      step: this.#taking[step]?.name ?? '',
    }));
  }

  #takes(step: number, event: number, links: readonly Link[]): boolean {
    const { where, until } = this.#taking[step] as LetterStep;
    const letter = this.#letters[event] as Letter;
    const chain = this.#chain(links);
    return holds(where, letter, chain) && !(until !== undefined && holds(until, letter, chain));
  }

  #count(links: readonly Link[]): number {
    const { step } = links.at(-1) as Link;
    return links.filter((link) => link.step === step).length;
  }

  /** Whether, after these events, the pattern waits for this step (or the end) at all. */
  #waitsFor(links: readonly Link[], target: number): boolean {
    const { step } = links.at(-1) as Link;
    const { min = 1, max = 1 } = this.#taking[step] as LetterStep;
    const count = this.#count(links);
    if (target === step) return count < max;
    return target > step && count >= Math.max(1, min) && this.#skippable(step + 1, target);
  }

  #forbidden(links: readonly Link[], target: number, event: number): boolean {
    const last = links.at(-1) as Link;
    const letter = this.#letters[event] as Letter;
    const chain = this.#chain(links);
    const gaps = this.#gaps.slice(last.step + 1, Math.max(target, last.step + 1) + 1).flat();
    return gaps.some(({ contiguity, where }) => {
      if (contiguity === 'notNext' && (target === last.step || event !== last.event + 1)) return false;
      return holds(where, letter, chain);
    });
  }

  #heldBack(links: readonly Link[], target: number, event: number): boolean {
    const from = (links.at(-1) as Link).step;
    for (let q = from; q < target; q++) {
      if (this.#taking[q]?.greedy !== true || !this.#waitsFor(links, q)) continue;
      if (this.#passes(links, q, event) && this.#takes(q, event, links)) return true;
    }
    return false;
  }

  /** Whether waiting for a step gets past all events before this one. */
  #passes(links: readonly Link[], target: number, until: number): boolean {
    const last = links.at(-1) as Link;
    for (let event = last.event + 1; event < until; event++) {
      if (this.#forbidden(links, target, event) || this.#heldBack(links, target, event)) return false;
      if (target < this.#taking.length && !this.#ignores(links, target, event)) return false;
    }
    return true;
  }

  #ignores(links: readonly Link[], target: number, event: number): boolean {
    const step = this.#taking[target] as LetterStep;
    const again = target === (links.at(-1) as Link).step;
    const letter = this.#letters[event] as Letter;
    const chain = this.#chain(links);
    if (again && step.until !== undefined && holds(step.until, letter, chain)) return false;
    const how = again ? (step.inner ?? 'followedBy') : (step.contiguity ?? 'followedBy');
    return how === 'followedByAny' || (how === 'followedBy' && !holds(step.where, letter, chain));
  }

  #inTime(links: readonly Link[], event: number): boolean {
    const first = this.#letters[(links[0] as Link).event] as Letter;
    return this.#within === 0 || (this.#letters[event] as Letter).ts - first.ts < this.#within;
  }

  #extend(links: readonly Link[]): void {
    const last = links.at(-1) as Link;
    if (this.#waitsFor(links, this.#taking.length)) this.#end(links);
    for (let event = last.event + 1; event < this.#letters.length; event++) {
      if (!this.#inTime(links, event)) break;
      for (let step = last.step; step < this.#taking.length; step++) {
        if (!this.#waitsFor(links, step) || !this.#passes(links, step, event)) continue;
        if (this.#forbidden(links, step, event) || this.#heldBack(links, step, event)) continue;
        if (this.#takes(step, event, links)) this.#extend([...links, { event, step }]);
      }
    }
  }

  #end(links: readonly Link[]): void {
    const last = links.at(-1) as Link;
    const end = this.#taking.length;
    const after = this.#gaps[end] as LetterStep[];
    if (after.length === 0) {
      this.#add(links, last.event);
      return;
    }
    let event = last.event + 1;
    if (after.every(({ contiguity }) => contiguity === 'notNext')) {
      if (event >= this.#letters.length || !this.#inTime(links, event)) return;
      if (!this.#forbidden(links, end, event) && !this.#heldBack(links, end, event)) this.#add(links, event);
      return;
    }
    while (event < this.#letters.length && this.#inTime(links, event)) event++;
    if (this.#passes(links, end, event)) this.#add(links, event < this.#letters.length ? event : Infinity);
  }

  #add(links: readonly Link[], at: number): void {
    const chain = this.#chain(links);
    this.found.push({
      names: chain.map(({ letter }) => letter.name).join(' '),
      steps: chain.map(({ step }) => step).join(' '),
      at,
      first: (links[0] as Link).event,
      taken: links,
    });
  }
}

/** Earliest events first; then the lower step. */
function compare(a: Found, b: Found): number {
  const length = Math.min(a.taken.length, b.taken.length);
  for (let i = 0; i < length; i++) {
    const by = (a.taken[i] as Link).event - (b.taken[i] as Link).event;
    if (by !== 0) return by;
  }
  if (a.taken.length !== b.taken.length) return a.taken.length - b.taken.length;
  for (let i = 0; i < length; i++) {
    const by = (a.taken[i] as Link).step - (b.taken[i] as Link).step;
    if (by !== 0) return by;
  }
  return 0;
}

/** All matches, without skipping, by when they are complete. */
export function allMatches(pattern: LetterPattern, letters: readonly Letter[]): Outcome[] {
  const { found } = new Search(pattern, letters);
  return found.sort((a, b) => order(a.at, b.at) || compare(a, b)).map(({ names, steps, at }) => ({ names, steps, at }));
}

/** The matches that a skip strategy leaves: by first event, then completion, each closing what began too early. */
export function keptMatches(pattern: LetterPattern, letters: readonly Letter[], skip: PatternPlan['skip']): string[] {
  const { found } = new Search(pattern, letters);
  found.sort((a, b) => a.first - b.first || order(a.at, b.at) || compare(a, b));
  const taking = pattern.steps.filter((step) => !forbids(step));
  const aimed = taking.findIndex(({ name }) => name === skip.step);
  let open = 0;
  const kept: string[] = [];
  for (const match of found) {
    if (match.first < open) continue;
    kept.push(`${match.names} / ${match.steps}`);
    const ofStep = match.taken.filter(({ step }) => step === aimed);
    if (skip.mode === 'skipToNext') open = match.first + 1;
    if (skip.mode === 'skipPastLast') open = (match.taken.at(-1) as Link).event + 1;
    if (skip.mode === 'toFirst') open = Math.max(open, ofStep[0]?.event ?? 0);
    if (skip.mode === 'toLast') open = Math.max(open, ofStep.at(-1)?.event ?? 0);
  }
  return kept;
}

function order(a: number, b: number): number {
  return a === b ? 0 : a - b;
}
