/**
 * The three charts of a scenario: throughput bars, latency by percentile, latency over time.
 *
 * Role: figures to SVG. The percentile axis is the usual one of HdrHistogram plots: each nine gets the same width.
 * Latencies are on a log scale in both curves, or the limit and the slowest peer could not be told apart.
 */
import { CURVE_PERCENTILES, highestMeaningful } from '../measure/percentiles.ts';
import { medianOf, spreadOf } from '../measure/statistics.ts';
import { FIGURES, type FigureName, roundsOf, type VariantReport } from './model.ts';
import { figureText, microseconds } from './number-text.ts';
import {
  axes,
  decades,
  escapeText,
  type Frame,
  line,
  linear,
  logarithmic,
  px,
  styleOf,
  svg,
  type Tick,
} from './svg.ts';

const CURVES: Frame = { width: 760, height: 320, left: 64, right: 30, top: 12, bottom: 28 };
const NINES = [0, 50, 90, 99, 99.9, 99.99, 99.999];
const BAR_PX = 22;
/** What fits beside a bar. */
const NAME_CHARS_MAX = 34;

export function barChart(variants: readonly VariantReport[], figure: FigureName): string {
  const bars = variants.map((variant, series) => {
    return { name: variant.name, series, spread: spreadOf(roundsOf(variant, figure)) };
  });
  const most = Math.max(0, ...bars.map(({ spread }) => spread.highest).filter((value) => !Number.isNaN(value)));
  if (most === 0) return '';
  const frame: Frame = { ...CURVES, height: bars.length * BAR_PX + 12, left: 230, right: 90, top: 6, bottom: 6 };
  const x = linear(0, most, frame.left, frame.width - frame.right);
  const rows = bars.map(({ name, series, spread }, index) => {
    const y = frame.top + index * BAR_PX;
    const label = `<text class="name" x="${frame.left - 8}" y="${y + 14}" text-anchor="end">${escapeText(shortened(name))}<title>${escapeText(name)}</title></text>`;
    if (Number.isNaN(spread.median)) return label;
    const end = x(spread.median);
    const width = Math.max(1, end - frame.left);
    const whisker = `<line class="whisker" x1="${px(x(spread.lowest))}" x2="${px(x(spread.highest))}" y1="${y + 9}" y2="${y + 9}"/>`;
    const text = x(spread.highest) + 6;
    return `${label}<rect class="bar s${styleOf(series)}" x="${frame.left}" y="${y + 2}" width="${px(width)}" height="14" rx="2"/>${whisker}<text class="value" x="${px(text)}" y="${y + 14}">${figureText(figure, spread.median)}</text>`;
  });
  return svg(frame, `${FIGURES[figure].label} of each variant`, rows.join(''));
}

/** Names differ at either end. */
function shortened(name: string): string {
  if (name.length <= NAME_CHARS_MAX) return name;
  return `${name.slice(0, NAME_CHARS_MAX / 2)}…${name.slice(1 - NAME_CHARS_MAX / 2)}`;
}

/** Point by point the median of the rounds. */
function curveOf(variant: VariantReport): { readonly curveUs: number[]; readonly count: number } {
  const rounds = variant.rounds.filter(({ curveUs }) => curveUs.length === CURVE_PERCENTILES.length);
  if (rounds.length === 0) return { curveUs: [], count: 0 };
  return {
    curveUs: CURVE_PERCENTILES.map((_, at) => medianOf(rounds.map(({ curveUs }) => curveUs[at] ?? Number.NaN))),
    count: medianOf(rounds.map(({ curveCount }) => curveCount)),
  };
}

const nines = (percentile: number): number => -Math.log10(1 - percentile / 100);

export function percentileChart(variants: readonly VariantReport[]): string {
  const curves = variants.map((variant, series) => ({ name: variant.name, series, ...curveOf(variant) }));
  const drawn = curves.filter(({ count }) => count > 0);
  if (drawn.length === 0) return '';
  const highest = Math.max(...drawn.map(({ count }) => highestMeaningful(count)));
  const x = linear(0, nines(Math.min(highest, 99.9999)), CURVES.left, CURVES.width - CURVES.right);
  const { least, most } = decades(drawn.flatMap(({ curveUs }) => curveUs));
  const y = logarithmic(least, most, CURVES.height - CURVES.bottom, CURVES.top);
  const lines = drawn.map(({ count, curveUs, name, series }) => {
    const points = curveUs.flatMap((us, at): [number, number][] => {
      const percentile = CURVE_PERCENTILES[at] ?? 0;
      return percentile <= highestMeaningful(count) && us > 0 ? [[x(nines(percentile)), y(us)]] : [];
    });
    return line(points, series, name);
  });
  const xs = NINES.filter((percentile) => percentile <= highest).map((percentile): Tick => {
    return { at: x(nines(percentile)), label: `${percentile} %` };
  });
  return svg(CURVES, 'latency by percentile', axes(CURVES, xs, latencyTicks(least, most, y)) + lines.join(''));
}

/** P99 of each interval of one round: the last that has any. */
export function timeChart(variants: readonly VariantReport[]): string {
  const drawn = variants.flatMap((variant, series) => {
    const round = variant.rounds.findLast(({ intervals }) => intervals.some(({ count }) => count > 0));
    return round === undefined ? [] : [{ name: variant.name, series, intervals: round.intervals }];
  });
  if (drawn.length === 0) return '';
  const endMs = Math.max(...drawn.flatMap(({ intervals }) => intervals.map(({ atMs }) => atMs)));
  const x = linear(0, endMs, CURVES.left, CURVES.width - CURVES.right);
  const { least, most } = decades(drawn.flatMap(({ intervals }) => intervals.map(({ p99Us }) => p99Us)));
  const y = logarithmic(least, most, CURVES.height - CURVES.bottom, CURVES.top);
  const lines = drawn.map(({ intervals, name, series }) => {
    const points = intervals.flatMap(({ atMs, p99Us }): [number, number][] => (p99Us > 0 ? [[x(atMs), y(p99Us)]] : []));
    return line(points, series, name);
  });
  const xs = [0, 0.25, 0.5, 0.75, 1].map((share): Tick => {
    return { at: x(endMs * share), label: `${((endMs * share) / 1000).toFixed(2)} s` };
  });
  return svg(CURVES, 'P99 over time', axes(CURVES, xs, latencyTicks(least, most, y)) + lines.join(''));
}

function latencyTicks(least: number, most: number, y: (us: number) => number): Tick[] {
  const ticks: Tick[] = [];
  for (let us = least; us <= most * 1.0001; us *= 10) ticks.push({ at: y(us), label: microseconds(Math.round(us)) });
  return ticks;
}
