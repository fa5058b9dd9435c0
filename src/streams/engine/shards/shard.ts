/**
 * One shard on one thread: key tables and operators over the shard's memory, and the steps that change it.
 *
 * Role: between tasks (`run-task.ts`) and operators. Selects the rows of a batch that belong here, interns their keys
 * once per group, calls the operators of the group in order of the plan, and gathers what they emit by step.
 * Invariant: what an operator sees depends on the steps alone, never on the thread or on how steps were cut into tasks.
 */
import { type EventBatch, groupInputs } from '../../decode/event-batch.ts';
import { TICK } from '../../feeds.ts';
import type { Emitter, OperatorInput, OperatorKind, ShardOperator, StateQuery } from '../../operator.ts';
import type { OperatorPlan, Plan, WindowPlan } from '../../plan.ts';
import type { KeyTable } from '../../state/key-table.ts';
import { copyOfImage, ShardMemory } from '../../state/memory.ts';
import { RowKeys } from '../../state/row-keys.ts';
import type { PartialCombiner } from '../../windows/partials.ts';
import type { EvictedCount, Held, HeldShard, LateCount, Partials, ShardImage, Step } from '../task.ts';
import { Gathering, type OperatorOutput, QueryAnswer } from './outputs.ts';

/** How the parts of a shard are made: a table of operator kinds, and key tables. Tests bring their own. */
export interface ShardParts {
  kindOf(operator: OperatorPlan): OperatorKind;
  attachKeys(memory: ShardMemory, plan: Plan, group: number): KeyTable;
  createKeys(plan: Plan, group: number): ShardMemory;
  /** What aggregates batches of a window ahead of its shards; null where that is not possible. Absent: nowhere. */
  combiner?(operator: WindowPlan, plan: Plan): PartialCombiner | null;
  /** Of one batch in one shard. Default `RESULT_BYTES_MAX`. */
  readonly resultBytesMax?: number;
}

/** A batch of a join, or of a pattern, may have any number of results of each event. */
const RESULT_BYTES_MAX = 512 * 1024 * 1024;

/** This part of the keys goes beside those that are too many, so that not every batch lets some go. */
const EVICTED_BEYOND = 0.1;

const NOBODY: Emitter = { emit: () => undefined };

interface Attached {
  readonly plan: OperatorPlan;
  readonly operator: ShardOperator;
  readonly output: OperatorOutput;
  late: number;
}

/** Groups that hold keys of a stream's events, and operators that hold its events. */
interface HeldBy {
  readonly groups: readonly number[];
  readonly operators: readonly number[];
}

type EventsStep = Extract<Step, { kind: 'events' }>;

/** Fresh memory of a shard. */
export function createShard(shard: number, plan: Plan, parts: ShardParts, incarnation: number): ShardImage {
  return {
    shard,
    incarnation,
    version: 0,
    groups: plan.groups.map((group) => parts.createKeys(plan, group.index).image()),
    operators: plan.operators.map((operator) => parts.kindOf(operator).create(operator, plan).image()),
    watermarks: plan.streams.map(() => Number.NEGATIVE_INFINITY),
  };
}

/** The same shard in memory of its own: that of `into` where it fits, which is written over. What is on disk stays there. */
export function copyOfShard<T extends HeldShard>(held: T, into?: HeldShard): T {
  return {
    ...held,
    groups: held.groups.map((memory, group) => copyOfImage(memory, into?.groups[group])),
    operators: held.operators.map((memory, operator) => copyOfImage(memory, into?.operators[operator])),
  };
}

const indexOf = ({ index }: { readonly index: number }): number => index;

/** Whether events of the stream come to the operator. */
const sees = (operator: OperatorPlan, stream: number): boolean =>
  operator.stream === stream || (operator.kind === 'join' && operator.right === stream);

/** `stream`: or `TICK`. */
const closesBy = (window: WindowPlan, stream: number): boolean =>
  window.time === 'processing' ? stream === TICK : stream === window.stream;

/** The part of what is held that there is no room for; 0 or less: there is. */
function beyond(
  tables: readonly KeyTable[],
  operators: readonly Attached[],
  keysMax: number,
  bytesMax: number,
): number {
  const keys = tables.reduce((sum, table) => sum + table.size, 0);
  const bytes =
    tables.reduce((sum, table) => sum + table.byteLength, 0) +
    operators.reduce((sum, { operator }) => sum + operator.stats().bytes, 0);
  return Math.max(1 - keysMax / keys, 1 - bytesMax / bytes);
}

function sumAt(values: readonly number[], indexes: readonly number[]): number {
  let sum = 0;
  for (const index of indexes) sum += values[index] as number;
  return sum;
}

export class Shard {
  readonly index: number;
  readonly incarnation: number;
  version: number;
  readonly letGo: (LateCount | EvictedCount)[] = [];
  readonly gathered = new Gathering();
  readonly #plan: Plan;
  readonly #mask: number;
  readonly #groupMemories: readonly ShardMemory[];
  readonly #operatorMemories: readonly ShardMemory[];
  readonly #keys: readonly KeyTable[];
  readonly #operators: readonly Attached[];
  /** Operators by group. */
  readonly #members: readonly (readonly Attached[])[];
  /** By stream. */
  readonly #heldBy: readonly HeldBy[];
  readonly #watermarks: number[];
  readonly #intern = new RowKeys();
  readonly #resultBytesMax: number;
  /** Key tables whose ids operators go by: views do not. */
  readonly #told: readonly KeyTable[];
  /** Of the record at hand. */
  #seq = Number.NaN;

  constructor(image: ShardImage, plan: Plan, parts: ShardParts) {
    this.index = image.shard;
    this.incarnation = image.incarnation;
    this.version = image.version;
    this.#plan = plan;
    this.#resultBytesMax = parts.resultBytesMax ?? RESULT_BYTES_MAX;
    this.#mask = plan.shards - 1;
    this.#groupMemories = image.groups.map((memory) => new ShardMemory(memory));
    this.#operatorMemories = image.operators.map((memory) => new ShardMemory(memory));
    this.#keys = this.#groupMemories.map((memory, group) => parts.attachKeys(memory, plan, group));
    this.#heldBy = plan.streams.map(({ index }) => ({
      groups: plan.groups.filter(({ inputs }) => inputs.some(({ stream }) => stream === index)).map(indexOf),
      operators: plan.operators.filter((operator) => sees(operator, index)).map(indexOf),
    }));
    this.#watermarks = [...image.watermarks];
    this.#operators = plan.operators.map((operator) => this.#attach(operator, parts));
    for (const { plan: operator, output } of this.#operators) {
      for (const fed of operator.feeds) output.feed(this.#at(fed).operator, this.#at(fed).output);
    }
    this.#members = plan.groups.map((group) => this.#operators.filter(({ plan: { group: of } }) => of === group.index));
    this.#told = this.#keys.filter((_, group) => this.#members[group]?.some(({ plan: { kind } }) => kind !== 'view'));
  }

  #attach(plan: OperatorPlan, parts: ShardParts): Attached {
    const keys = this.#keys[plan.group] as KeyTable;
    const memory = this.#operatorMemories[plan.index] as ShardMemory;
    const operator = parts.kindOf(plan).attach(plan, memory, { plan: this.#plan, keys });
    const output = this.gathered.output(plan, this.#plan, operator.columns, keys);
    return { plan, operator, output, late: operator.stats().late };
  }

  #at(operator: number): Attached {
    return this.#operators[operator] as Attached;
  }

  /** By stream, and in all. */
  held(): { readonly held: readonly Held[]; readonly bytes: number } {
    const tables = this.#keys.map(({ byteLength }) => byteLength);
    const operators = this.#operators.map(({ operator }) => operator.stats().bytes);
    const held = this.#heldBy.map((parts) => ({
      keys: parts.groups.reduce((sum, group) => sum + (this.#keys[group] as KeyTable).size, 0),
      bytes: sumAt(tables, parts.groups) + sumAt(operators, parts.operators),
    }));
    const add = (sum: number, bytes: number): number => sum + bytes;
    return { held, bytes: tables.reduce(add, 0) + operators.reduce(add, 0) };
  }

  /** By operator. */
  get dropped(): number[] {
    return this.#operators.map(({ operator }) => operator.dropped?.() ?? 0);
  }

  /**
   * Keys that no operator holds are released before each record: which ids are used again, and with that the order of
   * simultaneous results, must not depend on how records were gathered into tasks.
   */
  #begin(seq: number): void {
    if (seq === this.#seq) return;
    this.#seq = seq;
    for (let i = 0; i < this.#told.length; i++) (this.#told[i] as KeyTable).sweep();
    this.gathered.begin(seq);
  }

  events(step: EventsStep, batch: EventBatch): void {
    this.#begin(step.seq);
    this.gathered.bound(this.#resultBytesMax);
    const inputs = groupInputs(this.#plan, step.stream);
    for (let k = 0; k < inputs.length; k++) {
      const input = inputs[k] as (typeof inputs)[number];
      const ahead = step.partials[k] ?? null;
      if (ahead !== null) {
        this.#merge(step, ahead, this.#keys[input.group] as KeyTable);
        continue;
      }
      const rows = batch.rowsOfShard(k, this.index);
      if (rows.length === 0) continue;
      const keys = this.#keys[input.group] as KeyTable;
      this.#intern.rows(batch, k, input.fields, rows, keys);
      const given: OperatorInput = {
        batch,
        side: input.side,
        count: rows.length,
        rows,
        keys: this.#intern.ids,
        watermark: step.watermark,
        provenance: step.provenance,
      };
      for (const { operator, output } of this.#members[input.group] as readonly Attached[]) {
        operator.events?.(given, output);
      }
    }
    this.gathered.bound(Number.POSITIVE_INFINITY);
    this.#countLate(step.seq);
  }

  /** What was aggregated ahead, of the keys that are here. */
  #merge({ provenance, watermark }: EventsStep, partials: Partials, keys: KeyTable): void {
    const input = { keys, shard: this.index, shards: this.#mask + 1, watermark, provenance };
    for (const { operator, rows } of partials) {
      const attached = this.#at(operator);
      if (rows !== null) attached.operator.mergePartial?.(rows, input, attached.output);
    }
  }

  #countLate(seq: number): void {
    for (let i = 0; i < this.#operators.length; i++) {
      const attached = this.#operators[i] as Attached;
      const { late } = attached.operator.stats();
      if (late === attached.late) continue;
      this.letGo.push({ kind: 'late', seq, operator: i, count: late - attached.late });
      attached.late = late;
    }
  }

  advance(seq: number, stream: number, watermark: number): void {
    this.#begin(seq);
    this.#watermarks[stream] = watermark;
    for (const { plan, operator, output } of this.#operators) {
      if (operator.advance === undefined) continue;
      if (!sees(plan, stream)) continue;
      const right = plan.kind === 'join' ? plan.right : plan.stream;
      operator.advance(Math.min(this.#watermarkOf(plan.stream), this.#watermarkOf(right)), output);
    }
  }

  #watermarkOf(stream: number): number {
    return this.#watermarks[stream] as number;
  }

  tick(seq: number, nowMs: number): void {
    this.#begin(seq);
    for (const { operator, output } of this.#operators) operator.tick?.(nowMs, output);
  }

  /** See `ShardOperator.reach`: as far as all windows may go that close by this time. */
  reach(stream: number, until: number, resultsMax: number): number {
    let reach = Number.POSITIVE_INFINITY;
    for (const { operator, plan } of this.#operators) {
      if (plan.kind !== 'window' || !closesBy(plan, stream)) continue;
      reach = Math.min(reach, operator.reach?.(until, resultsMax) ?? reach);
    }
    return reach;
  }

  silent(seq: number, stream: number, timeMs: number): void {
    this.#begin(seq);
    for (const { operator, output, plan } of this.#operators) {
      if (plan.stream === stream) operator.silent?.(timeMs, output);
    }
  }

  /** A function of the steps before it, however they were cut into tasks: a replay forgets the same keys at the same place. */
  evict(seq: number, stream: number, keysMax: number, bytesMax: number): void {
    const held = this.#heldBy[stream] as HeldBy;
    const tables = held.groups.map((group) => this.#keys[group] as KeyTable);
    const operators = held.operators.map((operator) => this.#at(operator));
    for (const isLast of [false, true]) {
      for (const table of tables) table.sweep();
      const over = beyond(tables, operators, keysMax, bytesMax);
      if (!(over > 0)) return;
      const share = Math.min(1, over + EVICTED_BEYOND);
      if (isLast) this.#begin(seq);
      for (const { operator, output, plan } of operators) {
        const count = (isLast ? operator.evictLast?.(share, output) : operator.evictIdle?.(share)) ?? 0;
        if (count > 0) this.letGo.push({ kind: 'evicted', operator: plan.index, count });
      }
    }
    for (const table of tables) table.sweep();
  }

  /** The operators let go of all their keys, without a word: their groups may go on without them. */
  drop(operators: readonly number[]): void {
    for (const { operator } of operators.map((index) => this.#at(index))) {
      operator.evictIdle?.(1);
      operator.evictLast?.(1, NOBODY);
    }
  }

  query(operator: number, query: StateQuery, charactersMax: number): QueryAnswer {
    const { operator: asked, plan } = this.#at(operator);
    const keys = this.#keys[plan.group] as KeyTable;
    const answer = new QueryAnswer(this.#plan, plan, asked.columns, keys, query, charactersMax);
    // Which rows match is seen when they are given: none may be left out before.
    asked.query?.(query.match === null ? query : { ...query, limit: Number.POSITIVE_INFINITY }, answer);
    return answer;
  }

  /** Forgets keys that nobody holds; once per task. */
  sweep(): void {
    for (const table of this.#keys) table.sweep();
  }

  image(): ShardImage {
    return {
      shard: this.index,
      incarnation: this.incarnation,
      version: this.version,
      groups: this.#groupMemories.map((memory) => memory.image()),
      operators: this.#operatorMemories.map((memory) => memory.image()),
      watermarks: [...this.#watermarks],
    };
  }
}
