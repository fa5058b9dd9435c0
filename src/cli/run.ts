/**
 * Runs one command line: `--help` and `--version` first, then wrong usage, then the command.
 *
 * Role: everything of the command but the process around it, so that tests can call it. Commands are imported when
 * they are called: `--version`, `status` and `streams` start at once and need no native module.
 */
import { ConfigError } from '../config/problem.ts';
import { MILLRACE_VERSION } from '../config/version.ts';
import { type Command, type CommandLine, parseCommandLine, takesOptions } from './command-line.ts';
import { helpFor } from './help.ts';
import { EXIT, exitOf, type Terminal, writeProblems } from './terminal.ts';

const POSITIONALS_MAX: Readonly<Record<Command, number>> = {
  serve: 0,
  stdio: 0,
  check: 0,
  init: 1,
  status: 0,
  streams: 3,
};

export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const line = parseCommandLine(args);
  if (line.version) {
    terminal.out(`${MILLRACE_VERSION}\n`);
    return EXIT.OK;
  }
  if (line.help) {
    terminal.out(helpFor(line.command));
    return EXIT.OK;
  }
  if (line.command === null) {
    if (line.problems.length === 0) terminal.err(helpFor(null));
    else writeProblems(terminal, [...line.problems, 'see millrace --help']);
    return EXIT.USAGE;
  }
  const extra = line.positionals.slice(POSITIONALS_MAX[line.command]);
  const problems = [...line.problems, ...extra.map((argument) => `${argument}: unexpected argument`)];
  if (problems.length > 0 && !takesOptions(line.command)) {
    writeProblems(terminal, problems);
    return EXIT.USAGE;
  }
  try {
    return await dispatch(line.command, { ...line, problems }, terminal);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    writeProblems(terminal, error.problems);
    return exitOf(error);
  }
}

async function dispatch(command: Command, line: CommandLine, terminal: Terminal): Promise<number> {
  switch (command) {
    case 'serve':
      return (await import('./serve.ts')).serve(line, terminal);
    case 'stdio':
      return (await import('./stdio.ts')).stdio(line, terminal);
    case 'check':
      return (await import('./check.ts')).check(line, terminal);
    case 'init':
      return (await import('./init.ts')).init(line, terminal);
    case 'status':
      return (await import('./status.ts')).status(line, terminal);
    case 'streams':
      return (await import('./streams.ts')).streams(line, terminal);
  }
}
