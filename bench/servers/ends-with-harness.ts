/**
 * No child outlives the harness, not even one that is killed.
 *
 * Role: servers are measured as they are, so they do not look after the harness themselves: a shell beside each holds
 * the end of a pipe that closes with the harness, and then ends the process. It sleeps until then, and goes with the
 * process it is for, so that it never ends another one of the same number.
 */
import { type ChildProcess, spawn } from 'node:child_process';

/** Reads until the harness is gone; nothing is ever written. */
const SITTER = 'read -r _; kill -9 "$0"';

export function endsWithHarness(child: ChildProcess): void {
  if (child.pid === undefined) return;
  // In a group of its own: what a terminal or a supervisor sends to all of the harness' group is not for it.
  const sitter = spawn('sh', ['-c', SITTER, String(child.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // Where there is no shell, the harness' own end is what children end with.
  sitter.once('error', () => undefined);
  sitter.unref();
  child.once('exit', () => sitter.kill('SIGKILL'));
}
