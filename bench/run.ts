/**
 * `npm run bench`: what was asked for, measured, shown and written down.
 *
 * Role: the process around the suite. The table goes to stdout, progress to stderr. The first SIGINT or SIGTERM ends the
 * run and reports what there is; the second leaves at once. Exit code: 0 all well; 1 requests failed, the target's too, or a variant could
 * not be measured; 2 a target was missed in a full run, or grossly with --gate; 64 the command line is wrong; 130 it was
 * ended by a signal.
 */
import { accessSync, constants, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { busyWarning, describeMachine } from './measure/machine.ts';
import { readTree, treeUnreadable } from './measure/process-tree.ts';
import { type BenchOptions, HELP, parseOptions, shownCommand } from './options.ts';
import { ProgressLines } from './progress.ts';
import { renderHtml } from './report/html.ts';
import { encodeReport } from './report/json.ts';
import { type BenchReport, REPORT_FORMAT } from './report/model.ts';
import { renderReport } from './report/table.ts';
import { isGross, judge, readTargets, type Verdict } from './report/targets.ts';
import { scenarioNames, suiteScenarios } from './scenarios/all.ts';
import type { Scenario } from './scenarios/scenario.ts';
import { targetScenario } from './scenarios/target.ts';
import { useServerNodeFlags } from './servers/commands.ts';
import { endAll } from './servers/server-process.ts';
import { runSuite } from './suite.ts';

/** Who ends a run may tell this process, and its group. */
const SAME_SIGNAL_MS = 300;

const EXIT = { OK: 0, ERRORS: 1, TARGETS: 2, USAGE: 64, INTERRUPTED: 130 } as const;

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseOptions(args, (path) => readFileSync(path, 'utf8'));
  if ('problems' in parsed) return usage(parsed.problems);
  const { options } = parsed;
  if (options.help) {
    process.stdout.write(`${HELP}\nScenarios: ${scenarioNames().join(', ')}\n`);
    return EXIT.OK;
  }
  const { plan, target } = options;
  const scenarios = target === null ? suiteScenarios(options.scenarios) : [targetScenario(target, plan.connections)];
  if (typeof scenarios === 'string') return usage([scenarios]);
  const impossible = [...unwritableIn({ json: options.jsonFile, html: options.htmlFile }), ...unknownProcess(options)];
  if (impossible.length > 0) return usage(impossible);
  useServerNodeFlags(options.serverNodeFlags);
  const report = await bench(scenarios, options, args, interruption());
  const verdicts = options.target === null ? judge(readTargets(), report) : [];
  const unwritten = write(report, verdicts, options);
  for (const problem of unwritten) process.stderr.write(`bench: ${problem}\n`);
  if (!report.interrupted && report.scenarios.every(({ variants }) => variants.length === 0)) {
    return usage([`--variant ${options.plan.variants.join()}: nothing has that in its name`]);
  }
  return unwritten.length > 0 ? EXIT.ERRORS : exitCode(report, verdicts, options);
}

function usage(problems: readonly string[]): number {
  for (const problem of problems) process.stderr.write(`bench: ${problem}\n`);
  process.stderr.write('bench: see npm run bench -- --help\n');
  return EXIT.USAGE;
}

/** Told before the run: minutes of measuring are not to end in a file that cannot be written. */
function unwritableIn(files: Readonly<Record<string, string>>): string[] {
  return Object.entries(files).flatMap(([flag, file]) => {
    if (file === '') return [];
    try {
      const found = statSync(file, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) return [`--${flag} ${file}: cannot be written (EISDIR)`];
      accessSync(found === undefined ? dirname(resolve(file)) : file, constants.W_OK);
      return [];
    } catch (error) {
      return [`--${flag} ${file}: cannot be written (${(error as NodeJS.ErrnoException).code})`];
    }
  });
}

function unknownProcess({ target }: BenchOptions): string[] {
  const pid = target?.pid ?? 0;
  if (pid === 0 || treeUnreadable() !== null || readTree(pid) !== null) return [];
  return [`--pid ${pid}: there is no such process`];
}

async function bench(
  scenarios: readonly Scenario[],
  options: BenchOptions,
  args: readonly string[],
  stopped: AbortSignal,
): Promise<BenchReport> {
  const machine = describeMachine();
  const notes = [busyWarning(machine), treeUnreadable()].filter((note) => note !== null);
  const progress = new ProgressLines(process.stderr, scenarios.length);
  const reports = await runSuite(scenarios, options.plan, stopped, progress);
  progress.end();
  return {
    format: REPORT_FORMAT,
    command: shownCommand(args),
    machine,
    rounds: options.plan.rounds,
    interrupted: stopped.aborted,
    notes,
    scenarios: reports,
  };
}

function interruption(): AbortSignal {
  const stop = new AbortController();
  let firstMs = 0;
  const onSignal = (): void => {
    if (stop.signal.aborted) {
      if (performance.now() - firstMs < SAME_SIGNAL_MS) return;
      endAll();
      process.exit(EXIT.INTERRUPTED);
    }
    process.stderr.write('\nbench: stopping; once more to leave at once\n');
    firstMs = performance.now();
    stop.abort();
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('exit', endAll);
  return stop.signal;
}

/** What could not be written: a disk may have become full meanwhile, and the other file is to be there all the same. */
function write(report: BenchReport, verdicts: readonly Verdict[], options: BenchOptions): string[] {
  process.stdout.write(renderReport(report, verdicts, process.stdout.columns ?? 100));
  const files: readonly (readonly [file: string, text: () => string])[] = [
    [options.jsonFile, () => encodeReport(report, verdicts)],
    [options.htmlFile, () => renderHtml(report, verdicts)],
  ];
  return files.flatMap(([file, text]) => {
    if (file === '') return [];
    try {
      writeFileSync(file, text());
      return [];
    } catch (error) {
      return [`${file}: ${error instanceof Error ? error.message : String(error)}`];
    }
  });
}

function exitCode(report: BenchReport, verdicts: readonly Verdict[], options: BenchOptions): number {
  if (report.interrupted) return EXIT.INTERRUPTED;
  const ours = report.scenarios.flatMap(({ variants }) => variants).filter(({ role }) => role === 'millrace');
  const failed = ours.some(({ rounds }) => rounds.some(({ figures }) => (figures.failed ?? 0) > 0));
  const unmeasured = report.scenarios.some(({ variants }) => variants.some(({ failures }) => failures.length > 0));
  if (failed || unmeasured) return EXIT.ERRORS;
  if (options.gate) return gateCode(verdicts);
  const missed = verdicts.some(({ outcome }) => outcome === 'missed');
  return missed && !options.plan.quick ? EXIT.TARGETS : EXIT.OK;
}

function gateCode(verdicts: readonly Verdict[]): number {
  const gross = verdicts.filter(isGross);
  for (const { target, value } of gross) {
    process.stderr.write(`bench: gross regression: ${target.what} is ${value.median.toFixed(2)}\n`);
  }
  return gross.length > 0 ? EXIT.TARGETS : EXIT.OK;
}

process.exitCode = await main(process.argv.slice(2));
