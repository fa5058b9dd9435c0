/**
 * Aggregates that are a few doubles of the row: counts, compensated sums, extremes, moments, averages over time.
 *
 * Role: each function makes sure its column is in the program, once, and gives the index of its first double; results are
 * expressions over columns, so that `mean` reads the columns of `sum` and `count`.
 *   count    1 event count                        sum      2 sum; what rounding lost (Neumaier's, branch-free)
 *   extreme  1 value, ±Infinity for none          moments  2 mean; sum of squared deviations (Welford, Chan to merge)
 *   edge     2 event time; value                  ewma     3 lowest event time; first value; average
 * Absent values are skipped, as SQL has it. Counts of a source that is never absent are the count of the events.
 */
import { literal, other, own, type Program } from './program.ts';
import type { RowReader, Source } from './source.ts';

/** The events an aggregate is over, and the value it takes of each. */
export interface Over {
  readonly where: RowReader | null;
  readonly source: Source | null;
}

/** Key of a column that is shared by aggregates over the same. */
export const keyFor = (program: Program, name: string, { where, source }: Over): string =>
  `${name} ${program.whereKey(where)} ${program.keyOf(source)}`;

export function countColumn(program: Program, given: Over): number {
  const over = given.source?.always ? { ...given, source: null } : given;
  return program.once(keyFor(program, 'count', over), () => {
    const n = program.reserve('0');
    program.onAdd(over.where, over.source, `${own(n)} += 1;`);
    program.onMergeCount(`${own(n)} += ${other(n)};`);
    return n;
  });
}

/** Knuth's two-sum: `e` is exactly what rounding `a + b` to `t` loses. */
const twoSum = (sum: number, addend: string, lost: string): string =>
  `{ const a = ${own(sum)}, x = ${addend}, t = a + x, y = t - a;
  ${own(sum)} = t; ${own(sum + 1)} += (a - (t - y)) + (x - y)${lost}; }`;

export function sumColumn(program: Program, over: Over): number {
  return program.once(keyFor(program, 'sum', over), () => {
    const sum = program.reserve('0', '0');
    program.onAdd(over.where, over.source, twoSum(sum, 'v', ''));
    program.onMerge(twoSum(sum, other(sum), ` + ${other(sum + 1)}`));
    return sum;
  });
}

/** The sum as one double. Past the largest double the compensation has no value. */
export function totalOf(sum: number, lost: number): number {
  const total = sum + lost;
  return Number.isNaN(total) ? sum : total;
}

export function extremeColumn(program: Program, over: Over, max: boolean): number {
  return program.once(keyFor(program, max ? 'max' : 'min', over), () => {
    const extreme = program.reserve(max ? '-Infinity' : 'Infinity');
    const sign = max ? '>' : '<';
    program.onAdd(over.where, over.source, `if (v ${sign} ${own(extreme)}) ${own(extreme)} = v;`);
    program.onMerge(`if (${other(extreme)} ${sign} ${own(extreme)}) ${own(extreme)} = ${other(extreme)};`);
    return extreme;
  });
}

export function momentsColumn(program: Program, over: Over): number {
  return program.once(keyFor(program, 'moments', over), () => {
    const n = countColumn(program, over);
    const mean = program.reserve('0', '0');
    const squares = mean + 1;
    program.onAdd(
      over.where,
      over.source,
      `{ const d = v - ${own(mean)}; ${own(mean)} += d / ${own(n)}; ${own(squares)} += d * (v - ${own(mean)}); }`,
    );
    program.onMerge(
      `{ const n = ${own(n)}, m = ${other(n)}, d = ${other(mean)} - ${own(mean)};
if (n === 0) { ${own(mean)} = ${other(mean)}; ${own(squares)} = ${other(squares)}; }
else if (m > 0) {
  ${own(mean)} += d * (m / (n + m)); ${own(squares)} += ${other(squares)} + d * d * (n * (m / (n + m))); } }`,
    );
    return mean;
  });
}

/** Value of the lowest or highest event time; of equal times, the one that arrived first or last. */
export function edgeColumn(program: Program, over: Over, last: boolean): number {
  return program.once(keyFor(program, last ? 'last' : 'first', over), () => {
    const time = program.reserve(last ? '-Infinity' : 'Infinity', '0');
    const sign = last ? '>=' : '<';
    program.onAdd(over.where, over.source, `if (ts ${sign} ${own(time)}) { ${own(time)} = ts; ${own(time + 1)} = v; }`);
    program.onMerge(
      `if (${other(time)} ${sign} ${own(time)}) { ${own(time)} = ${other(time)}; ${own(time + 1)} = ${other(time + 1)}; }`,
    );
    return time;
  });
}

/**
 * Average that begins with the first value and takes each further one, as it arrives, at weight alpha. Two rows are joined
 * as if the values of the one whose earliest event is earlier had come first (equal: those of the row that is added to).
 */
export function ewmaColumn(program: Program, over: Over, alpha: number): number {
  return program.once(keyFor(program, `ewma${alpha}`, over), () => {
    const n = countColumn(program, over);
    const since = program.reserve('Infinity', '0', '0');
    const [first, average] = [since + 1, since + 2];
    const rest = literal(1 - alpha);
    program.onAdd(
      over.where,
      over.source,
      `if (${own(n)} === 1) { ${own(since)} = ts; ${own(first)} = v; ${own(average)} = v; }
else { ${own(average)} += ${literal(alpha)} * (v - ${own(average)}); if (ts < ${own(since)}) ${own(since)} = ts; }`,
    );
    program.onMerge(
      `if (${other(n)} > 0) {
if (${own(n)} === 0) { ${own(since)} = ${other(since)}; ${own(first)} = ${other(first)}; ${own(average)} = ${other(average)}; }
else if (${other(since)} < ${own(since)}) {
${own(average)} += Math.pow(${rest}, ${own(n)}) * (${other(average)} - ${own(first)});
${own(first)} = ${other(first)}; ${own(since)} = ${other(since)}; }
else ${own(average)} = ${other(average)} + Math.pow(${rest}, ${other(n)}) * (${own(average)} - ${other(first)}); }`,
    );
    return since;
  });
}
