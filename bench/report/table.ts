/**
 * A report as text that fits a terminal: machine, one table per scenario, targets.
 *
 * Role: each figure is the median of the rounds, failures are the most of any. The spread of the first column is printed beside it; where it is wide
 * the others are no better.
 */

import type { Machine } from '../measure/machine.ts';
import { relativeSpread } from '../measure/statistics.ts';
import {
  type BenchReport,
  disturbedRounds,
  FIGURES,
  type ScenarioReport,
  typicalOf,
  type VariantReport,
} from './model.ts';
import { figureText, NOTHING, ratio } from './number-text.ts';
import type { Verdict } from './targets.ts';

const WIDTH_MIN = 72;
const WIDTH_MAX = 120;
const NAME_MIN = 16;
export function renderReport(report: BenchReport, verdicts: readonly Verdict[], columns: number): string {
  const width = Math.min(WIDTH_MAX, Math.max(WIDTH_MIN, columns));
  const parts = [
    ...machineLines(report),
    ...report.scenarios.flatMap((scenario) => ['', ...scenarioLines(scenario, width)]),
    ...(verdicts.length === 0 ? [] : ['', ...verdictLines(verdicts, width)]),
  ];
  if (report.interrupted) parts.push('', 'Interrupted: this is what had been measured.');
  return `${parts.flatMap((part) => wrap(part, width)).join('\n')}\n`;
}

function machineLines(report: BenchReport): string[] {
  const { command, machine, notes } = report;
  return [
    command,
    machineLine(machine),
    `millrace ${machine.commit}; front end ${machine.frontEnd}`,
    Object.entries(machine.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    `median of the rounds, ± half their range${howRun(report)}`,
    ...notes.map((note) => `Note: ${note}.`),
  ];
}

/** A server that was running before is the same in all rounds. */
export function howRun({ scenarios }: BenchReport): string {
  const isFresh = scenarios.some(({ name }) => name !== 'target');
  return isFresh ? '; a fresh server each, order reversed every round' : '';
}

export function machineLine({ at, cores, cpu, memoryGiB, node, system }: Machine): string {
  return `${at}  ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node.js ${node}`;
}

function scenarioLines(scenario: ScenarioReport, width: number): string[] {
  const clients = new Set(scenario.variants.flatMap(({ rounds }) => rounds.map(({ client }) => client)));
  clients.delete('');
  const rounds = Math.max(0, ...scenario.variants.map((variant) => variant.rounds.length));
  return [
    `${scenario.name}: ${scenario.title} [${[...clients].join(', ') || 'no client'}; ${rounds} ${rounds === 1 ? 'round' : 'rounds'}]`,
    ...tableLines(scenario, width),
    ...scenario.variants.flatMap(({ name, failures }) => failures.map((failure) => `  ! ${name}, ${failure}`)),
    ...problemLines(scenario.variants),
    ...scenario.variants.flatMap(disturbedRounds).map((line) => `  ~ ${line}`),
    ...scenario.skipped.map((line) => `  skipped: ${line}`),
    ...scenario.cannotShow.map((line) => `  does not show: ${line}`),
    ...scenario.published.map((line) => `  published elsewhere: ${line}`),
  ];
}

/** What went wrong while it was measured, once per variant. */
function problemLines(variants: readonly VariantReport[]): string[] {
  return variants.flatMap(({ name, rounds }) => {
    const problem = rounds.find((sample) => sample.problem !== '')?.problem;
    return problem === undefined ? [] : [`  ! ${name}: ${problem}`];
  });
}

function tableLines({ columns, variants }: ScenarioReport, width: number): string[] {
  const [first] = columns;
  const head = columns.flatMap((figure) => (figure === first ? [FIGURES[figure].label, '±'] : [FIGURES[figure].label]));
  const rows = variants.map((variant) =>
    columns.flatMap((figure) => {
      const spread = typicalOf(variant, figure);
      const text = Number.isNaN(spread.median) ? NOTHING : figureText(figure, spread.median);
      return figure === first ? [text, percent(relativeSpread(spread))] : [text];
    }),
  );
  const widths = head.map((label, i) => Math.max(label.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const blocks = blocksOf(widths, width - NAME_MIN - 2);
  const figuresWidth = Math.max(0, ...blocks.map((block) => widthOf(block, widths)));
  const longest = Math.max(...variants.map(({ name }) => name.length), NAME_MIN);
  const nameWidth = Math.max(NAME_MIN, Math.min(longest, width - figuresWidth - 2));
  return blocks.flatMap((block) => {
    const line = (name: string, cells: readonly string[]): string =>
      `  ${fit(name, nameWidth)}${block.map((i) => `  ${(cells[i] ?? '').padStart(widths[i] ?? 0)}`).join('')}`;
    return [line('', head), ...variants.map(({ name }, i) => line(name, rows[i] ?? []))];
  });
}

const widthOf = (block: readonly number[], widths: readonly number[]): number =>
  block.reduce((sum, column) => sum + (widths[column] ?? 0) + 2, 0);

/** Columns that stand beside each other; the others follow below, with the names once more. */
function blocksOf(widths: readonly number[], widthMax: number): number[][] {
  const blocks: number[][] = [[]];
  for (const column of widths.keys()) {
    const last = blocks.at(-1) ?? [];
    if (last.length === 0 || widthOf([...last, column], widths) <= widthMax) last.push(column);
    else blocks.push([column]);
  }
  return blocks;
}

function percent(share: number): string {
  return Number.isNaN(share) ? '' : `${(share * 100).toFixed(0)}%`;
}

function verdictLines(verdicts: readonly Verdict[], width: number): string[] {
  const mark = { met: 'met   ', missed: 'MISSED', 'not judged': 'n/a   ' };
  const rows = verdicts.map(({ outcome, target, value, why }) => {
    const text = (one: number): string => (target.over === '' ? figureText(target.figure, one) : ratio(one));
    const bound = target.atLeast ?? target.atMost ?? Number.NaN;
    const wanted = `${target.atLeast === null ? '<=' : '>='} ${text(bound)}`;
    const range = value.lowest === value.highest ? '' : ` (${text(value.lowest)} to ${text(value.highest)})`;
    const found = outcome === 'not judged' && Number.isNaN(value.median) ? why : `${text(value.median)}${range}`;
    const note = why === '' || found === why ? '' : `; ${why}`;
    return { left: `  ${mark[outcome]}  ${target.what}`, right: `${wanted}: ${found}${note}` };
  });
  const met = verdicts.filter(({ outcome }) => outcome === 'met').length;
  const missed = verdicts.filter(({ outcome }) => outcome === 'missed').length;
  const lines = rows.map(({ left, right }) =>
    left.length + right.length + 2 <= width
      ? `${left.padEnd(width - right.length)}${right}`
      : `${left}\n${right.padStart(width)}`,
  );
  return [`targets: ${met} met, ${missed} missed, ${verdicts.length - met - missed} not judged`, ...lines];
}

function fit(text: string, width: number): string {
  return text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`;
}

/** Breaks lines at spaces, and indents what follows. */
function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => {
    const lines: string[] = [];
    let rest = line;
    while (rest.length > width) {
      const space = rest.lastIndexOf(' ', width);
      const cut = space > width / 2 ? space : width;
      lines.push(rest.slice(0, cut).trimEnd());
      rest = `    ${rest.slice(cut).trimStart()}`;
    }
    return [...lines, rest];
  });
}
