/**
 * Two reports side by side: head over base, with the noise of both.
 *
 * Role: the arithmetic and the text of `bench:compare`. The ratio is of medians; its range is from the least to the most
 * that any two rounds would give. A ratio of shares of the limit says the same about machines of different speed.
 */
import type { Spread } from '../measure/statistics.ts';
import {
  type BenchReport,
  FIGURES,
  type FigureName,
  type ScenarioReport,
  typicalOf,
  type VariantReport,
} from './model.ts';
import { figureText, ratio } from './number-text.ts';
import { machineLine } from './table.ts';

/** What is compared wherever both runs have it. */
const COMPARED: readonly FigureName[] = [
  'perSecond',
  'p50Us',
  'p99Us',
  'cpuUsPerRequest',
  'residentMiB',
  'goodput10Share',
  'residentKiBEach',
  'fanOutP99Us',
  'eventsPerSecond',
  'cpuNsPerEvent',
  'taskNsPerEvent',
  'failed',
];

export type Judgement = 'better' | 'worse' | 'same' | 'noise';

export interface Row {
  readonly scenario: string;
  readonly variant: string;
  readonly ours: boolean;
  readonly figure: FigureName;
  readonly base: number;
  readonly head: number;
  /** Head over base. */
  readonly ratio: Spread;
  /** The same of shares of the limit; NaN without one. */
  readonly limitRatio: number;
  readonly judgement: Judgement;
}

export interface Comparison {
  readonly base: BenchReport;
  readonly head: BenchReport;
  readonly rows: readonly Row[];
  /** In head only. */
  readonly unmatched: readonly string[];
  /** In base, and not in head, or without a figure there. */
  readonly lost: readonly string[];
  /** In both, and not measured in the same way. */
  readonly unlike: readonly string[];
  readonly regressions: readonly string[];
}

export function compareReports(base: BenchReport, head: BenchReport, failAbove: number): Comparison {
  const rows: Row[] = [];
  const unmatched: string[] = [];
  const lost = base.scenarios.flatMap((before) => {
    const scenario = head.scenarios.find(({ name }) => name === before.name);
    return scenario === undefined ? [{ name: before.name, failed: false }] : lostOf(before, scenario);
  });
  const unlike = unlikeRuns(base, head);
  for (const scenario of head.scenarios) {
    const before = base.scenarios.find(({ name }) => name === scenario.name);
    if (before === undefined) unmatched.push(scenario.name);
    else {
      rows.push(...compareScenario(before, scenario, unmatched));
      unlike.push(...unlikeIn(before, scenario));
    }
  }
  const regressions = [
    ...lost.filter(({ failed }) => failed).map(({ name }) => `${name}: measured nothing any more`),
    ...regressionsOf(rows, failAbove),
  ];
  return { base, head, rows, unmatched, lost: lost.map(({ name }) => name), unlike, regressions };
}

/** Of the runs as a whole. */
function unlikeRuns(base: BenchReport, head: BenchReport): string[] {
  const machine = ({ machine: { cores, cpu, system } }: BenchReport): string => `${cpu}, ${cores} cores, ${system}`;
  const node = (report: BenchReport): string => `Node.js ${report.machine.node}`;
  const length = ({ interrupted }: BenchReport): string => (interrupted ? 'interrupted' : 'run to its end');
  return [machine, node, length].flatMap((of) => {
    return of(base) === of(head) ? [] : [`${of(base)}; in head: ${of(head)}`];
  });
}

/** Another rate or target stands in the title; and every client has a limit of its own. */
function unlikeIn(base: ScenarioReport, head: ScenarioReport): string[] {
  const titles = base.title === head.title ? [] : [`${head.name}: ${base.title}; in head: ${head.title}`];
  const clients = head.variants.flatMap((variant) => {
    const before = clientsOf(base.variants.find(({ name }) => name === variant.name));
    const now = clientsOf(variant);
    const isSame = before === '' || now === '' || before === now;
    return isSame ? [] : [`${head.name}, ${variant.name}: loaded by ${before}; in head by ${now}`];
  });
  return [...titles, ...clients];
}

const clientsOf = (variant: VariantReport | undefined): string =>
  [...new Set(variant?.rounds.map(({ client }) => client).filter((client) => client !== ''))].join(' and ');

const isMeasured = ({ rounds }: VariantReport): boolean =>
  rounds.some(({ figures }) => Object.values(figures).some((value) => Number.isFinite(value)));

/** `failed`: ours, and it was tried. Not tried: a shorter run. */
function lostOf(base: ScenarioReport, head: ScenarioReport): { readonly name: string; readonly failed: boolean }[] {
  return base.variants.filter(isMeasured).flatMap(({ name, role }) => {
    const now = head.variants.find((variant) => variant.name === name);
    if (now !== undefined && isMeasured(now)) return [];
    return [{ name: `${head.name}, ${name}`, failed: now !== undefined && role === 'millrace' }];
  });
}

function compareScenario(base: ScenarioReport, head: ScenarioReport, unmatched: string[]): Row[] {
  return head.variants.flatMap((variant) => {
    const before = base.variants.find(({ name }) => name === variant.name);
    if (before === undefined) {
      unmatched.push(`${head.name}, ${variant.name}`);
      return [];
    }
    return COMPARED.flatMap((figure) => compareFigure(base, head, before, variant, figure));
  });
}

function compareFigure(
  baseScenario: ScenarioReport,
  headScenario: ScenarioReport,
  base: VariantReport,
  head: VariantReport,
  figure: FigureName,
): Row[] {
  const before = typicalOf(base, figure);
  const now = typicalOf(head, figure);
  if (Number.isNaN(before.median) || Number.isNaN(now.median)) return [];
  const ratioOf: Spread = {
    median: quotient(now.median, before.median),
    lowest: quotient(now.lowest, before.highest),
    highest: quotient(now.highest, before.lowest),
  };
  return [
    {
      scenario: headScenario.name,
      variant: head.name,
      ours: head.role === 'millrace',
      figure,
      base: before.median,
      head: now.median,
      ratio: ratioOf,
      limitRatio: ratioOf.median / quotient(limitOf(headScenario, figure), limitOf(baseScenario, figure)),
      judgement: judge(figure, ratioOf),
    },
  ];
}

/** Nothing over nothing has not changed. */
function quotient(over: number, under: number): number {
  return over === under ? 1 : over / under;
}

/** The first row of the scenario that is a limit. */
function limitOf({ variants }: ScenarioReport, figure: FigureName): number {
  const limit = variants.find(({ role }) => role === 'limit');
  return limit === undefined ? Number.NaN : typicalOf(limit, figure).median;
}

function judge(figure: FigureName, { highest, lowest, median }: Spread): Judgement {
  if (median === 1) return 'same';
  // One round with failures is enough.
  if (figure !== 'failed' && lowest <= 1 && highest >= 1) return 'noise';
  const { better } = FIGURES[figure];
  if (better === 'neither') return 'same';
  return median > 1 === (better === 'more') ? 'better' : 'worse';
}

function regressionsOf(rows: readonly Row[], failAbove: number): string[] {
  return rows
    .filter((row) => row.ours && row.judgement === 'worse')
    .filter((row) => row.figure === 'failed' || worsening(row) > failAbove)
    .map((row) => `${row.scenario}, ${row.variant}: ${FIGURES[row.figure].label} ${ratio(row.ratio.median)}`);
}

/** How many times worse, whichever way the figure runs; where there is a limit, measured by it. */
function worsening({ figure, limitRatio, ratio: { median } }: Row): number {
  const measured = Number.isFinite(limitRatio) ? limitRatio : median;
  return FIGURES[figure].better === 'more' ? 1 / measured : measured;
}

export function renderComparison({ base, head, lost, regressions, rows, unlike, unmatched }: Comparison): string {
  const lines = [
    `base  ${machineLine(base.machine)}; ${base.machine.commit}`,
    `head  ${machineLine(head.machine)}; ${head.machine.commit}`,
    'ratio: head over base, medians (range of any two rounds); of limit: the same as shares of the raw limit',
  ];
  if (base.rounds === 1 && head.rounds === 1) lines.push('one round each: what is noise cannot be told');
  let scenario = '';
  for (const row of rows) {
    if (row.scenario !== scenario) lines.push('', row.scenario);
    scenario = row.scenario;
    lines.push(rowText(row));
  }
  if (rows.length === 0) lines.push('', 'nothing that both have measured');
  if (unlike.length > 0) lines.push('', 'not measured alike:', ...unlike.map((line) => `  ${line}`));
  if (unmatched.length > 0) lines.push('', `only in head: ${unmatched.join('; ')}`);
  if (lost.length > 0) lines.push('', `only in base: ${lost.join('; ')}`);
  if (regressions.length > 0) lines.push('', 'regressions:', ...regressions.map((line) => `  ${line}`));
  return `${lines.join('\n')}\n`;
}

function rowText({ base, figure, head, judgement, limitRatio, ratio: range, variant }: Row): string {
  const values = `${figureText(figure, base).padStart(8)} ${figureText(figure, head).padStart(8)}`;
  const ratios = `${ratio(range.median).padStart(5)} (${ratio(range.lowest)} to ${ratio(range.highest)})`;
  const ofLimit = Number.isFinite(limitRatio) ? ` of limit ${ratio(limitRatio)}` : '';
  const name = variant.slice(0, 30).padEnd(30);
  return `  ${name} ${FIGURES[figure].label.padEnd(9)} ${values}  ${ratios.padEnd(22)} ${judgement}${ofLimit}`;
}
