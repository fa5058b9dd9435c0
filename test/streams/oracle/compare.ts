/**
 * Whether result lines say what the oracle expects, and if not, the least that shows it.
 *
 * Role: folds the lines of a window (panes, retractions, merged sessions) into what they finally say per key and bounds,
 * then compares that with the oracle's rows. Returns `''` for agreement, or a text that names missing, unexpected and
 * wrong results, a few of each.
 * Early results are passed over when a later pane follows, and do not make a window count as reported.
 */
import type { WindowDefinition } from '../../../src/streams/define/definition.ts';
import type { Expected } from './aggregates-sql.ts';
import type { Scalar } from './case.ts';
import type { ExpectedPair } from './joins.ts';
import type { ExpectedWindow } from './windows.ts';

/** A result line as `engine/shards/result-line.ts` writes it, parsed. */
export interface ResultLine {
  readonly id: string;
  readonly stream: string;
  readonly name: string;
  readonly key: Readonly<Record<string, Scalar>>;
  readonly start: number | null;
  readonly end: number | null;
  readonly pane: number;
  readonly timing: 'early' | 'on-time' | 'late';
  readonly final: boolean;
  readonly retraction?: boolean;
  readonly output?: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What the lines of one key and bounds finally say. */
interface Folded {
  readonly line: ResultLine;
  readonly values: Readonly<Record<string, unknown>>;
  readonly final: boolean;
}

const SHOWN_MAX = 5;
/** Aggregates whose panes can be added up. */
const ADDITIVE: Readonly<Record<string, (a: number, b: number) => number>> = {
  count: (a, b) => a + b,
  sum: (a, b) => a + b,
  min: Math.min,
  max: Math.max,
};

export const parseLines = (lines: readonly string[]): ResultLine[] =>
  lines.map((line) => JSON.parse(line) as ResultLine);

const sortedJson = (key: Readonly<Record<string, Scalar>>): string =>
  JSON.stringify(Object.entries(key).sort(([a], [b]) => (a < b ? -1 : 1)));

const identity = (row: { key: Readonly<Record<string, Scalar>>; start: number | null; end: number | null }): string =>
  `${sortedJson(row.key)} [${row.start}, ${row.end})`;

/** `lines`: all results of this window, in order; lines of other operators and outputs are left out. */
export function compareResults(
  expected: readonly ExpectedWindow[],
  lines: readonly string[],
  window: WindowDefinition,
): string {
  const folded = foldLines(parseLines(lines), window);
  const complaints: string[] = [];
  for (const row of expected) {
    const name = identity(row);
    const actual = folded.get(name);
    folded.delete(name);
    if (actual === undefined) complaints.push(`missing    ${name} ${shown(row.values)}`);
    else complaints.push(...differences(name, row, actual));
  }
  for (const [name, { values }] of folded) complaints.push(`unexpected ${name} ${JSON.stringify(values)}`);
  return report(complaints, expected.length);
}

function differences(name: string, row: ExpectedWindow, actual: Folded): string[] {
  const wrong = Object.entries(row.values).filter(([each, value]) => !meets(value, actual.values[each]));
  const complaints = wrong.map(
    ([each, value]) =>
      `wrong      ${name} ${each}: expected ${one(value)}, got ${JSON.stringify(actual.values[each])} (${row.events} events)`,
  );
  if (actual.final && !row.final) complaints.push(`too early  ${name} called final while events can still change it`);
  return complaints;
}

/** By key and bounds. */
export function foldLines(lines: readonly ResultLine[], window: WindowDefinition): Map<string, Folded> {
  const folded = new Map<string, Folded>();
  const reported = new Set<string>();
  for (const line of lines) {
    if (line.name !== window.name || (line.output ?? '') !== '') continue;
    const name = identity(line);
    const before = folded.get(name);
    if (line.retraction === true) {
      folded.delete(name);
      continue;
    }
    if (window.top !== undefined && line.pane > 0) dropBefore(folded, line);
    const adds = window.accumulation === 'discarding' && before !== undefined;
    const values = adds ? added(before.values, line.values, window) : line.values;
    folded.set(name, { line, values, final: line.final });
    if (line.timing !== 'early') reported.add(name);
  }
  for (const name of folded.keys()) if (!reported.has(name)) folded.delete(name);
  if (window.type === 'session') dropMerged(folded, window);
  return folded;
}

/** A pane of a ranking takes the place of the whole one before. */
function dropBefore(folded: Map<string, Folded>, { end, pane, start }: ResultLine): void {
  for (const [name, { line }] of folded) {
    if (line.start === start && line.end === end && line.pane < pane) folded.delete(name);
  }
}

/**
 * A session that another one of its key contains was merged into it after it was reported. Panes that are not repeated
 * (`discarding`) said a part of what the merged one has.
 */
function dropMerged(folded: Map<string, Folded>, window: WindowDefinition): void {
  const byKey = new Map<string, ResultLine[]>();
  for (const { line } of folded.values()) {
    const key = sortedJson(line.key);
    byKey.set(key, [...(byKey.get(key) ?? []), line]);
  }
  for (const lines of byKey.values()) {
    const merged = lines.filter((line) => !line.final && lines.some((other) => contains(other, line)));
    for (const line of merged) {
      const whole = lines.find((other) => contains(other, line) && !merged.includes(other));
      const part = folded.get(identity(line));
      folded.delete(identity(line));
      if (window.accumulation !== 'discarding' || whole === undefined || part === undefined) continue;
      const into = folded.get(identity(whole));
      if (into === undefined) continue;
      folded.set(identity(whole), { ...into, values: added(part.values, into.values, window) });
    }
  }
}

const contains = (other: ResultLine, line: ResultLine): boolean =>
  other !== line && (other.start ?? 0) <= (line.start ?? 0) && (other.end ?? 0) >= (line.end ?? 0);

function added(a: Folded['values'], b: Folded['values'], window: WindowDefinition): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(window.aggregates).map(([name, aggregate]) => {
      const fn = typeof aggregate === 'string' ? aggregate : aggregate.fn;
      const add = ADDITIVE[fn];
      if (add === undefined) throw new Error(`discarded panes of ${fn} cannot be added up`);
      const [left, right] = [a[name] ?? null, b[name] ?? null];
      if (left === null || right === null) return [name, left ?? right];
      return [name, add(left as number, right as number)];
    }),
  );
}

export function meets(expected: Expected, actual: unknown): boolean {
  if (expected.rule === 'equal') return (actual ?? null) === expected.value;
  if (typeof actual !== 'number') return false;
  const difference = Math.abs(actual - expected.value);
  return difference <= expected.absolute || difference <= expected.relative * Math.abs(expected.value);
}

/** Rows of a join, as a multiset of bounds and values. Numbers are compared to nine digits. */
export function comparePairs(expected: readonly ExpectedPair[], lines: readonly string[], join: string): string {
  const counts = new Map<string, number>();
  for (const pair of expected) count(counts, pairText(pair.start, pair.end, pair.values), 1);
  for (const line of parseLines(lines)) {
    if (line.name === join && (line.output ?? '') === '') {
      count(counts, pairText(line.start, line.end, line.values), line.retraction === true ? 1 : -1);
    }
  }
  const complaints = [...counts]
    .filter(([, balance]) => balance !== 0)
    .map(([text, balance]) => `${balance > 0 ? 'missing   ' : 'unexpected'} ${text} × ${Math.abs(balance)}`);
  return report(complaints, expected.length);
}

function count(counts: Map<string, number>, text: string, by: number): void {
  counts.set(text, (counts.get(text) ?? 0) + by);
}

function pairText(start: number | null, end: number | null, values: Readonly<Record<string, unknown>>): string {
  const rounded = Object.entries(values).map(([name, value]) => {
    const isFraction = typeof value === 'number' && !Number.isInteger(value);
    return [name, isFraction ? Number(value.toPrecision(9)) : (value ?? null)] as const;
  });
  return `[${start}, ${end}] ${JSON.stringify(Object.fromEntries(rounded.sort(([a], [b]) => (a < b ? -1 : 1))))}`;
}

function report(complaints: readonly string[], rows: number): string {
  if (complaints.length === 0) return '';
  const more = complaints.length > SHOWN_MAX ? [`… and ${complaints.length - SHOWN_MAX} more`] : [];
  const head = `${complaints.length} of ${rows} expected results differ`;
  return [head, ...complaints.slice(0, SHOWN_MAX), ...more].join('\n');
}

function shown(values: Readonly<Record<string, Expected>>): string {
  return `{${Object.entries(values)
    .map(([name, value]) => `${name}: ${one(value)}`)
    .join(', ')}}`;
}

function one(value: Expected): string {
  return `${value.rule === 'near' ? '≈' : ''}${JSON.stringify(value.value)}`;
}
