/**
 * A report as a JSON file, and back.
 *
 * Role: JSON has no NaN; what was not measured is left out or null, and read as NaN again.
 */
import { type BenchReport, REPORT_FORMAT, type Sample } from './model.ts';
import type { Verdict } from './targets.ts';

export function encodeReport(report: BenchReport, verdicts: readonly Verdict[]): string {
  const targets = verdicts.map(({ outcome, target, value, why }) => ({ ...target, outcome, value, why }));
  return `${JSON.stringify({ ...report, targets }, null, 1)}\n`;
}

/** Throws when the file is no report, or one of another format. */
export function decodeReport(text: string, file: string): BenchReport {
  const parsed = parsedJson(text, file);
  if (!isObject(parsed) || !('format' in parsed)) throw new Error(`${file} is no report of npm run bench`);
  if (parsed['format'] !== REPORT_FORMAT) {
    throw new Error(`${file} has format ${String(parsed['format'])}; this version reads ${REPORT_FORMAT}`);
  }
  if (!isReport(parsed)) throw new Error(`${file} is no whole report of npm run bench`);
  const report = parsed;
  return {
    ...report,
    scenarios: report.scenarios.map((scenario) => ({
      ...scenario,
      variants: scenario.variants.map((variant) => ({ ...variant, rounds: variant.rounds.map(withNaN) })),
    })),
  };
}

type Json = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is Json => typeof value === 'object' && value !== null;
const isListOf = (value: unknown, isOne: (one: Json) => boolean): boolean =>
  Array.isArray(value) && value.every((one) => isObject(one) && isOne(one));

/** What readers of a report go through; what stands in it is this program's own. */
function isReport(value: Json): value is Json & BenchReport {
  const isRound = (round: Json): boolean =>
    isObject(round['figures']) && Array.isArray(round['curveUs']) && isListOf(round['intervals'], () => true);
  const isVariant = ({ rounds }: Json): boolean => isListOf(rounds, isRound);
  return isObject(value['machine']) && isListOf(value['scenarios'], ({ variants }) => isListOf(variants, isVariant));
}

function parsedJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

function withNaN(sample: Sample): Sample {
  const orNaN = (value: number | null): number => value ?? Number.NaN;
  return {
    ...sample,
    curveUs: sample.curveUs.map(orNaN),
    intervals: sample.intervals.map((interval) => ({
      ...interval,
      p50Us: orNaN(interval.p50Us),
      p99Us: orNaN(interval.p99Us),
    })),
  };
}
