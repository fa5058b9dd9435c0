// HOT PATH
/**
 * The pattern operator: puts the events of each key in order, matches them, and gives out matches and timeouts.
 *
 * Role: between the shard, which brings rows and watermarks, and the matcher, which wants one event after the other. With
 * time `event`, events wait in the state of their key until the watermark passes them and are matched by event time,
 * then arrival; those at or before the watermark are late, dropped and counted. With time `arrival` they are matched as
 * they come. Time limits run out by the watermark, or when a later event of the key comes.
 * Invariants: a key without events, partial matches and waiting matches has no state; one call per batch and key leads
 * to the same state and results, whatever was cached. A match's pane is its number among the results of its key since
 * the key's state began (time `event`) or of the shard (time `arrival`): with start and key it names the match.
 */
import {
  type Emitter,
  type Keys,
  newResultRow,
  type OperatorInput,
  type OperatorKind,
  type OperatorStats,
  type ResultRow,
  type ShardOperator,
  type StateQuery,
} from '../operator.ts';
import type { FieldPlan, PatternPlan } from '../plan.ts';
import { SharedKeyedStates } from '../state/keyed-states.ts';
import { type CompiledPattern, compilePattern } from './compile.ts';
import { evidenceOf } from './evidence.ts';
import { PatternState, PENDING_EVENTS_MAX } from './key-state.ts';
import { Matcher, type MatchOutput } from './matcher.ts';
import { giveOpenMatches } from './open-matches.ts';
import { PatternStateCodec } from './state-codec.ts';
import type { KeptEvent, Taken } from './taken.ts';

/** Tallies of the memory. */
const LATE = 0;
const DROPPED = 1;
const HELD = 2;
const GIVEN = 3;

export interface PatternStats extends OperatorStats {
  /** Partial matches that were dropped because a limit of key-state.ts was reached. */
  readonly dropped: number;
}

export const patternKind: OperatorKind<PatternPlan> = {
  create: () => SharedKeyedStates.create(),
  attach: (pattern, memory, { plan, keys }) => {
    const compiled = compilePattern(pattern, plan.streams[pattern.stream]?.fields ?? []);
    const { fields, kept } = compiled.fields;
    const codec = new PatternStateCodec(kept.map((field) => (fields[field] as FieldPlan).type));
    return new PatternOperator(pattern, compiled, new SharedKeyedStates(memory, keys, codec), keys);
  },
};

export class PatternOperator implements ShardOperator, MatchOutput {
  readonly columns: readonly string[];
  readonly #pattern: CompiledPattern;
  readonly #states: SharedKeyedStates<PatternState>;
  readonly #keys: Keys;
  readonly #matcher: Matcher;
  readonly #withinMs: number;
  readonly #byArrival: boolean;
  readonly #tellsTimeouts: boolean;
  readonly #row: ResultRow;
  /** State whose events are being matched, and where results go. */
  #state = new PatternState();
  #out: Emitter | null = null;

  constructor(plan: PatternPlan, pattern: CompiledPattern, states: SharedKeyedStates<PatternState>, keys: Keys) {
    this.columns = pattern.columns;
    this.#pattern = pattern;
    this.#states = states;
    this.#keys = keys;
    this.#matcher = new Matcher(pattern.program);
    this.#withinMs = plan.withinMs;
    this.#byArrival = plan.time === 'arrival';
    this.#tellsTimeouts = plan.timeouts;
    this.#row = newResultRow([]);
  }

  events(input: OperatorInput, out: Emitter): void {
    const { batch, rows, keys, count, watermark, provenance } = input;
    const { fields, program } = this.#pattern;
    const states = this.#states;
    this.#out = out;
    let late = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      const ts = batch.ts[row] as number;
      if (!this.#byArrival && ts <= watermark) {
        late++;
        continue;
      }
      const holds = fields.holds(batch, row);
      if (holds === 0 && program.ignoresOthers) continue;
      const keyId = keys[i] as number;
      let state = states.get(keyId);
      if (state === undefined) {
        if (this.#byArrival && (program.startConditions & (holds | ~program.settled)) === 0) continue;
        state = new PatternState();
      }
      if (ts < state.floor) {
        late++;
        continue;
      }
      const before = state.held;
      const event = fields.keep(batch, row, holds, provenance);
      if (this.#byArrival) this.#feed(keyId, state, event);
      else this.#wait(keyId, state, event);
      this.#keep(keyId, state, before);
    }
    if (late > 0) states.addTally(LATE, late);
    states.flush();
    this.#out = null;
  }

  advance(watermark: number, out: Emitter): void {
    const states = this.#states;
    this.#out = out;
    const due = states.due(watermark);
    for (let i = 0; i < due.length; i++) {
      const keyId = due[i] as number;
      const state = states.get(keyId) as PatternState;
      const before = state.held;
      const pending = state.pending;
      let passed = 0;
      while (passed < pending.length && (pending[passed] as KeptEvent).ts <= watermark) {
        this.#feed(keyId, state, pending[passed] as KeptEvent);
        passed++;
      }
      if (passed > 0) pending.splice(0, passed);
      this.#row.keyId = keyId;
      this.#state = state;
      this.#matcher.advance(state, watermark, this);
      this.#keep(keyId, state, before);
    }
    states.flush();
    this.#out = null;
  }

  query(query: StateQuery, out: Emitter): void {
    giveOpenMatches(this.#pattern, this.#states, this.#keys, query, out);
  }

  evictIdle(share: number): number {
    const states = this.#states;
    const idle = states.idlest(Math.ceil(states.size * share));
    for (const keyId of idle) {
      states.addTally(HELD, -(states.get(keyId) as PatternState).held);
      states.delete(keyId);
    }
    states.flush();
    return idle.length;
  }

  stats(): PatternStats {
    const states = this.#states;
    return {
      rows: states.tally(HELD),
      bytes: states.byteLength,
      late: states.tally(LATE),
      dropped: states.tally(DROPPED),
    };
  }

  match(taken: Taken): void {
    this.#give(taken, taken.event.ts, '');
  }

  timeout(taken: Taken): void {
    if (this.#tellsTimeouts) this.#give(taken, taken.first.ts + this.#withinMs, 'timeout');
  }

  gaveUp(count: number): void {
    this.#states.addTally(DROPPED, count);
  }

  dropped(): number {
    return this.#states.tally(DROPPED);
  }

  #give(taken: Taken, end: number, output: ResultRow['output']): void {
    const row = this.#row;
    row.start = taken.first.ts;
    row.end = end;
    row.output = output;
    row.values = this.#pattern.values(taken);
    row.evidence = evidenceOf(taken);
    if (this.#byArrival) {
      row.pane = this.#states.tally(GIVEN);
      this.#states.addTally(GIVEN, 1);
    } else {
      row.pane = this.#state.given;
      this.#state.given += 1;
    }
    (this.#out as Emitter).emit(row);
  }

  #feed(keyId: number, state: PatternState, event: KeptEvent): void {
    this.#row.keyId = keyId;
    this.#state = state;
    this.#matcher.feed(state, event, this);
  }

  /** Among those that wait for the watermark; when there are too many of them, the oldest waits no longer. */
  #wait(keyId: number, state: PatternState, event: KeptEvent): void {
    state.add(event);
    if (state.pending.length <= PENDING_EVENTS_MAX) return;
    const oldest = state.pending.shift() as KeptEvent;
    state.floor = oldest.ts;
    this.#feed(keyId, state, oldest);
  }

  #keep(keyId: number, state: PatternState, before: number): void {
    const held = state.held;
    if (held !== before) this.#states.addTally(HELD, held - before);
    if (held > 0) this.#states.put(keyId, state, state.due(this.#withinMs));
    else this.#states.delete(keyId);
  }
}
