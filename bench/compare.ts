/**
 * `npm run bench:compare BASE.json HEAD.json`: what became better or worse, and whether that is more than noise.
 *
 * Role: ratios only. Two runs on machines of different speed differ in every absolute figure, so where a scenario has the
 * raw limit in the same run, figures are compared as shares of it as well. A difference is real when no round of one run
 * lies within the rounds of the other. Exit code: 1 when a millrace figure is worse by more than `--fail-above` (ratio)
 * beyond the noise, or requests failed that did not before; 64 when the command line is wrong, or a file is no report.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { compareReports, renderComparison } from './report/comparison.ts';
import { decodeReport } from './report/json.ts';

const USAGE = 'npm run bench:compare BASE.json HEAD.json [-- --fail-above 1.5]\n';
const EXIT_USAGE = 64;

function main(args: readonly string[]): number {
  try {
    return compare(args);
  } catch (error) {
    process.stderr.write(`bench:compare: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return EXIT_USAGE;
  }
}

/** Throws when the command line is wrong, or a file is no report. */
function compare(args: readonly string[]): number {
  const { positionals, values } = parseArgs({
    args: [...args],
    options: { 'fail-above': { type: 'string' } },
    allowPositionals: true,
  });
  const [baseFile, headFile, further] = positionals;
  const { 'fail-above': given } = values;
  const failAbove = given === undefined ? Number.POSITIVE_INFINITY : Number(given);
  if (!(failAbove >= 1)) throw new Error(`--fail-above ${given}: a number from 1 up`);
  if (baseFile === undefined || headFile === undefined || further !== undefined) {
    throw new Error(`give two files, not ${positionals.length}`);
  }
  const base = decodeReport(readFileSync(baseFile, 'utf8'), baseFile);
  const head = decodeReport(readFileSync(headFile, 'utf8'), headFile);
  const comparison = compareReports(base, head, failAbove);
  process.stdout.write(renderComparison(comparison));
  return comparison.regressions.length === 0 ? 0 : 1;
}

process.exitCode = main(process.argv.slice(2));
