#!/usr/bin/env node
/**
 * The `millrace` command: the process around `run.ts`.
 *
 * A command that served may leave timers and handles of tools behind that nobody but the process can end, so it is
 * ended here, once what was written has gone out.
 */
import { readEnvironment } from '../config/environment.ts';
import { run } from './run.ts';
import { EXIT, type Terminal } from './terminal.ts';

const terminal: Terminal = {
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  cwd: process.cwd(),
  env: readEnvironment(),
};

function leave(code: number): void {
  process.exitCode = code;
  if (process.stdout.writableLength === 0) process.exit();
  process.stdout.once('drain', () => process.exit());
}

run(process.argv.slice(2), terminal).then(leave, (error: unknown) => {
  terminal.err(`millrace: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  leave(EXIT.FAILED);
});
