/**
 * From a command line to settings: the step `serve`, `stdio` and `check` have in common.
 */
import { importModule } from '../catalogue/import-module.ts';
import { compileLoaded } from '../config/compile.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import { type Machine, thisMachine } from '../config/machine.ts';
import { ConfigError } from '../config/problem.ts';
import type { Settings } from '../config/settings.ts';
import type { CommandLine } from './command-line.ts';
import type { Terminal } from './terminal.ts';

export interface Configured {
  readonly loaded: LoadedConfig;
  readonly settings: Settings;
  readonly machine: Machine;
}

/** Throws `ConfigError` with what is wrong on the command line and everywhere else. */
export async function configure(line: CommandLine, terminal: Terminal): Promise<Configured> {
  const { problems } = line;
  try {
    const configured = await settle(line, terminal);
    if (problems.length === 0) return configured;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError([...problems, ...error.problems], problems.length > 0 || error.ofCommandLine);
  }
  throw new ConfigError(problems, true);
}

async function settle(line: CommandLine, terminal: Terminal): Promise<Configured> {
  const named = line.own.get('config');
  const loaded = await loadConfig({
    flags: line.options,
    configFile: typeof named === 'string' ? named : null,
    env: terminal.env,
    cwd: terminal.cwd,
    importModule,
  });
  const machine = thisMachine();
  return { loaded, settings: compileLoaded(loaded, machine), machine };
}
