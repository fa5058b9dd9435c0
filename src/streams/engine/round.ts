/**
 * The steps of some records in their order, applied to all shards: at once, or in parts where time closes too much.
 *
 * Role: what the pipeline does with the records whose turn it is. A part is a round of all shards by itself: its results
 * are given out, and questions that came meanwhile are answered, before the next one.
 * Invariants: what is left out of a round is kept before its results are told; results are told in order of their numbers,
 * so those of a record's events, which come before its time, have a number of their own when that goes on in parts.
 */
import { keepLeftOut, type Moving } from './pipeline-entry.ts';
import type { QueryStep } from './questions.ts';
import type { RoundOutcome } from './shards/round-outcome.ts';
import { type TimeParts, type TimeStep, timeOf } from './shards/time-parts.ts';
import type { ResultChunk, ShardReport, Step } from './task.ts';

export type Answers = Pick<RoundOutcome, 'queries' | 'unasked'>;

export interface Rounds {
  /** After a round: lets go of what no redo needs any more, when that is much. */
  shorten(): Promise<void>;
  /** Part of the state is on disk: the more records a round has, the less the way there and back costs each. */
  readonly anyAway: boolean;
  round(steps: readonly Step[], rows: number): Promise<RoundOutcome>;
}

export interface RoundPorts {
  readonly rounds: () => Rounds;
  readonly timeParts: () => Pick<TimeParts, 'mayBeLong' | 'missed' | 'next' | 'seqOf'>;
  /** Results, in order, and what shards say of them; resolves when there is room for more. */
  results(chunks: readonly ResultChunk[], reports: readonly ShardReport[]): Promise<void>;
}

export interface RoundParts {
  readonly ports: RoundPorts;
  /** Steps of the record that could not be applied. */
  refused(moving: Moving, steps: RoundOutcome['refused']): void;
  /** Those whose turn it is, of those that wait. */
  questions(): readonly QueryStep[];
  /** Null: there is no answer to any of them. */
  answered(outcome: Answers | null, asked: readonly QueryStep[]): void;
  /** Why nothing goes on; null: it does. */
  ended(): Error | null;
}

const NOTHING: RoundOutcome = { results: [], queries: [], unasked: [], reports: [], refused: new Map() };
const NO_QUESTIONS: readonly QueryStep[] = [];

interface Untold {
  readonly chunks: readonly ResultChunk[];
  readonly reports: readonly ShardReport[];
}

const NOTHING_UNTOLD: Untold = { chunks: [], reports: [] };

export const idsOf = (queries: readonly QueryStep[]): number[] => queries.map(({ id }) => id);

export class Round {
  readonly #entries: readonly Moving[];
  readonly #parts: RoundParts;
  /** Entries that have become steps. */
  #begun = 0;
  /** Not applied yet. */
  #steps: Step[] = [];
  /** Events in them. */
  #rows = 0;
  /** Of rounds whose results have not been given out. */
  #untold: Untold = NOTHING_UNTOLD;
  readonly #reports: ShardReport[] = [];
  /** The last one of the record at hand. */
  #part = 0;

  constructor(entries: readonly Moving[], parts: RoundParts) {
    this.#entries = entries;
    this.#parts = parts;
  }

  /** Resolves with what shards say of the records, when all is applied and told. */
  async apply(queries: readonly QueryStep[]): Promise<readonly ShardReport[]> {
    const { timeParts } = this.#parts.ports;
    for (const [i, moving] of this.#entries.entries()) {
      if (moving.state !== 'ready') continue;
      this.#begun = i + 1;
      this.#part = 0;
      moving.steps = moving.entry.steps(moving.decoded);
      this.#rows += moving.decoded?.accepted ?? 0;
      for (const step of moving.steps) {
        const time = timeOf(step);
        const isLong = time !== null && timeParts().mayBeLong(time, this.#rows);
        const isWhole = isLong && !(await this.#upTo(time));
        this.#steps.push(step);
        // Whether it is left out is known before the next one is looked at.
        if (isWhole) await this.#round(NO_QUESTIONS);
      }
    }
    this.#begun = this.#entries.length;
    const outcome = await this.#round(queries);
    await this.#tell();
    if (queries.length > 0) this.#parts.answered(outcome, queries);
    return this.#reports;
  }

  /**
   * What comes before the step, and all parts of it but the last, which is the step itself. False when a part cannot be
   * applied: then the step as a whole is tried, and is left out if it cannot be applied either.
   */
  async #upTo(step: TimeStep): Promise<boolean> {
    const { answered, ended, ports, questions } = this.#parts;
    const parts = ports.timeParts();
    await this.#round(NO_QUESTIONS);
    let next: TimeStep | null = await parts.next(step, this.#part + 2);
    if (next === null) return true;
    this.#renumber(step, this.#part + 1);
    for (this.#part += 2; next !== null; this.#part += 1) {
      await this.#tell();
      this.#steps.push(next);
      this.#rows = Number.POSITIVE_INFINITY;
      const asked = questions();
      const outcome = await this.#partAsked(asked);
      if (asked.length > 0) answered(outcome, asked);
      const end = ended();
      if (end !== null) throw end;
      if (outcome.refused.has(next)) return false;
      next = await parts.next(step, this.#part + 1);
    }
    return true;
  }

  async #partAsked(asked: readonly QueryStep[]): Promise<RoundOutcome> {
    try {
      const outcome = await this.#round(asked);
      await this.#tell();
      return outcome;
    } catch (error) {
      this.#parts.answered(null, asked);
      throw error;
    }
  }

  /** What is known of the step's record has the number of a part. */
  #renumber({ seq }: TimeStep, part: number): void {
    const { chunks, reports } = this.#untold;
    const before = this.#parts.ports.timeParts().seqOf(seq, part);
    this.#untold = { reports, chunks: chunks.map((each) => (each.seq === seq ? { ...each, seq: before } : each)) };
  }

  async #round(queries: readonly QueryStep[]): Promise<RoundOutcome> {
    const steps = [...this.#steps, ...queries];
    const size = Math.max(this.#rows, queries.length > 0 ? 1 : 0);
    this.#steps = [];
    this.#rows = 0;
    if (steps.length === 0) return NOTHING;
    const { ports, refused } = this.#parts;
    const outcome = await ports.rounds().round(steps, size);
    if (outcome.refused.size > 0) {
      ports.timeParts().missed();
      for (const moving of this.#entries) refused(moving, outcome.refused);
    }
    const { chunks, reports } = this.#untold;
    this.#untold = { chunks: [...chunks, ...outcome.results], reports: [...reports, ...outcome.reports] };
    return outcome;
  }

  async #tell(): Promise<void> {
    const { chunks, reports } = this.#untold;
    this.#untold = NOTHING_UNTOLD;
    const entries = this.#entries.slice(0, this.#begun);
    await keepLeftOut(entries);
    const hasRecords = entries.some(({ state }) => state === 'ready');
    if (chunks.length > 0 || hasRecords) await this.#parts.ports.results(chunks, reports);
    // Those that say nothing of records would only keep memory of shards.
    this.#reports.push(...reports.filter(({ letGo }) => letGo.length > 0));
  }
}
