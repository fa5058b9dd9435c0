/**
 * `millrace check`: the configuration as it would be used, each value with its origin, the memory that the limits can
 * add up to, and the streams it declares. Secrets are not shown.
 */
import { valueAt } from '../config/load.ts';
import { type BudgetLine, budgetNote, memoryBudget } from '../config/memory-budget.ts';
import { OPTIONS, type Option } from '../config/options.ts';
import { ConfigError, DEFAULT_ORIGIN, HIDDEN, isHidden, type Origin, originLabel, shown } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import { checkStreams, type StreamSummary, streamText } from './check-streams.ts';
import type { CommandLine } from './command-line.ts';
import { type Configured, configure } from './configure.ts';
import { EXIT, exitOf, type Terminal, writeProblems } from './terminal.ts';

const MIB = 1024 * 1024;

export async function check(line: CommandLine, terminal: Terminal): Promise<number> {
  const asJson = line.own.get('json') === true;
  try {
    const configured = await configure(line, terminal);
    const streams = await checkStreams(configured, terminal.cwd);
    terminal.out(asJson ? reportJson(configured, streams) : reportText(configured, streams));
    return EXIT.OK;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (asJson) terminal.out(`${JSON.stringify({ ok: false, problems: error.problems }, null, 2)}\n`);
    else writeProblems(terminal, error.problems);
    return exitOf(error);
  }
}

/** What stands for `auto` and for names left empty. */
function automatic(settings: Settings): ReadonlyMap<string, string | number> {
  return new Map<string, string | number>([
    ['workers', settings.workers],
    ['maxConcurrent', settings.maxConcurrent],
    ['maxMessageBytes', settings.limits.messageBytesMax],
    ['maxResidentMib', settings.residentMiBMax],
    ['server.version', settings.server.version],
    ['nodeId', 'random'],
    ['stateSecret', 'random'],
  ]);
}

function placeOf(option: Option, origin: Origin): string {
  if (origin.kind === 'default') return 'default';
  return origin.kind === 'file' ? origin.file : originLabel(option, origin);
}

interface Row {
  readonly option: Option;
  readonly value: unknown;
  /** What stands for the value, where something does. */
  readonly effective: string | number | undefined;
  readonly place: string;
}

function rowsOf({ loaded, settings }: Configured): Row[] {
  const instead = automatic(settings);
  return OPTIONS.map((option) => {
    const value = valueAt(loaded.config, option.path);
    const effective = value === 'auto' || value === '' ? instead.get(option.name) : undefined;
    const place = placeOf(option, loaded.origins.get(option.name) ?? DEFAULT_ORIGIN);
    return { option, value, effective, place };
  });
}

function valueText({ option, value, effective }: Row): string {
  if (effective === undefined) return shown(option, value);
  return `${value === '' ? '""' : shown(option, value)} (${effective})`;
}

function reportText(configured: Configured, streams: readonly StreamSummary[]): string {
  const rows = rowsOf(configured).map((row) => ({ name: row.option.name, text: valueText(row), place: row.place }));
  const nameWidth = Math.max(...rows.map(({ name }) => name.length));
  const valueWidth = Math.max(...rows.map(({ text }) => text.length).filter((length) => length <= 40));
  const lines = rows.map(({ name, text, place }) => `${name.padEnd(nameWidth)}  ${text.padEnd(valueWidth)}  ${place}`);
  const budget = memoryBudget(configured.settings, configured.machine.memoryMiB);
  const note = budgetNote(budget);
  const whatWidth = Math.max(...budget.lines.map(({ what }) => what.length));
  return [
    configured.loaded.file === null ? 'no configuration file' : `configuration file ${configured.loaded.file}`,
    '',
    ...lines,
    '',
    `memory reserved ${budget.reservedMiB} MiB, all limits at once ${budget.peakMiB} MiB, machine ${budget.machineMiB} MiB`,
    ...budget.lines.map((line) => budgetText(line, whatWidth)),
    ...(note === null ? [] : [`note: ${note}`]),
    ...streams.map(streamText),
    'ok',
    '',
  ].join('\n');
}

function budgetText(line: BudgetLine, whatWidth: number): string {
  const peak = `${Math.ceil(line.peakBytes / MIB)} MiB`;
  return `  ${line.what.padEnd(whatWidth)}${peak.padStart(12)}${line.setBy === '' ? '' : `  (${line.setBy})`}`;
}

function reportJson(configured: Configured, streams: readonly StreamSummary[]): string {
  const { loaded, settings, machine } = configured;
  const options = rowsOf(configured).map(({ option, value, effective, place }) => {
    const visible = isHidden(option, value) ? HIDDEN : value;
    return [option.name, { value: visible, effective, source: place }];
  });
  const memory = memoryBudget(settings, machine.memoryMiB);
  const report = {
    ok: true,
    file: loaded.file,
    options: Object.fromEntries(options),
    memory,
    streams: streams.map(({ name, parts }) => ({ name, ...parts })),
  };
  return `${JSON.stringify(report, null, 2)}\n`;
}
