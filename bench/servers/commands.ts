/**
 * How each server is started: millrace from this build, and the controls beside it.
 *
 * Role: the harness measures the command people use (`millrace serve`), not a runtime it has put together itself. Run
 * from `dist/` the servers are compiled JavaScript; run from the sources with a loader, they use the same loader.
 */
import { fileURLToPath } from 'node:url';
import type { ServerCommand } from './server-process.ts';

const EXTENSION = import.meta.url.slice(-3);
export const fileBeside = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** Node flags for millrace's process, such as `--cpu-prof`. Set once, from the command line. */
let serverNodeFlags: readonly string[] = [];

export function useServerNodeFlags(flags: readonly string[]): void {
  serverNodeFlags = flags;
}

const nodeArgs = (file: string, flags: readonly string[]): string[] => [...process.execArgv, ...flags, file];

/** Loopback, any free port, quiet. Further flags as `millrace serve` takes them. */
export function millrace(...flags: readonly string[]): ServerCommand {
  const main = fileBeside(`../src/cli/main${EXTENSION}`);
  return {
    command: process.execPath,
    args: [...nodeArgs(main, serverNodeFlags), 'serve', '--port', '0', '--log-level', 'error', ...flags],
  };
}

/** A script of `controls/`; it gets its arguments as JSON. */
export function control(name: string, argument: unknown): ServerCommand {
  const file = fileBeside(`controls/${name}${EXTENSION}`);
  return { command: process.execPath, args: [...nodeArgs(file, []), JSON.stringify(argument)] };
}

/** A folder of tool modules for `--tools`. */
export function toolFolder(name: string): string {
  return fileBeside(`tools/${name}`);
}
