// HOT PATH
/**
 * Joins of two streams by key: interval, window, and look-up of the newest version.
 *
 * Role: both sides of a key meet in one shard; what may still find a partner is kept per key, and given up when the
 * watermark (the lower of the two streams') says that nothing can come any more.
 * - interval: left.ts + lower ≤ right.ts ≤ left.ts + upper. Told as soon as both are there.
 * - window: both in the same tumbling window [n·size, (n+1)·size). Told when it closes.
 * - lookup: the newest right event at or before left.ts. Told when the watermark has passed left.ts, so that the version
 *   is the right one whatever order the two came in. Versions older than the one in force, or than `ttlMs`, go.
 * With `outer`, a left event without a partner is told once, its right values absent.
 * An event whose time to find a partner the watermark has passed is not kept; in interval joins it meets those that are
 * there. It is late only when the watermark has passed its own time as well.
 * Bounds: `HELD_MAX` events per key and side; the oldest goes, and counts as late.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import type { Emitter, OperatorInput, OperatorKind, OperatorStats, ShardOperator } from '../operator.ts';
import type { JoinPlan } from '../plan.ts';
import { JoinState, type Side } from './join-state.ts';
import { Pair } from './pair.ts';
import { compileJoin, type JoinExpressions } from './pair-expression.ts';
import { BatchContext } from './row-context.ts';
import type { SideRows } from './side-rows.ts';

export const HELD_MAX = 100_000;

const LEFT = 0;
const RIGHT = 1;

export const joinKind: OperatorKind<JoinPlan> = {
  create: () => JoinState.create(),
  attach(join, memory, { keys, plan }) {
    const expressions = compileJoin(join, plan);
    const state = new JoinState(memory, keys, expressions.layouts, join.type !== 'lookup');
    return new Join(join, expressions, state);
  },
};

class Join implements ShardOperator {
  readonly columns: readonly string[];
  readonly #plan: JoinPlan;
  readonly #isInterval: boolean;
  /** Of windows; 0 for the other types. */
  readonly #sizeMs: number;
  /** How long an event may find a partner, of the other types. */
  readonly #leftUseMs: number;
  readonly #rightUseMs: number;
  readonly #state: JoinState;
  readonly #left: SideRows;
  readonly #right: SideRows;
  readonly #pair: Pair;
  readonly #context = new BatchContext();

  constructor(join: JoinPlan, expressions: JoinExpressions, state: JoinState) {
    this.#plan = join;
    this.#isInterval = join.type === 'interval';
    this.#sizeMs = join.type === 'window' ? join.sizeMs : 0;
    this.#leftUseMs = join.upperMs;
    // Versions of a look-up go when newer ones are in force.
    this.#rightUseMs = join.type === 'lookup' ? Number.POSITIVE_INFINITY : -join.lowerMs;
    this.#state = state;
    this.#left = state.sides[LEFT];
    this.#right = state.sides[RIGHT];
    this.#pair = new Pair(expressions, state.sides);
    this.columns = join.select.map(({ name }) => name);
  }

  events({ batch, count, keys, provenance, rows, side }: OperatorInput, out: Emitter): void {
    this.#state.beginTurn();
    this.#context.begin(batch, provenance);
    const own = side === 0 ? LEFT : RIGHT;
    for (let i = 0; i < count; i++) {
      this.#take(keys[i] as number, own, batch, rows[i] as number, provenance.seq, out);
    }
  }

  #take(keyId: number, side: Side, batch: EventBatch, row: number, seq: number, out: Emitter): void {
    const state = this.#state;
    const rows = side === LEFT ? this.#left : this.#right;
    const ts = batch.ts[row] as number;
    if (this.#lastUse(ts, side) <= state.watermark) {
      const isLate = ts <= state.watermark;
      if (isLate) state.countLate();
      if (this.#isInterval) this.#visit(keyId, side, batch, row, seq, isLate, out);
      return;
    }
    const index = rows.placeOf(state.block(keyId, side), ts);
    state.insert(keyId, side, index, batch, row, seq, this.#context.bytesOf(row));
    const block = state.block(keyId, side);
    if (this.#isInterval) this.#meet(keyId, side, rows.rowAt(block, index), out);
    if (rows.count(block) > HELD_MAX) {
      state.drop(keyId, side, 1);
      state.countLate();
    }
    state.settle(keyId, this.#timer(keyId));
  }

  /** An event that need not be kept meets what is there, from a block of its own that goes with it. */
  #visit(keyId: number, side: Side, batch: EventBatch, row: number, seq: number, isLate: boolean, out: Emitter): void {
    // All partners an event on time can have are before the watermark then, and here.
    const tellsAlone = this.#plan.outer && side === LEFT && !isLate;
    if (!tellsAlone && this.#state.block(keyId, side === LEFT ? RIGHT : LEFT) === 0) return;
    const rows = side === LEFT ? this.#left : this.#right;
    const visitor = rows.insert(0, 0, batch, row, seq, this.#context.bytesOf(row));
    this.#meet(keyId, side, rows.rowAt(visitor, 0), out);
    if (tellsAlone) this.#alone(keyId, visitor, 0, 1, out);
    rows.drop(visitor, 1);
  }

  /** Watermark at which an event can no longer find a partner. */
  #lastUse(ts: number, side: Side): number {
    const sizeMs = this.#sizeMs;
    if (sizeMs > 0) return Math.floor(ts / sizeMs) * sizeMs + sizeMs - 1;
    return ts + (side === LEFT ? this.#leftUseMs : this.#rightUseMs);
  }

  #timer(keyId: number): number {
    const lefts = this.#state.block(keyId, LEFT);
    const rights = this.#state.block(keyId, RIGHT);
    const first = this.#lastUse(this.#left.tsAt(lefts, 0), LEFT);
    if (this.#plan.type !== 'lookup') return Math.min(first, this.#lastUse(this.#right.tsAt(rights, 0), RIGHT));
    // Versions go only when a newer one is in force, or by age.
    const { ttlMs } = this.#plan;
    const aged = ttlMs > 0 ? this.#right.tsAt(rights, 0) + ttlMs + 1 : Number.POSITIVE_INFINITY;
    return Math.min(first, this.#right.tsAt(rights, 1), aged);
  }

  /** Tells the pairs of the row that has come. */
  #meet(keyId: number, side: Side, row: number, out: Emitter): void {
    const { lowerMs, upperMs } = this.#plan;
    const others = this.#state.block(keyId, side === LEFT ? RIGHT : LEFT);
    if (others === 0) return;
    const rows = side === LEFT ? this.#right : this.#left;
    const ts = side === LEFT ? this.#left.ts(row) : this.#right.ts(row);
    const from = side === LEFT ? ts + lowerMs : ts - upperMs;
    const to = side === LEFT ? ts + upperMs : ts - lowerMs;
    const count = rows.count(others);
    for (let i = rows.firstFrom(others, from); i < count; i++) {
      const other = rows.rowAt(others, i);
      if (rows.ts(other) > to) return;
      if (side === LEFT) this.#pair.meet(keyId, row, other, out);
      else this.#pair.meet(keyId, other, row, out);
    }
  }

  advance(watermark: number, out: Emitter): void {
    if (!Number.isFinite(watermark)) return;
    const state = this.#state;
    const { type } = this.#plan;
    state.watermark = watermark;
    state.beginTurn();
    // Whoever is due has nothing left that is, once it is settled.
    for (let keyId = state.firstDue(watermark); keyId >= 0; keyId = state.firstDue(watermark)) {
      if (type === 'interval') this.#expire(keyId, watermark, out);
      else if (type === 'window') this.#close(keyId, watermark, out);
      else this.#lookUp(keyId, watermark, out);
      state.settle(keyId, this.#timer(keyId));
    }
  }

  /** Left events up to `index` that have found no partner. */
  #alone(keyId: number, lefts: number, from: number, to: number, out: Emitter): void {
    if (!this.#plan.outer) return;
    for (let i = from; i < to; i++) {
      const left = this.#left.rowAt(lefts, i);
      if (!this.#left.isMatched(left)) this.#pair.alone(keyId, left, out);
    }
  }

  #expire(keyId: number, watermark: number, out: Emitter): void {
    const { lowerMs, upperMs } = this.#plan;
    const lefts = this.#state.block(keyId, LEFT);
    const rights = this.#state.block(keyId, RIGHT);
    const gone = this.#left.firstFrom(lefts, watermark - upperMs + 1);
    this.#alone(keyId, lefts, 0, gone, out);
    this.#state.drop(keyId, LEFT, gone);
    this.#state.drop(keyId, RIGHT, this.#right.firstFrom(rights, watermark + lowerMs + 1));
  }

  /** Every window whose end the watermark has reached, oldest first. */
  #close(keyId: number, watermark: number, out: Emitter): void {
    const sizeMs = this.#sizeMs;
    const lefts = this.#state.block(keyId, LEFT);
    const rights = this.#state.block(keyId, RIGHT);
    let left = 0;
    let right = 0;
    for (;;) {
      const first = Math.min(this.#left.tsAt(lefts, left), this.#right.tsAt(rights, right));
      const end = Math.floor(first / sizeMs) * sizeMs + sizeMs;
      // Not so of Infinity and NaN either, which nothing left makes.
      if (!(end - 1 <= watermark)) break;
      const leftEnd = this.#left.firstFrom(lefts, end);
      const rightEnd = this.#right.firstFrom(rights, end);
      for (; left < leftEnd; left++) {
        const row = this.#left.rowAt(lefts, left);
        for (let i = right; i < rightEnd; i++) this.#pair.meet(keyId, row, this.#right.rowAt(rights, i), out);
        this.#alone(keyId, lefts, left, left + 1, out);
      }
      right = rightEnd;
    }
    this.#state.drop(keyId, LEFT, left);
    this.#state.drop(keyId, RIGHT, right);
  }

  #lookUp(keyId: number, watermark: number, out: Emitter): void {
    const { ttlMs } = this.#plan;
    const lefts = this.#state.block(keyId, LEFT);
    const rights = this.#state.block(keyId, RIGHT);
    const asked = this.#left.firstFrom(lefts, watermark + 1);
    for (let i = 0; i < asked; i++) {
      const left = this.#left.rowAt(lefts, i);
      const ts = this.#left.ts(left);
      const newest = this.#right.firstFrom(rights, ts + 1) - 1;
      const isCurrent = newest >= 0 && (ttlMs === 0 || ts - this.#right.tsAt(rights, newest) <= ttlMs);
      if (isCurrent) this.#pair.meet(keyId, left, this.#right.rowAt(rights, newest), out);
      this.#alone(keyId, lefts, i, i + 1, out);
    }
    this.#state.drop(keyId, LEFT, asked);
    const inForce = this.#right.firstFrom(rights, watermark + 1) - 1;
    const aged = ttlMs > 0 ? this.#right.firstFrom(rights, watermark - ttlMs) : 0;
    this.#state.drop(keyId, RIGHT, Math.max(0, inForce, aged));
  }

  evictIdle(share: number): number {
    return this.#state.forgetIdle(share);
  }

  stats(): OperatorStats {
    return { rows: this.#state.rowCount, bytes: this.#state.byteLength, late: this.#state.late };
  }
}
