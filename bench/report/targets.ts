/**
 * Targets: read from `bench/targets.json`, held against a report.
 *
 * Role: pass or fail. A target names a figure of a variant, alone or over the same figure of another one in the same
 * round; the median of the rounds decides, and the spread is stated beside it. A target whose variants were not
 * measured, or whose conditions this machine does not meet, is not judged and says why: it never counts as met.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../measure/machine.ts';
import { type Spread, spreadOf } from '../measure/statistics.ts';
import { type BenchReport, type FigureName, isFigureName, roundsOf, type VariantReport } from './model.ts';

export interface Target {
  readonly scenario: string;
  readonly what: string;
  readonly variant: string;
  readonly figure: FigureName;
  /** The other variant, for a ratio; empty: the figure itself. */
  readonly over: string;
  readonly atLeast: number | null;
  readonly atMost: number | null;
  /** Fewer cores: not judged. */
  readonly coresMin: number;
}

export interface Verdict {
  readonly target: Target;
  readonly outcome: 'met' | 'missed' | 'not judged';
  /** Of the figure, or of the ratio. */
  readonly value: Spread;
  readonly why: string;
}

/** A ratio of rates below this share of its target is no noise of a short run on a busy machine. */
const GROSS_SHARE = 0.4;
/** Nor is a time per event so many times its target ratio: a short run measures code that is not compiled yet, too. */
const GROSS_TIMES = 4;

/** Missed by so much that something is broken. Only ratios of rates, and of times per event: they hold on any machine. */
export function isGross({ outcome, target, value }: Verdict): boolean {
  const { atLeast, atMost, figure, over } = target;
  if (outcome !== 'missed' || over === '') return false;
  if (figure === 'taskNsPerEvent' && atMost !== null) return value.median > GROSS_TIMES * atMost;
  return figure === 'perSecond' && atLeast !== null && value.median < GROSS_SHARE * atLeast;
}

/** Throws with the entry that is wrong. */
export function readTargets(file: string = join(projectFolder(), 'bench', 'targets.json')): Target[] {
  if (!existsSync(file)) throw new Error(`no targets: ${file} does not exist`);
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'));
  if (!Array.isArray(parsed)) throw new Error(`${file}: not a list of targets`);
  return parsed.map((entry, index) => readTarget(entry, `${file}: target ${index + 1}`));
}

function readTarget(entry: unknown, where: string): Target {
  if (typeof entry !== 'object' || entry === null) throw new Error(`${where} is not an object`);
  const given = entry as Record<string, unknown>;
  const text = (name: string, fallback?: string): string => {
    const value = given[name] ?? fallback;
    if (typeof value !== 'string') throw new Error(`${where}: ${name} is ${JSON.stringify(value)}, not text`);
    return value;
  };
  const number = (name: string): number | null => {
    const value = given[name];
    if (value !== undefined && typeof value !== 'number') throw new Error(`${where}: ${name} is not a number`);
    return value ?? null;
  };
  const figure = text('figure');
  if (!isFigureName(figure)) throw new Error(`${where}: there is no figure ${figure}`);
  const atLeast = number('atLeast');
  const atMost = number('atMost');
  if ((atLeast === null) === (atMost === null)) throw new Error(`${where}: give atLeast or atMost`);
  return {
    scenario: text('scenario'),
    what: text('what'),
    variant: text('variant'),
    figure,
    over: text('over', ''),
    atLeast,
    atMost,
    coresMin: number('coresMin') ?? 0,
  };
}

/** Targets of scenarios that were not asked for are left out. */
export function judge(targets: readonly Target[], report: BenchReport): Verdict[] {
  return targets.flatMap((target) => {
    const scenario = report.scenarios.find(({ name }) => name === target.scenario);
    return scenario === undefined ? [] : [judgeOne(target, scenario.variants, report.machine.cores)];
  });
}

function judgeOne(target: Target, variants: readonly VariantReport[], cores: number): Verdict {
  const values = ratiosOf(target, variants);
  const value = spreadOf(values);
  const unjudged = (why: string): Verdict => ({ target, outcome: 'not judged', value, why });
  if (Number.isNaN(value.median)) return unjudged('not measured');
  if (cores < target.coresMin) return unjudged(`needs ${target.coresMin} cores, this machine has ${cores}`);
  const met =
    (target.atLeast === null || value.median >= target.atLeast) &&
    (target.atMost === null || value.median <= target.atMost);
  return { target, outcome: met ? 'met' : 'missed', value, why: '' };
}

/** Round by round: what disturbed a round disturbed both. */
function ratiosOf(target: Target, variants: readonly VariantReport[]): number[] {
  const ours = variants.find(({ name }) => name === target.variant);
  if (ours === undefined) return [];
  const values = roundsOf(ours, target.figure);
  if (target.over === '') return values;
  const other = variants.find(({ name }) => name === target.over);
  if (other === undefined) return [];
  const under = roundsOf(other, target.figure);
  return values.map((value, round) => value / (under[round] ?? Number.NaN));
}
