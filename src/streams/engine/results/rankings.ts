/**
 * The best of all shards, where each shard gave its best: results of windows with `top`.
 *
 * Role: between the shards and everything that looks at results. A firing is one window, one step and one timing; a shard
 * that fires gives all that may be in the ranking. A window that can fire only once is ranked from that alone. Where
 * panes follow each other (lateness, early results), shards fire by themselves, so that what each of them said last is
 * kept until the window has expired: a pane is always the ranking over all shards, every row has its number, and it
 * takes the place of the whole pane before. With `retracting` that pane is taken back first, row by row.
 * Invariants: rows go by value, best first, equal ones by the text of their key, so that the order knows no shards: the rule
 * is that of `rank.ts`. What is kept (`kept-rankings.ts`) is a function of the results and part of the checkpoint.
 */
import { bytesOfLines, linesOf } from '../../lines/lines-of.ts';
import type { Plan, WindowPlan } from '../../plan.ts';
import { byRank, byText, rankOf } from '../../rank.ts';
import type { ResultLine } from '../port.ts';
import { operatorName } from '../shards/image-chunks.ts';
import { byOrigin } from '../shards/round-outcome.ts';
import type { ResultChunk } from '../task.ts';
import { type KeptRanking, KeptRankings, type Row } from './kept-rankings.ts';

/** Of one step: a tick may end windows of which it has given early results, late results come before later windows. */
const TIMINGS: readonly ResultLine['timing'][] = ['early', 'late', 'on-time'];

interface Firing {
  readonly start: number;
  readonly end: number;
  readonly timing: ResultLine['timing'];
  readonly byShard: Map<number, Row[]>;
}

type Ranked = WindowPlan & { readonly top: NonNullable<WindowPlan['top']> };

/** By name of the operator: windows, oldest first, with rows by shard. */
export type RankingFacts = Readonly<
  Record<
    string,
    readonly {
      readonly name: string;
      readonly end: number;
      readonly panes: number;
      readonly said: readonly string[];
      readonly byShard: readonly (readonly [number, readonly string[]])[];
    }[]
  >
>;

export class Rankings {
  #plan: Plan;
  /** By name of the operator. */
  #kept = new Map<string, KeptRankings>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  /** What operators hold that go on with their state, and are ranked as before, is kept. */
  usePlan(plan: Plan): void {
    const before = new Map(this.#plan.operators.map((operator) => [operatorName(this.#plan, operator), operator]));
    const kept = new Map<string, KeptRankings>();
    for (const operator of plan.operators) {
      const name = operatorName(plan, operator);
      const windows = this.#kept.get(name);
      const known = before.get(name);
      if (windows === undefined || known === undefined || this.#plan.shards !== plan.shards) continue;
      if (known.stateShape === operator.stateShape && topText(known) === topText(operator)) kept.set(name, windows);
    }
    this.#plan = plan;
    this.#kept = kept;
  }

  /** The results of a round with those of ranked windows in their place. */
  of(chunks: readonly ResultChunk[]): readonly ResultChunk[] {
    if (!chunks.some((chunk) => this.#rankedOf(chunk) !== null)) return chunks;
    const ranked: ResultChunk[] = [];
    const groups = new Map<string, ResultChunk[]>();
    for (const chunk of chunks) {
      if (this.#rankedOf(chunk) === null) {
        ranked.push(chunk);
        continue;
      }
      const name = `${chunk.seq}/${chunk.operator}`;
      const group = groups.get(name);
      if (group === undefined) groups.set(name, [chunk]);
      else group.push(chunk);
    }
    for (const group of groups.values()) ranked.push(...this.#best(group));
    return ranked.sort(byOrigin);
  }

  /** Null for what is not ranked; other outputs of the window are not. */
  #rankedOf({ operator, output }: ResultChunk): Ranked | null {
    const plan = this.#plan.operators[operator];
    return plan?.kind === 'window' && plan.top !== null && output === '' ? (plan as Ranked) : null;
  }

  /** One step of one operator. */
  #best(group: readonly ResultChunk[]): readonly ResultChunk[] {
    const first = group[0] as ResultChunk;
    const plan = this.#rankedOf(first);
    if (plan === null) return group;
    const paned = plan.allowedLatenessMs > 0 || plan.earlyMs > 0;
    const lines: string[] = [];
    let start = Number.POSITIVE_INFINITY;
    let end = Number.NEGATIVE_INFINITY;
    for (const firing of firingsOf(group, plan)) {
      const rows = paned
        ? this.#pane(firing, plan)
        : bestOf([...firing.byShard.values()].flat(), plan.top).map(({ text }) => text);
      for (const row of rows) lines.push(row);
      start = Math.min(start, firing.start);
      end = Math.max(end, firing.end);
    }
    return [{ ...first, count: lines.length, start, end, lines: bytesOfLines(lines) }];
  }

  #pane({ byShard, end, start, timing }: Firing, plan: Ranked): string[] {
    const windows = this.#windowsOf(operatorName(this.#plan, plan));
    const name = `${start}/${end}`;
    const kept: KeptRanking = windows.get(name) ?? { end, panes: 0, said: [], byShard: new Map() };
    // A window closes in all shards at once: one that is silent has nothing in it.
    if (timing === 'on-time') windows.clear(kept);
    for (const [shard, rows] of byShard) windows.put(name, kept, shard, bestOf(rows, plan.top));
    const best = bestOf([...kept.byShard.values()].flat(), plan.top);
    const final = timing === 'on-time' && best.some(({ line }) => line.final);
    const takenBack = kept.said.map((text) => retractionOf(text, timing));
    const said = best.map(({ line }) => JSON.stringify(asPane(line, kept.panes, timing, final)));
    if (plan.accumulation === 'retracting') kept.said = said;
    kept.panes += 1;
    if (final) windows.delete(name);
    if (timing === 'on-time') windows.forgetExpired(end - plan.allowedLatenessMs);
    windows.keepToLimit();
    return [...takenBack, ...said];
  }

  #windowsOf(operator: string): KeptRankings {
    const known = this.#kept.get(operator);
    if (known !== undefined) return known;
    const windows = new KeptRankings();
    this.#kept.set(operator, windows);
    return windows;
  }

  /** For the checkpoint. */
  facts(): RankingFacts {
    const facts: Record<string, RankingFacts[string]> = {};
    for (const [operator, windows] of this.#kept) {
      facts[operator] = [...windows.entries()].map(([name, { byShard, end, panes, said }]) => ({
        name,
        end,
        panes,
        said,
        byShard: [...byShard].map(([shard, rows]) => [shard, rows.map(({ text }) => text)] as const),
      }));
    }
    return facts;
  }

  restore(facts: RankingFacts): void {
    this.#kept.clear();
    for (const operator of this.#plan.operators) {
      const name = operatorName(this.#plan, operator);
      const windows = facts[name];
      if (windows === undefined || operator.kind !== 'window' || operator.top === null) continue;
      const { by } = operator.top;
      const kept = this.#windowsOf(name);
      for (const { byShard, end, name: bounds, panes, said } of windows) {
        const window: KeptRanking = { end, panes, said, byShard: new Map() };
        for (const [shard, texts] of byShard) {
          kept.put(
            bounds,
            window,
            shard,
            texts.map((text) => rowOf(text, by)),
          );
        }
      }
    }
  }
}

const topText = (operator: Plan['operators'][number]): string =>
  operator.kind === 'window' ? JSON.stringify(operator.top) : '';

function rowOf(text: string, by: string): Row {
  const line = JSON.parse(text) as ResultLine;
  return { text, line, value: rankOf(line.values[by]), key: JSON.stringify(line.key) };
}

/** In the order in which windows end. */
function firingsOf(group: readonly ResultChunk[], { top }: Ranked): readonly Firing[] {
  const firings = new Map<string, Firing>();
  for (const { lines, shard } of group) {
    for (const text of linesOf(lines)) {
      const row = rowOf(text, top.by);
      const { timing } = row.line;
      // A window with `top` has bounds.
      const [start, end] = [row.line.start as number, row.line.end as number];
      const name = `${start}/${end}/${timing}`;
      const firing = firings.get(name) ?? { start, end, timing, byShard: new Map<number, Row[]>() };
      firings.set(name, firing);
      const rows = firing.byShard.get(shard);
      if (rows === undefined) firing.byShard.set(shard, [row]);
      else rows.push(row);
    }
  }
  return [...firings.values()].sort(
    (a, b) => TIMINGS.indexOf(a.timing) - TIMINGS.indexOf(b.timing) || a.end - b.end || a.start - b.start,
  );
}

function bestOf(rows: readonly Row[], { limit, ties }: Ranked['top']): readonly Row[] {
  const sorted = rows.toSorted((a, b) => byRank(a.value, b.value) || byText(a.key, b.key));
  const last = sorted[limit - 1];
  if (last === undefined) return sorted;
  return sorted.filter(({ value }, i) => i < limit || (ties && value === last.value));
}

function asPane({ id, ...line }: ResultLine, pane: number, timing: ResultLine['timing'], final: boolean): ResultLine {
  return { id: `${id.slice(0, id.lastIndexOf('/'))}/${pane}`, ...line, pane, timing, final };
}

function retractionOf(text: string, timing: ResultLine['timing']): string {
  const { end, id, key, name, pane, start, stream, values } = JSON.parse(text) as ResultLine;
  const bounds = { start, end, pane, timing, final: false, retraction: true };
  return JSON.stringify({ id: `${id}/retraction`, stream, name, key, ...bounds, values });
}
