/**
 * What a person sees while a run goes on: one line per round of a variant, on stderr.
 *
 * Role: on a terminal the line appears when the round begins and is completed when it ends; elsewhere only whole lines
 * are written.
 */

import { FIGURES, type FigureName, type Sample, type ScenarioReport } from './report/model.ts';
import { figureText } from './report/number-text.ts';
import type { Scenario, Variant } from './scenarios/scenario.ts';
import type { Progress } from './suite.ts';

const SHOWN: readonly FigureName[] = [
  'perSecond',
  'p50Us',
  'p99Us',
  'goodput10Share',
  'residentKiBEach',
  'failed',
  'refused',
];
const NAME_WIDTH = 34;

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export class ProgressLines implements Progress {
  readonly #out: Output;
  readonly #scenarios: number;
  readonly #startMs = performance.now();
  #scenario = 0;
  #rounds = 0;

  constructor(out: Output, scenarios: number) {
    this.#out = out;
    this.#scenarios = scenarios;
  }

  scenarioBegins(scenario: Scenario, rounds: number): void {
    this.#scenario++;
    this.#rounds = rounds;
    this.#out.write(`[${this.#scenario}/${this.#scenarios}] ${scenario.name}: ${scenario.title}\n`);
  }

  roundBegins(_scenario: Scenario, variant: Variant, round: number): void {
    if (this.#out.isTTY === true) this.#out.write(`${this.#head(variant, round)} …`);
  }

  roundEnds(_scenario: Scenario, variant: Variant, round: number, sample: Sample | Error): void {
    const start = this.#out.isTTY === true ? '\r\u001b[K' : '';
    this.#out.write(
      `${start}${this.#head(variant, round)} ${sample instanceof Error ? sample.message : told(sample)}\n`,
    );
  }

  scenarioEnds(report: ScenarioReport): void {
    for (const line of report.skipped) this.#out.write(`  skipped: ${line}\n`);
  }

  end(): void {
    this.#out.write(`done in ${((performance.now() - this.#startMs) / 1000).toFixed(0)} s\n\n`);
  }

  #head(variant: Variant, round: number): string {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(0);
    return `  ${seconds.padStart(4)} s  round ${round + 1}/${this.#rounds}  ${variant.name.padEnd(NAME_WIDTH)}`;
  }
}

function told(sample: Sample): string {
  const figures = SHOWN.flatMap((name) => {
    const value = sample.figures[name];
    return value === undefined ? [] : [`${FIGURES[name].label} ${figureText(name, value)}`];
  });
  return figures.join('  ');
}
