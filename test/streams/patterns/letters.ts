/**
 * Patterns over single letters for tests: `a b1 c` is a stream of three events whose names begin with their letter.
 *
 * A condition is a set of letters (`ab`: either; `.`: any) or a function of the event and the events taken before.
 */
import { PatternState } from '../../../src/streams/patterns/key-state.ts';
import { Matcher, type MatchOutput } from '../../../src/streams/patterns/matcher.ts';
import { compileProgram, type StepCondition, UNTIL } from '../../../src/streams/patterns/program.ts';
import { KeptEvent, links, type Taken } from '../../../src/streams/patterns/taken.ts';
import type { PatternPlan, PatternStepPlan } from '../../../src/streams/plan.ts';

export interface Letter {
  readonly name: string;
  readonly ts: number;
}

/** Events taken so far, with the names of the steps that took them. */
export type Chain = readonly { readonly letter: Letter; readonly step: string }[];
export type LetterCondition = string | ((letter: Letter, chain: Chain) => boolean);

export interface LetterStep extends Partial<Omit<PatternStepPlan, 'where' | 'until'>> {
  readonly name: string;
  readonly where: LetterCondition;
  readonly until?: LetterCondition;
}

export interface LetterPattern {
  readonly steps: readonly LetterStep[];
  readonly withinMs?: number;
  readonly skip?: PatternPlan['skip'];
  /** Conditions are looked up in the matcher's memory of each event, or asked for each chain. */
  readonly settled?: boolean;
}

export interface Outcome {
  readonly names: string;
  readonly steps: string;
  /** Index of the event it was given out at; `Infinity`: when time ran out. */
  readonly at: number;
}

export function stream(text: string, everyMs = 1): Letter[] {
  return text.split(' ').map((name, i) => ({ name, ts: i * everyMs }));
}

export function holds(condition: LetterCondition, letter: Letter, chain: Chain): boolean {
  if (typeof condition === 'function') return condition(letter, chain);
  return condition === '.' || condition.includes(letter.name[0] as string);
}

export function planned(step: LetterStep): PatternStepPlan {
  return {
    name: step.name,
    where: typeof step.where === 'string' ? step.where : 'function',
    contiguity: step.contiguity ?? 'followedBy',
    min: step.min ?? 1,
    max: step.max ?? 1,
    optional: step.optional ?? false,
    greedy: step.greedy ?? false,
    inner: step.inner ?? 'followedBy',
    until: step.until === undefined ? '' : 'until',
  };
}

export class LetterRun {
  readonly matches: Outcome[] = [];
  readonly timeouts: string[] = [];
  droppedCount = 0;
  state = new PatternState();
  at = 0;
  readonly #matcher: Matcher;
  readonly #letters: Letter[] = [];
  readonly #steps: readonly LetterStep[];
  readonly #taking: readonly LetterStep[];
  readonly #settled: boolean;
  readonly #out: MatchOutput = {
    match: (taken) => {
      const chain = this.#chain(taken);
      const names = chain.map(({ letter }) => letter.name).join(' ');
      this.matches.push({ names, steps: chain.map(({ step }) => step).join(' '), at: this.at });
    },
    timeout: (taken) => {
      this.timeouts.push(
        this.#chain(taken)
          .map(({ letter }) => letter.name)
          .join(' '),
      );
    },
    gaveUp: (count) => {
      this.droppedCount += count;
    },
  };

  constructor(pattern: LetterPattern) {
    const steps = pattern.steps;
    this.#steps = steps;
    this.#taking = steps.filter(({ contiguity }) => contiguity !== 'notNext' && contiguity !== 'notFollowedBy');
    this.#settled = pattern.settled ?? true;
    const conditions: (StepCondition | null)[] = [];
    for (const [i, { where, until }] of steps.entries()) {
      conditions[i] = this.#condition(where);
      conditions[UNTIL + i] = until === undefined ? null : this.#condition(until);
    }
    const shape = {
      steps: steps.map(planned),
      withinMs: pattern.withinMs ?? 0,
      skip: pattern.skip ?? { mode: 'noSkip' as const, step: '' },
    };
    this.#matcher = new Matcher(compileProgram(shape, conditions));
  }

  get matcher(): Matcher {
    return this.#matcher;
  }

  feed(letter: Letter): void {
    this.#matcher.feed(this.state, this.keep(letter), this.#out);
    this.at += 1;
  }

  keep(letter: Letter): KeptEvent {
    let bits = 0;
    for (const [i, { where, until }] of this.#steps.entries()) {
      if (this.#isSettled(where) && holds(where, letter, [])) bits |= 1 << i;
      if (until !== undefined && this.#isSettled(until) && holds(until, letter, [])) bits |= 1 << (UNTIL + i);
    }
    this.#letters.push(letter);
    return new KeptEvent(letter.ts, 0, this.#letters.length - 1, bits, [letter.name], '', '', '');
  }

  advance(time: number): void {
    this.at = Infinity;
    this.#matcher.advance(this.state, time, this.#out);
  }

  #isSettled(condition: LetterCondition): boolean {
    return this.#settled && typeof condition === 'string';
  }

  #condition(condition: LetterCondition): StepCondition | null {
    if (this.#isSettled(condition)) return null;
    return (event, taken) => holds(condition, this.#letter(event), taken === null ? [] : this.#chain(taken));
  }

  #letter(event: KeptEvent): Letter {
    return { name: event.values[0] as string, ts: event.ts };
  }

  #chain(taken: Taken): Chain {
    return links(taken).map((link) => ({
      letter: this.#letter(link.event),
      step: this.#taking[link.step]?.name ?? '',
    }));
  }
}

/** All matches, then the end of time. */
export function run(pattern: LetterPattern, letters: readonly Letter[]): LetterRun {
  const run = new LetterRun(pattern);
  for (const letter of letters) run.feed(letter);
  run.advance(Infinity);
  return run;
}

export function matchesOf(pattern: LetterPattern, letters: readonly Letter[]): string[] {
  return run(pattern, letters)
    .matches.map(({ names }) => names)
    .sort();
}
