/**
 * A report as one page: no script, no file beside it, nothing fetched.
 *
 * Role: for people who compare. Per scenario: the table, throughput bars with the range of the rounds, latency by
 * percentile, latency over time. Series keep their colour through all charts of a scenario.
 */
import { barChart, percentileChart, timeChart } from './charts.ts';
import {
  type BenchReport,
  disturbedRounds,
  FIGURES,
  type ScenarioReport,
  typicalOf,
  type VariantReport,
} from './model.ts';
import { figureText, NOTHING, ratio } from './number-text.ts';
import { escapeText, STYLES, styleOf } from './svg.ts';
import { howRun, machineLine } from './table.ts';
import type { Verdict } from './targets.ts';

/** Told apart with common forms of colour blindness as far as a dozen can be; the dash of a line helps. */
const COLOURS = [
  '#4477aa',
  '#ee6677',
  '#228833',
  '#ccbb44',
  '#66ccee',
  '#aa3377',
  '#bb5500',
  '#009988',
  '#8866dd',
  '#777777',
  '#cc3311',
  '#33aa55',
  '#ee3377',
  '#0077bb',
];
const DASHES = ['none', '7 3', '2 3'];

const STYLE = `
:root { color-scheme: light dark; --text: #1a1c1e; --soft: #5c636a; --paper: #fff; --rule: #d9dde1; --good: #17733a; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e8ea; --soft: #9aa3ab; --paper: #14171a; --rule: #333a41; --good: #59c480; --bad: #ff8a80; }
}
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; background: var(--paper); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .5rem; } h3 { font-size: .9rem; margin: 1.2rem 0 .2rem; color: var(--soft); font-weight: 600; }
code { font-size: .9em; } p { margin: .3rem 0; } .soft { color: var(--soft); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: .2rem .6rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; color: var(--soft); } td.what { white-space: normal; }
.met { color: var(--good); } .missed { color: var(--bad); font-weight: 600; } .problem { color: var(--bad); }
svg { width: 100%; min-width: 36rem; height: auto; display: block; } .grid { stroke: var(--rule); } .tick, .name, .value { fill: var(--soft); font-size: 11px; } .value, .name { fill: var(--text); }
.line { fill: none; stroke-width: 1.8; } .whisker { stroke: var(--text); stroke-width: 1; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1rem; padding: 0; margin: .3rem 0; list-style: none; font-size: .85rem; } .key i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; margin-right: .35rem; vertical-align: -1px; }
ul.notes { color: var(--soft); font-size: .9rem; padding-left: 1.2rem; }
${Array.from({ length: STYLES }, (_, style) => seriesStyle(style)).join('\n')}
`;

function seriesStyle(style: number): string {
  const colour = COLOURS[style % COLOURS.length] ?? '';
  const dash = DASHES[Math.floor(style / 5) % DASHES.length] ?? 'none';
  return `.line.s${style} { stroke: ${colour}; stroke-dasharray: ${dash}; } .bar.s${style} { fill: ${colour}; } .key .s${style} { background: ${colour}; }`;
}

export function renderHtml(report: BenchReport, verdicts: readonly Verdict[]): string {
  const { command, interrupted, machine, notes, rounds } = report;
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>millrace bench, ${escapeText(machine.at.slice(0, 10))}</title><style>${STYLE}</style></head><body>
<h1>millrace bench</h1>
<p><code>${escapeText(command)}</code></p>
<p class="soft">${escapeText(machineLine(machine))}<br>millrace ${escapeText(machine.commit)}; front end ${escapeText(machine.frontEnd)}<br>${escapeText(packages.join(', '))}<br>Medians of up to ${rounds} ${rounds === 1 ? 'round' : 'rounds'}, with their range${howRun(report)}.</p>
${notes.map((note) => `<p class="problem">${escapeText(note)}.</p>`).join('\n')}
${interrupted ? '<p class="problem">Interrupted: this is what had been measured.</p>' : ''}
${verdicts.length === 0 ? '' : targetTable(verdicts)}
${report.scenarios.map(scenarioSection).join('\n')}
</body></html>
`;
}

function targetTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ outcome, target, value, why }) => {
    const text = (one: number): string => (target.over === '' ? figureText(target.figure, one) : ratio(one));
    const bound = `${target.atLeast === null ? '≤' : '≥'} ${text(target.atLeast ?? target.atMost ?? Number.NaN)}`;
    const found = Number.isNaN(value.median)
      ? why
      : `${text(value.median)} <span class="soft">(${text(value.lowest)} to ${text(value.highest)})${why === '' ? '' : `; ${escapeText(why)}`}</span>`;
    const style = outcome === 'not judged' ? 'soft' : outcome;
    return `<tr><td class="what">${escapeText(target.what)}</td><td>${bound}</td><td>${found}</td><td class="${style}">${outcome}</td></tr>`;
  });
  return `<h2>Targets</h2><div class="wide"><table><tr><th>what</th><th>target</th><th>median (range of rounds)</th><th></th></tr>${rows.join('')}</table></div>`;
}

function scenarioSection(scenario: ScenarioReport): string {
  const { cannotShow, columns, name, published, skipped, title, variants } = scenario;
  const [first] = columns;
  const charts: readonly (readonly [heading: string, chart: string])[] = [
    [first === undefined ? '' : FIGURES[first].label, first === undefined ? '' : barChart(variants, first)],
    ['Latency by percentile', percentileChart(variants)],
    ['P99 over time, one round (wrk keeps none)', timeChart(variants)],
  ];
  const notes = [
    ...variants.flatMap((variant) => problemsOf(variant)),
    ...variants.flatMap(disturbedRounds).map((line) => `Disturbed: ${line}`),
    ...skipped.map((line) => `Skipped: ${line}`),
    ...cannotShow.map((line) => `Does not show: ${line}`),
    ...published.map((line) => `Published elsewhere, not measured here: ${line}`),
  ];
  return `<section><h2>${escapeText(name)}</h2><p>${escapeText(title)}</p>
<div class="wide">${figureTable(scenario)}</div>
<ul class="key">${variants.map((variant, series) => `<li><i class="s${styleOf(series)}"></i>${escapeText(variant.name)}</li>`).join('')}</ul>
${charts.map(([heading, chart]) => (chart === '' ? '' : `<h3>${escapeText(heading)}</h3><div class="wide">${chart}</div>`)).join('\n')}
<ul class="notes">${notes.map((note) => `<li>${escapeText(note)}</li>`).join('')}</ul></section>`;
}

function problemsOf({ failures, name, rounds }: VariantReport): string[] {
  const problem = rounds.find((sample) => sample.problem !== '')?.problem;
  return [...failures, ...(problem === undefined ? [] : [problem])].map((text) => `${name}: ${text}`);
}

function figureTable({ columns, variants }: ScenarioReport): string {
  const head = columns.map((figure) => `<th>${escapeText(FIGURES[figure].label)}</th>`);
  const rows = variants.map((variant) => {
    const cells = columns.map((figure) => {
      const { median } = typicalOf(variant, figure);
      return `<td>${Number.isNaN(median) ? NOTHING : figureText(figure, median)}</td>`;
    });
    const client = variant.rounds.find((sample) => sample.client !== '')?.client ?? '';
    return `<tr><td>${escapeText(variant.name)}</td>${cells.join('')}<td class="soft">${escapeText(client)}</td></tr>`;
  });
  return `<table><tr><th></th>${head.join('')}<th>client</th></tr>${rows.join('')}</table>`;
}
