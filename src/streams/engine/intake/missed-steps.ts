/**
 * Steps of time (watermarks, ticks, silence, room) and removals by a plan that could not be applied: left out of all
 * shards, noted, and reported.
 *
 * Role: between the engine's records and what is kept of them. The next step of the same kind makes good for one that
 * was left out, since each says how far time has come. Until then the streams are `degraded`, through restarts too: a
 * checkpoint says so of the records it covers. What a plan could not remove stays, and is reported for as long as the
 * process lives (`removed-operators.ts`). Nothing of a step's round is given out before its note is durable, and a
 * replay leaves the step out as well.
 * Bounds: one reason per stream and kind.
 */
import type { Plan } from '../../plan.ts';
import type { Step } from '../task.ts';
import type { Burials } from './burials.ts';
import type { LeftOut } from './left-out.ts';

const REASONS = {
  advance: 'stream time',
  tick: 'stream ticks',
  silent: 'stream silence',
  evict: 'stream eviction',
  drop: 'stream removal',
} as const;

type TimeStep = Extract<Step, { kind: keyof typeof REASONS }>;

const isOfTime = (step: Step): step is TimeStep => Object.hasOwn(REASONS, step.kind);

/** Reason → stream; `''` for all. */
export type MissedFacts = readonly (readonly [reason: string, stream: string])[];

export class MissedSteps {
  readonly leftOut: LeftOut;
  readonly burials: Pick<Burials, 'keep'>;
  #plan: Plan;
  /** By stream, since the start. */
  readonly #counts = new Map<string, number>();
  /** As `MissedFacts`. */
  readonly #missing = new Map<string, string>();

  constructor(plan: Plan, leftOut: LeftOut, burials: Pick<Burials, 'keep'>) {
    this.#plan = plan;
    this.leftOut = leftOut;
    this.burials = burials;
  }

  usePlan(plan: Plan): void {
    this.#plan = plan;
    for (const [reason, stream] of this.#missing) {
      if (stream !== '' && !plan.streams.some(({ name }) => name === stream)) this.#missing.delete(reason);
    }
  }

  /** What has not come to pass since. */
  get reasons(): readonly string[] {
    return [...this.#missing.keys()];
  }

  /** Steps that were left out of this stream; a tick is of all. */
  count(stream: string): number {
    return this.#counts.get(stream) ?? 0;
  }

  of(seq: number): StepsOfRecord {
    return new StepsOfRecord(this, seq);
  }

  missed(step: TimeStep): void {
    for (const name of this.#streamsOf(step)) this.#counts.set(name, this.count(name) + 1);
    this.#missing.set(this.#reasonOf(step), this.#streamOf(step));
  }

  applied(steps: readonly TimeStep[]): void {
    if (this.#missing.size > 0) for (const step of steps) this.#missing.delete(this.#reasonOf(step));
  }

  #streamsOf(step: TimeStep): ReadonlySet<string> {
    const { operators, streams } = this.#plan;
    if (step.kind === 'tick') return new Set(streams.map(({ name }) => name));
    const indexes = step.kind === 'drop' ? step.operators.map((each) => operators[each]?.stream ?? -1) : [step.stream];
    return new Set(indexes.flatMap((index) => streams[index]?.name ?? []));
  }

  /** For the checkpoint; of removals nothing, as nothing would ever take it back. */
  facts(): MissedFacts {
    return [...this.#missing].filter(([reason]) => reason !== REASONS.drop);
  }

  /** Checkpoints of earlier versions say nothing of it. */
  restore(facts: MissedFacts = []): void {
    for (const [reason, stream] of facts) this.#missing.set(reason, stream);
  }

  #streamOf(step: TimeStep): string {
    return step.kind === 'tick' || step.kind === 'drop' ? '' : (this.#plan.streams[step.stream]?.name ?? '');
  }

  #reasonOf(step: TimeStep): string {
    const stream = this.#streamOf(step);
    return stream === '' ? REASONS[step.kind] : `${REASONS[step.kind]} of ${stream}`;
  }
}

/** Those of one record on its way. */
export class StepsOfRecord {
  readonly #all: MissedSteps;
  readonly #seq: number;
  /** In their order: what a note names them by. */
  #ofTime: readonly TimeStep[] = [];
  readonly #missed = new Map<TimeStep, string>();

  constructor(all: MissedSteps, seq: number) {
    this.#all = all;
    this.#seq = seq;
  }

  /** All but those of which there is a note. */
  begin(steps: readonly Step[]): readonly Step[] {
    this.#ofTime = steps.filter(isOfTime);
    const noted = this.#ofTime.filter((_step, nth) => this.#all.leftOut.hasStep(this.#seq, nth));
    if (noted.length === 0) return steps;
    for (const step of noted) {
      this.#missed.set(step, '');
      this.#all.missed(step);
    }
    return steps.filter((step) => !noted.includes(step as TimeStep));
  }

  refuse(steps: ReadonlyMap<Step, string>): void {
    for (const [step, why] of steps) {
      if (!isOfTime(step)) continue;
      this.#missed.set(step, why);
      this.#all.missed(step);
    }
  }

  /** Resolves when a replay leaves out the same. */
  async keep(arrivalMs: number): Promise<void> {
    const { burials, leftOut } = this.#all;
    for (const [step, why] of this.#missed) {
      const nth = this.#ofTime.indexOf(step);
      if (why === '') continue;
      await burials.keep(leftOut.addStep(this.#seq, nth, why, arrivalMs), null);
      this.#missed.set(step, '');
    }
  }

  applied(): void {
    this.#all.applied(this.#ofTime.filter((step) => !this.#missed.has(step)));
  }
}
