// HOT PATH
/**
 * The state of a key as bytes: how partial matches outlive a task.
 *
 * Layout, of counts (c), doubles (d) and texts (t), see byte-writer.ts:
 *   fed d, given d, floor d
 *   events c, pending c, links c, partials c, completed c
 *   events × (ts d, seq d, row c, holds c, flags c, values, [context t, traceparent t, correlation id t])
 *            the pending ones first, in their order; of the others the ordinal d follows; the texts only when flagged
 *   links × (parent + 1 c, event c, position c)   parents before what hangs on them
 *   partials × (link c, count c, waits c, fresh c)
 *   completed × (link c)
 * Invariants: each event and link is written once however many partial matches share it, and only if one needs it; the
 * order is that of first use, so equal states give equal bytes.
 */
import type { FieldPlan } from '../plan.ts';
import type { SharedCodec } from '../state/keyed-states.ts';
import { ByteReader, ByteWriter } from './byte-writer.ts';
import { PartialMatch, PatternState } from './key-state.ts';
import { KeptEvent, type KeptValue, Taken } from './taken.ts';

const TEXTS = 1;
const MATCHED = 2;
const ABSENT = 0;
const FALSE = 1;
const TRUE = 2;

export class PatternStateCodec implements SharedCodec<PatternState> {
  readonly readsShared = true;
  readonly #types: readonly FieldPlan['type'][];
  readonly #out = new ByteWriter();
  readonly #in = new ByteReader();
  /** Of the state being encoded or decoded, by number; empty otherwise. */
  readonly #events: KeptEvent[] = [];
  readonly #links: Taken[] = [];
  /** Stamp of what has a number. */
  #mark = 0;

  /** Types of the kept fields. */
  constructor(types: readonly FieldPlan['type'][]) {
    this.#types = types;
  }

  /** The bytes are valid until the next call. */
  encode(state: PatternState): Uint8Array {
    this.#number(state);
    const out = this.#out;
    out.reset();
    out.double(state.fed);
    out.double(state.given);
    out.double(state.floor);
    out.count(this.#events.length);
    out.count(state.pending.length);
    out.count(this.#links.length);
    out.count(state.partials.length);
    out.count(state.completed.length);
    for (let i = 0; i < this.#events.length; i++) this.#writeEvent(this.#events[i] as KeptEvent);
    for (let i = 0; i < this.#links.length; i++) {
      const { parent, event, step } = this.#links[i] as Taken;
      out.count(parent === null ? 0 : parent.index + 1);
      out.count(event.index);
      out.count(step);
    }
    for (let i = 0; i < state.partials.length; i++) {
      const { taken, count, waits, fresh } = state.partials[i] as PartialMatch;
      out.count(taken.index);
      out.count(count);
      out.count(waits);
      out.count(fresh ? 1 : 0);
    }
    for (let i = 0; i < state.completed.length; i++) out.count((state.completed[i] as Taken).index);
    this.#events.length = 0;
    this.#links.length = 0;
    return out.written;
  }

  decode(bytes: Uint8Array): PatternState {
    const from = this.#in;
    from.open(bytes);
    const state = new PatternState();
    state.fed = from.double();
    state.given = from.double();
    state.floor = from.double();
    const eventCount = from.count();
    const pendingCount = from.count();
    const linkCount = from.count();
    const partialCount = from.count();
    const completedCount = from.count();
    const events = this.#events;
    const links = this.#links;
    for (let i = 0; i < eventCount; i++) {
      const event = this.#readEvent(from);
      events.push(event);
      if (i < pendingCount) state.pending.push(event);
    }
    for (let i = 0; i < linkCount; i++) {
      const parent = from.count();
      const event = events[from.count()] as KeptEvent;
      links.push(new Taken(parent === 0 ? null : (links[parent - 1] as Taken), event, from.count()));
    }
    for (let i = 0; i < partialCount; i++) {
      const taken = links[from.count()] as Taken;
      const count = from.count();
      const waits = from.count();
      state.partials.push(new PartialMatch(taken, count, waits, from.count() === 1));
    }
    for (let i = 0; i < completedCount; i++) state.completed.push(links[from.count()] as Taken);
    events.length = 0;
    links.length = 0;
    return state;
  }

  /** Gives numbers to all events and links of the state, parents first. */
  #number(state: PatternState): void {
    this.#mark = nextMark();
    for (let i = 0; i < state.pending.length; i++) this.#numberEvent(state.pending[i] as KeptEvent);
    for (let i = 0; i < state.partials.length; i++) this.#numberChain((state.partials[i] as PartialMatch).taken);
    for (let i = 0; i < state.completed.length; i++) this.#numberChain(state.completed[i] as Taken);
  }

  #numberChain(taken: Taken): void {
    const links = this.#links;
    const from = links.length;
    let added = 0;
    for (let link: Taken | null = taken; link !== null && link.mark !== this.#mark; link = link.parent) {
      link.mark = this.#mark;
      links.push(link);
      added++;
    }
    for (let i = 0; i < added >>> 1; i++) {
      const swapped = links[from + i] as Taken;
      links[from + i] = links[from + added - 1 - i] as Taken;
      links[from + added - 1 - i] = swapped;
    }
    for (let i = from; i < from + added; i++) {
      const link = links[i] as Taken;
      link.index = i;
      this.#numberEvent(link.event);
    }
  }

  #numberEvent(event: KeptEvent): void {
    if (event.mark === this.#mark) return;
    event.mark = this.#mark;
    event.index = this.#events.length;
    this.#events.push(event);
  }

  #writeEvent(event: KeptEvent): void {
    const out = this.#out;
    const hasTexts = event.context !== '' || event.traceparent !== '' || event.correlationId !== '';
    const isMatched = event.ordinal >= 0;
    out.double(event.ts);
    out.double(event.seq);
    out.count(event.row);
    out.count(event.holds);
    out.count((hasTexts ? TEXTS : 0) | (isMatched ? MATCHED : 0));
    for (let i = 0; i < this.#types.length; i++) this.#writeValue(event.values[i] as KeptValue);
    if (hasTexts) {
      out.text(event.context);
      out.text(event.traceparent);
      out.text(event.correlationId);
    }
    if (isMatched) out.double(event.ordinal);
  }

  #readEvent(from: ByteReader): KeptEvent {
    const ts = from.double();
    const seq = from.double();
    const row = from.count();
    const holds = from.count() | 0;
    const flags = from.count();
    const values: KeptValue[] = [];
    for (let i = 0; i < this.#types.length; i++) values.push(readValue(from, this.#types[i] as FieldPlan['type']));
    const hasTexts = (flags & TEXTS) !== 0;
    const context = hasTexts ? from.text() : '';
    const traceparent = hasTexts ? from.text() : '';
    const correlationId = hasTexts ? from.text() : '';
    const event = new KeptEvent(ts, seq, row, holds, values, context, traceparent, correlationId);
    if ((flags & MATCHED) !== 0) event.ordinal = from.double();
    return event;
  }

  #writeValue(value: KeptValue): void {
    if (typeof value === 'number') this.#out.double(value);
    else if (typeof value === 'boolean') this.#out.count(value ? TRUE : FALSE);
    else if (value === null) this.#out.count(ABSENT);
    else {
      this.#out.count(1);
      this.#out.text(value);
    }
  }
}

function readValue(from: ByteReader, type: FieldPlan['type']): KeptValue {
  if (type === 'string') return from.count() === ABSENT ? null : from.text();
  if (type !== 'boolean') return from.double();
  const value = from.count();
  return value === ABSENT ? null : value === TRUE;
}

/** Stamps are never used twice in a thread: events and links may have been numbered by another codec. */
let lastMark = 0;
function nextMark(): number {
  lastMark += 1;
  return lastMark;
}
