/**
 * The order of things: records go in by sequence number, are decoded side by side, and are applied in that order.
 *
 * Role: keeps threads busy with decoding while rounds of steps (`round.ts`) are applied, and decides nothing: entries
 * (`pipeline-entry.ts`) turn decoded records into steps (watermarks), `ShardSet` applies them. When several records
 * have the same id the earliest counts: later ones that were decoded before it are decoded again.
 * Invariants: a record's steps follow those of all earlier ones; a record is decoded (which remembers ids) and applied
 * only when it is durable; between rounds no shard is being worked on, so a barrier is: decode nothing more, wait until
 * all that was decoded is applied.
 * Records derived from one that was applied go before those after it, and a barrier waits for them: they are not in the
 * log, so a checkpoint that covers their origin without them would lose them. A record that sees what may be derived
 * from another one is never in a round with it, nor is one that repeats events of another batch, which may still be
 * left out. A note of what is left out is kept before results of its round are given out, so that a replay leaves it
 * out as well.
 */
import { Changes } from '../../waiting.ts';
import { type Entry, isBegun, isDerived, isSettled, type Moving, movingOf } from './pipeline-entry.ts';
import { StreamRefusal } from './port.ts';
import { QUESTIONS_MAX, type QueryStep, Questions, WAIT_MS_MAX } from './questions.ts';
import { type Answers, idsOf, Round, type RoundPorts } from './round.ts';
import type { RoundOutcome } from './shards/round-outcome.ts';
import { type DecodeResult, mayPass, type StreamThreads } from './task.ts';

const DECODES_PER_THREAD = 2;
const ENTRIES_PER_ROUND = 64;
/** While every round has to bring state from disk and back. */
const ENTRIES_PER_LONG_ROUND = 8192;
export const DECODE_TRIES_MAX = 6;
const RETRY_AFTER_MS = 1000;

interface NextRound {
  readonly entries: readonly Moving[];
  readonly queries: readonly QueryStep[];
}

export interface PipelinePorts extends RoundPorts {
  readonly threads: StreamThreads;
  /** Streams whose records see what is derived from those of this one (`FeedGraph`). */
  apart(stream: number): ReadonlySet<number>;
  /** `asked`: ids of the queries that were to be answered; null: there is no answer to any of them. */
  answered(outcome: Answers | StreamRefusal | null, asked: readonly number[]): void;
  /** Clock that nobody sets, ms. */
  now(): number;
  /** The shards can no longer be worked on. */
  broken(error: unknown): void;
}

export class Pipeline {
  readonly #ports: PipelinePorts;
  #queue: Moving[] = [];
  #decoding = 0;
  #applying = false;
  #held = false;
  /** The work of a barrier is under way: not even questions are answered. */
  #working = false;
  #stopped = false;
  readonly #questions = new Questions();
  #gatherUntilMs = 0;
  readonly #changes = new Changes();

  constructor(ports: PipelinePorts) {
    this.#ports = ports;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Records not applied yet. */
  get length(): number {
    return this.#queue.length;
  }

  /** After `stop` it is refused at once. */
  push(entry: Entry): void {
    if (this.#stopped) {
      // Refused in any case, whatever becomes of it.
      entry.durable.catch(() => undefined);
      entry.failed(stopping());
      return;
    }
    const moving = movingOf(entry);
    if (isDerived(moving)) this.#insert(moving);
    else this.#queue.push(moving);
    entry.durable.then(
      () => this.#turn(moving, 'waiting'),
      (error: unknown) => {
        moving.error = error;
        this.#turn(moving, 'refused');
      },
    );
  }

  /** Behind those of the same record, before those of later ones, and before what is in the log: that is later. */
  #insert(moving: Moving): void {
    const at = this.#queue.findIndex((each) => !isDerived(each) || each.entry.seq > moving.entry.seq);
    this.#queue.splice(at < 0 ? this.#queue.length : at, 0, moving);
  }

  #turn(moving: Moving, state: Moving['state']): void {
    moving.state = state;
    this.#changes.tell();
    this.#pump();
  }

  /** Answered from the state after the records applied so far. */
  ask(step: QueryStep): void {
    if (this.#questions.isFull) this.#ports.answered(crowded(`${QUESTIONS_MAX} questions wait`), [step.id]);
    else this.#questions.add(step, this.#ports.now());
    if (this.#stopped) this.dropQuestions();
    this.#pump();
  }

  /** Of the next round. */
  #takeQuestions(): readonly QueryStep[] {
    const { asked, overdue } = this.#questions.take(this.#ports.now());
    if (overdue.length > 0) {
      this.#ports.answered(crowded(`others are answered first for ${WAIT_MS_MAX} ms already`), overdue);
    }
    return asked;
  }

  #answered(outcome: Answers | null, asked: readonly QueryStep[]): void {
    this.#questions.answered(outcome?.queries ?? []);
    this.#ports.answered(outcome, idsOf(asked));
  }

  /** What was asked is not answered: there is another plan now. */
  dropQuestions(): void {
    this.#ports.answered(null, this.#questions.drop());
  }

  /**
   * Runs `work` when everything begun is applied and nothing else is; records that come meanwhile wait. Rejects with
   * `StreamRefusal` when the pipeline stops before: what was begun is gone then, with what it has left in books and ids.
   */
  async barrier<T>(work: () => Promise<T>): Promise<T> {
    while (this.#held) await this.#changes.next();
    this.#held = true;
    try {
      while (this.#applying || this.#decoding > 0 || this.#queue.some(isBegun)) {
        await this.#changes.next();
      }
      if (this.#stopped) throw stopping();
      this.#working = true;
      return await work();
    } finally {
      this.#working = false;
      this.#held = false;
      this.#changes.tell();
      this.#pump();
    }
  }

  /** Resolves when nothing is on its way. */
  async idle(): Promise<void> {
    while (this.#queue.length > 0 || this.#applying) await this.#changes.next();
  }

  stop(): void {
    this.#stopped = true;
    const refusal = stopping();
    for (const { entry } of this.#queue.splice(0)) entry.failed(refusal);
    this.dropQuestions();
    this.#changes.tell();
  }

  #pump(): void {
    if (this.#stopped) return;
    this.#decodeMore();
    if (!this.#applying && !this.#working) void this.#apply();
  }

  #decodeMore(): void {
    const max = this.#ports.threads.size * DECODES_PER_THREAD;
    for (const moving of this.#queue) {
      // In order: nothing may be decoded, and remember ids, before a record that has not even been begun.
      if (this.#decoding >= max || moving.state === 'logging') return;
      if (moving.state !== 'waiting') continue;
      if (this.#held && !isDerived(moving)) return;
      void this.#prepare(moving);
    }
  }

  async #prepare(moving: Moving): Promise<void> {
    moving.state = 'working';
    this.#decoding += 1;
    let state: Moving['state'] = 'ready';
    try {
      do {
        moving.isStale = false;
        moving.decoded = await this.#decode(moving);
      } while (moving.isStale);
    } catch (error) {
      moving.error = error;
      if (mayPass(error) || this.#stopped || moving.entry.lost === undefined) state = 'failed';
      else this.#lose(moving, error);
      // It is in the log and could be decoded another day: to go on would be to leave it out.
      if (mayPass(error) && !this.#stopped) {
        this.#ports.broken(error);
        this.stop();
      }
    }
    this.#decoding -= 1;
    this.#turn(moving, state);
  }

  #lose(moving: Moving, error: unknown): void {
    const { entry } = moving;
    moving.decoded = null;
    moving.isLeftOut = true;
    entry.lost?.(error);
    // Ids that it had are of those behind it.
    if (entry.task !== null && entry.task.dedup !== null) this.#decodeAgainBehind(moving);
  }

  async #decode(moving: Moving): Promise<DecodeResult | null> {
    const { task } = moving.entry;
    if (task === null) return null;
    let isLost = false;
    for (let tries = 1; ; tries++) {
      try {
        const decoded = await this.#ports.threads.decode(task);
        // A lost thread did not say whether it had.
        if (decoded.tookAway || (isLost && task.dedup !== null)) this.#decodeAgainBehind(moving);
        return decoded;
      } catch (error) {
        if (mayPass(error) || tries >= DECODE_TRIES_MAX) throw error;
        isLost = true;
      }
    }
  }

  /** What was decoded before its turn, and found ids to be its own that are those of this one. */
  #decodeAgainBehind(first: Moving): void {
    for (const moving of this.#queue.slice(this.#queue.indexOf(first) + 1)) {
      const { stream, task } = moving.entry;
      if (stream !== first.entry.stream || task === null || task.dedup === null) continue;
      if (moving.state === 'working') moving.isStale = true;
      // At once: a barrier counts it among those that were begun.
      if (moving.state === 'ready') void this.#prepare(moving);
    }
  }

  async #apply(): Promise<void> {
    this.#applying = true;
    try {
      // Nothing may happen between the check that finds nothing and the end: entries that get ready rely on this loop.
      for (let next = this.#next(); next !== null; next = this.#next()) await this.#round(next);
    } catch (error) {
      // Stopped before, nobody is told: what waited for something outside has given up.
      if (!this.#stopped) this.#ports.broken(error);
      this.stop();
    } finally {
      this.#applying = false;
      this.#changes.tell();
    }
  }

  /** Null when there is nothing to do, or not yet. */
  #next(): NextRound | null {
    if (this.#stopped || this.#gathers()) return null;
    const entries = this.#takeReady();
    const queries = this.#takeQuestions();
    return entries.length === 0 && queries.length === 0 ? null : { entries, queries };
  }

  async #round({ entries, queries }: NextRound): Promise<void> {
    const beganMs = performance.now();
    let told = 0;
    try {
      const round = new Round(entries, {
        ports: this.#ports,
        refused: (moving, steps) => this.#refuse(moving, steps),
        questions: () => this.#takeQuestions(),
        answered: (outcome, asked) => this.#answered(outcome, asked),
        ended: () => (this.#stopped ? stopping() : null),
      });
      const reports = await round.apply(queries);
      await this.#ports.rounds().shorten();
      for (const moving of entries) {
        const { entry, state, decoded, error } = moving;
        if (state !== 'ready') entry.failed(error);
        else entry.applied(decoded, reports);
        told += 1;
      }
    } catch (error) {
      // Whoever waits for these is told; the log has them.
      for (const { entry } of entries.slice(told)) entry.failed(error);
      this.#ports.answered(null, idsOf(queries));
      throw error;
    }
    this.#gatherUntilMs = 2 * performance.now() - beganMs;
    this.#pump();
  }

  /** A long round is worth waiting for what is being decoded, as long as the last one took. Each decoded record asks anew. */
  #gathers(): boolean {
    if (this.#decoding === 0 || !this.#ports.rounds().anyAway) return false;
    const last = this.#queue[ENTRIES_PER_LONG_ROUND - 1];
    return (last === undefined || last.state !== 'ready') && performance.now() < this.#gatherUntilMs;
  }

  #refuse(moving: Moving, refused: RoundOutcome['refused']): void {
    const { entry, steps } = moving;
    const its = steps.filter((step) => refused.has(step));
    if (its.length === 0) return;
    moving.isLeftOut = true;
    entry.refused?.(new Map(its.map((step) => [step, refused.get(step) as string])));
    // Ids that its events had are of those behind it.
    const isWithout = its.some(({ kind }) => kind === 'events');
    if (isWithout && entry.task !== null && entry.task.dedup !== null) this.#decodeAgainBehind(moving);
  }

  #takeReady(): readonly Moving[] {
    const most = this.#ports.rounds().anyAway ? ENTRIES_PER_LONG_ROUND : ENTRIES_PER_ROUND;
    const apart = new Set<number>();
    const first = this.#queue[0]?.entry.seq ?? 0;
    let count = 0;
    while (count < most && count < this.#queue.length) {
      const { decoded, entry, state } = this.#queue[count] as Moving;
      if (!isSettled(state) || apart.has(entry.stream)) break;
      if (decoded !== null && entry.seq - decoded.repeatsBack >= first) break;
      for (const stream of this.#ports.apart(entry.stream)) apart.add(stream);
      count += 1;
    }
    return this.#queue.splice(0, count);
  }
}

const crowded = (why: string): StreamRefusal =>
  new StreamRefusal('asked', `too much is asked at once: ${why}`, RETRY_AFTER_MS);

const stopping = (): StreamRefusal => new StreamRefusal('stopped', 'the streams are stopping', RETRY_AFTER_MS);
