/**
 * What a command may use of the world: two streams to write to, the working directory and the variables, and the way
 * it reports its end. Also the exit codes, in one table.
 *
 * Role: handed to every command, so that tests can run one in their own process.
 */
import type { ConfigError } from '../config/problem.ts';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Those above 1 are the numbers of BSD's sysexits. */
export const EXIT = {
  OK: 0,
  /** It ran and failed; `status`: not ready; `streams`: refused, or not done for every dead letter. */
  FAILED: 1,
  /** Something is wrong on the command line, whatever else is. */
  USAGE: 64,
  /** `status`, `streams`: nobody answers there. */
  UNAVAILABLE: 69,
  /** `init`: the folder cannot be used. */
  CANNOT_CREATE: 73,
  /** The configuration was refused, for what files or variables say. */
  CONFIG: 78,
} as const;

export const exitOf = (refused: ConfigError): number => (refused.ofCommandLine ? EXIT.USAGE : EXIT.CONFIG);

/** Each problem on its own line, after the name of the program. */
export function writeProblems(terminal: Terminal, problems: readonly string[]): void {
  terminal.err(problems.map((problem) => `millrace: ${problem}\n`).join(''));
}
