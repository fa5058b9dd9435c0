// HOT PATH
/**
 * Finds the matches of a pattern in the events of one key, event by event: a function of (state, event, time).
 *
 * Role: the core of complex event processing. It knows neither keys nor watermarks nor expressions: the operator gives
 * it events in order and says when time has passed.
 *
 * Rules (those of Flink's CEP library, with one partial match for what Flink keeps as several states of equal events):
 * - A partial match waits at one or more positions: its newest step while that may repeat, and what can come after it.
 *   Each event is offered to each of them on its own. It is taken when the step's condition holds (and `until` does
 *   not): that makes a further partial match. The one before stays and goes on waiting where it may ignore the event:
 *   strict never, relaxed when the condition does not hold, any always. `until` ends the repetition.
 * - What `notFollowedBy` forbids must not come in its gap, and not between the repetitions of the step before the gap;
 *   `notNext` looks at the first event of its gap alone. At the end, `notFollowedBy` waits for the time to be over,
 *   `notNext` for the next event.
 * - What a greedy step could take now, no later position of the same partial match may take or ignore. Unlike Flink, a
 *   step that has reached its maximum, or cannot go on, holds nothing back. A greedy last step holds back a
 *   `notFollowedBy` after it, and is like any other without one.
 * - An event at or after first + within is outside.
 * - With a skip strategy a match is given out once no partial match began before it, and then removes the partial
 *   matches and waiting matches that began before the point skipped to.
 */
import { MATCH_EVENTS_MAX, PARTIAL_MATCHES_MAX, PartialMatch, type PatternState } from './key-state.ts';
import { ANY, type PatternProgram, type Position, RELAXED, type StepCondition } from './program.ts';
import { compareMatches, eventOf, type KeptEvent, Taken } from './taken.ts';

export interface MatchOutput {
  match(taken: Taken): void;
  /** Time was over before the match was complete. */
  timeout(taken: Taken): void;
  /** Partial matches were dropped, see the limits in key-state.ts. */
  gaveUp(count: number): void;
}

export class Matcher {
  readonly program: PatternProgram;
  readonly #end: number;
  /** Scratch: the next list of partial matches, and the matches of this event. */
  #next: PartialMatch[] = [];
  readonly #done: Taken[] = [];
  /** The event looked at, the chain it may be taken into, and the conditions known for the two. */
  #event: KeptEvent | null = null;
  #taken: Taken | null = null;
  #known = 0;
  #holding = 0;

  constructor(program: PatternProgram) {
    this.program = program;
    this.#end = program.positions.length;
  }

  /** The next event of the key. */
  feed(state: PatternState, event: KeptEvent, out: MatchOutput): void {
    this.advance(state, event.ts, out);
    event.ordinal = state.fed;
    state.fed += 1;
    this.#event = event;
    const before = state.partials;
    const next = this.#next;
    for (let i = 0; i < before.length; i++) this.#offer(before[i] as PartialMatch, out);
    this.#begin(event, out);
    state.partials = next;
    before.length = 0;
    this.#next = before;
    this.#giveOut(state, out);
    this.#event = null;
    this.#taken = null;
  }

  /**
   * Time has come to `time`: no event before it will follow. Of the partial matches whose time is over, those that began
   * first end first: what ends with one of them may be a match that others are skipped for, however far time goes at once.
   */
  advance(state: PatternState, time: number, out: MatchOutput): void {
    const { skip, withinMs } = this.program;
    if (withinMs === 0 || state.partials.length === 0) return;
    for (let first = begunFirst(state); first + withinMs <= time; first = begunFirst(state)) {
      this.#expire(state, skip === 'noSkip' ? time - withinMs : first, out);
      this.#giveOut(state, out);
      if (state.partials.length === 0) return;
    }
  }

  /** Those that began at `ts` or before. Where events come as they arrive they may stand anywhere. */
  #expire({ partials }: PatternState, ts: number, out: MatchOutput): void {
    let kept = 0;
    for (let i = 0; i < partials.length; i++) {
      const partial = partials[i] as PartialMatch;
      const { taken, waits } = partial;
      if (taken.first.ts > ts) partials[kept++] = partial;
      else if ((waits >>> this.#end) & 1 && this.program.never.length > 0) this.#done.push(taken);
      else out.timeout(taken);
    }
    partials.length = kept;
  }

  /** Offers the event to all positions a partial match waits at. */
  #offer(partial: PartialMatch, out: MatchOutput): void {
    this.#look(partial.taken);
    const { positions } = this.program;
    const own = partial.taken.step;
    let taking = 0;
    let waits = 0;
    for (let bits = partial.waits; bits !== 0; bits &= bits - 1) {
      const at = 31 - Math.clz32(bits & -bits);
      if (this.#forbidden(partial, own, at) || this.#heldBack(partial.waits, own, at)) continue;
      if (at === this.#end) {
        if (this.program.never.length > 0) waits |= 1 << at;
        else this.#done.push(partial.taken);
        continue;
      }
      const position = positions[at] as Position;
      const holds = this.#holds(position.where);
      const ended = position.until >= 0 && this.#holds(position.until);
      if (holds && !ended) taking |= 1 << at;
      if (at === own && ended) continue;
      const contiguity = at === own ? position.inner : position.contiguity;
      if (contiguity === ANY || (contiguity === RELAXED && !holds)) waits |= 1 << at;
    }
    partial.waits = waits;
    partial.fresh = false;
    if (waits !== 0) this.#next.push(partial);
    for (let bits = taking; bits !== 0; bits &= bits - 1) {
      const at = 31 - Math.clz32(bits & -bits);
      this.#take(at, at === own ? partial.count + 1 : 1, out);
    }
  }

  /** Begins a match with the event where a step it can begin with takes it. */
  #begin(event: KeptEvent, out: MatchOutput): void {
    const { positions, starts, startConditions, settled } = this.program;
    if ((startConditions & (event.holds | ~settled)) === 0) return;
    this.#look(null);
    for (let bits = starts; bits !== 0; bits &= bits - 1) {
      const at = 31 - Math.clz32(bits & -bits);
      if (this.#heldBack(starts, 0, at)) continue;
      const { where, until } = positions[at] as Position;
      if (this.#holds(where) && !(until >= 0 && this.#holds(until))) this.#take(at, 1, out);
    }
  }

  #take(at: number, count: number, out: MatchOutput): void {
    const before = this.#taken;
    if (before !== null && before.size >= MATCH_EVENTS_MAX) {
      out.gaveUp(1);
      return;
    }
    const { min, max, onward } = this.program.positions[at] as Position;
    const taken = new Taken(before, this.#event as KeptEvent, at);
    let waits = (count < max ? 1 << at : 0) | (count >= min ? onward : 0);
    if ((waits >>> this.#end) & 1 && this.program.never.length + this.program.neverNext.length === 0) {
      waits &= ~(1 << this.#end);
      this.#done.push(taken);
    }
    if (waits !== 0) this.#next.push(new PartialMatch(taken, count, waits, true));
  }

  /** Whether the event must not come where a partial match, whose newest step is `own`, waits for `at`. */
  #forbidden(partial: PartialMatch, own: number, at: number): boolean {
    const { positions, never, neverNext } = this.program;
    const last = at === own ? own + 1 : at;
    for (let gap = own + 1; gap <= last; gap++) {
      if (this.#anyHolds(gap === this.#end ? never : (positions[gap] as Position).never)) return true;
      if (at === own || !partial.fresh) continue;
      if (this.#anyHolds(gap === this.#end ? neverNext : (positions[gap] as Position).neverNext)) return true;
    }
    return false;
  }

  #anyHolds(conditions: readonly number[]): boolean {
    for (let i = 0; i < conditions.length; i++) if (this.#holds(conditions[i] as number)) return true;
    return false;
  }

  /** Whether a greedy step before `at` that is waited for could take the event. */
  #heldBack(waits: number, from: number, at: number): boolean {
    if (!this.program.anyGreedy) return false;
    for (let p = from; p < at; p++) {
      const { greedy, where, until } = this.program.positions[p] as Position;
      if (!greedy || ((waits >>> p) & 1) === 0 || !this.#holds(where)) continue;
      if (until < 0 || !this.#holds(until)) return true;
    }
    return false;
  }

  #look(taken: Taken | null): void {
    this.#taken = taken;
    this.#known = this.program.settled;
    this.#holding = (this.#event as KeptEvent).holds;
  }

  /** A condition for the event and chain looked at; each is asked once. */
  #holds(condition: number): boolean {
    const bit = 1 << condition;
    if ((this.#known & bit) === 0) {
      this.#known |= bit;
      const test = this.program.conditions[condition] as StepCondition;
      if (test(this.#event as KeptEvent, this.#taken)) this.#holding |= bit;
      else this.#holding &= ~bit;
    }
    return (this.#holding & bit) !== 0;
  }

  #giveOut(state: PatternState, out: MatchOutput): void {
    const done = this.#done;
    if (done.length > 1) done.sort(compareMatches);
    if (this.program.skip === 'noSkip') {
      for (let i = 0; i < done.length; i++) out.match(done[i] as Taken);
    } else {
      for (let i = 0; i < done.length; i++) insert(state.completed, done[i] as Taken);
    }
    done.length = 0;
    const excess = state.partials.length + state.completed.length - PARTIAL_MATCHES_MAX;
    if (excess > 0) out.gaveUp(state.partials.splice(0, excess).length);
    if (state.completed.length > 0) this.#release(state, out);
  }

  /** Gives out the matches that no partial match is older than. */
  #release(state: PatternState, out: MatchOutput): void {
    const { partials, completed } = state;
    while (completed.length > 0) {
      const match = completed[0] as Taken;
      const oldest = partials[0];
      if (oldest !== undefined && oldest.taken.first.ordinal < match.first.ordinal) return;
      completed.shift();
      out.match(match);
      const from = this.#skipPoint(match);
      let begun = 0;
      while (begun < partials.length && (partials[begun] as PartialMatch).taken.first.ordinal < from) begun++;
      if (begun > 0) partials.splice(0, begun);
      let over = 0;
      while (over < completed.length && (completed[over] as Taken).first.ordinal < from) over++;
      if (over > 0) completed.splice(0, over);
    }
  }

  /** Ordinal of the first event that a match after this one may begin with. */
  #skipPoint(match: Taken): number {
    switch (this.program.skip) {
      case 'skipToNext':
        return match.first.ordinal + 1;
      case 'skipPastLast':
        return match.event.ordinal + 1;
      case 'toFirst':
        return eventOf(match, this.program.skipTo, 'first')?.ordinal ?? 0;
      case 'toLast':
        return eventOf(match, this.program.skipTo, 'last')?.ordinal ?? 0;
      default:
        return 0;
    }
  }
}

/** Time of the first event of the partial match that began first. */
function begunFirst({ partials }: PatternState): number {
  let first = Number.POSITIVE_INFINITY;
  for (let i = 0; i < partials.length; i++) {
    const { ts } = (partials[i] as PartialMatch).taken.first;
    if (ts < first) first = ts;
  }
  return first;
}

/** Keeps the order by first event; of equal ones the earlier match stays first. */
function insert(completed: Taken[], match: Taken): void {
  let at = completed.length;
  while (at > 0 && (completed[at - 1] as Taken).first.ordinal > match.first.ordinal) at--;
  if (at === completed.length) completed.push(match);
  else completed.splice(at, 0, match);
}
