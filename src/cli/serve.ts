/**
 * `millrace serve`: from settings to a listening server, and from a signal to a clean end.
 *
 * The ready line on stdout is read by scripts and is printed once, when requests are served. Draining has the delay for
 * balancers and the grace period; if it is not over a little after that, the process leaves anyway and says so.
 */
import { budgetNote, memoryBudget } from '../config/memory-budget.ts';
import { ConfigError } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import { createLog } from '../observe/log.ts';
import type { Log } from '../observe/port.ts';
import { createRuntimeFrom, type Runtime } from '../runtime/create-runtime.ts';
import { DefinitionProblem } from '../streams/define/definition-problem.ts';
import type { CommandLine } from './command-line.ts';
import { configure } from './configure.ts';
import { listenForStop } from './signals.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

/** Past the grace period, for sockets to close and logs to be written. */
const LAST_MS = 2000;

export async function serve(line: CommandLine, terminal: Terminal): Promise<number> {
  const { settings, machine } = await configure(line, terminal);
  const log = createLog(settings.logLevel, { node: settings.nodeId });
  const note = budgetNote(memoryBudget(settings, machine.memoryMiB));
  if (note !== null) log.info({}, note);
  const stopping = listenForStop(log);
  const runtime = await started(settings, log, terminal);
  if (runtime === null) return EXIT.FAILED;
  const url = await listening(runtime, settings, terminal);
  if (url === null) {
    await runtime.close(0);
    return EXIT.FAILED;
  }
  terminal.out(`millrace ready ${url}\n`);
  const signal = await stopping.asked;
  const { drainDelayMs, shutdownGraceMs } = settings;
  log.info({ signal, delayMs: drainDelayMs, graceMs: shutdownGraceMs }, 'draining');
  return closed(runtime, shutdownGraceMs, log);
}

/**
 * Null when it cannot start, for a broken tool module for example, which is reported in one line, with the stack at
 * level debug. Rejects with `ConfigError` when a stream is declared wrongly.
 */
export async function started(settings: Settings, log: Log, terminal: Terminal): Promise<Runtime | null> {
  try {
    return await createRuntimeFrom(settings, log);
  } catch (error) {
    log.debug({ error }, 'cannot start');
    if (error instanceof ConfigError) throw error;
    if (error instanceof DefinitionProblem) throw new ConfigError(error.lines);
    writeProblems(terminal, [`cannot start: ${error instanceof Error ? error.message : String(error)}`]);
    return null;
  }
}

async function listening(runtime: Runtime, settings: Settings, terminal: Terminal): Promise<string | null> {
  try {
    return (await runtime.listen()).url;
  } catch (error) {
    const { cause = error } = error as Error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    writeProblems(terminal, [`cannot listen on ${settings.host} port ${settings.port}: ${reason}`]);
    return null;
  }
}

/** The exit code of a drain. `drainMs`: for the work in flight; what is kept on disk or in Redis has `graceMs` all the same. */
export async function closed(runtime: Runtime, graceMs: number, log: Log, drainMs = graceMs): Promise<number> {
  const late = setTimeout(
    () => {
      log.error({ graceMs }, 'the drain did not end within the grace period: leaving');
      process.exit(EXIT.FAILED);
    },
    runtime.settings.drainDelayMs + graceMs + LAST_MS,
  );
  await runtime.close(drainMs);
  clearTimeout(late);
  log.info({}, 'closed');
  return EXIT.OK;
}
