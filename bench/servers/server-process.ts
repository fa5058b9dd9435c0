/**
 * A server in a process of its own: started, awaited, ended by its pid.
 *
 * Role: every variant of every round gets a fresh one, so nothing compiled, cached or leaked by one run helps or hurts
 * the next. A server says that it is ready with a line `… ready URL` on stdout.
 * Invariant: whatever happens to the harness, no server outlives it (`endAll`, `endsWithHarness`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { endsWithHarness } from './ends-with-harness.ts';
import { onceEnded, ServerEnd } from './server-end.ts';

const READY_MS_MAX = 60_000;
const END_MS_MAX = 5000;
const ERROR_CHARS_MAX = 2000;
const READY_LINE = /ready (https?:\/\/\S+|\d+)/;

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Beside the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ServerProcess {
  /** What stood in the ready line: a URL, or a port for servers that are not HTTP. */
  readonly url: string;
  readonly pid: number;
  /** Work with it, which is told to stop when it ends by itself; rejects then, with how that came and what it said last. */
  during<T>(stopped: AbortSignal, work: (stopped: AbortSignal) => Promise<T>): Promise<T>;
  /** SIGTERM, then SIGKILL. */
  end(): Promise<void>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

const alive = new Set<ChildProcess>();

export async function startServer({ args, command, env = {} }: ServerCommand): Promise<ServerProcess> {
  const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe'];
  const child = spawn(command, args, { stdio, detached: true, env: { ...process.env, ...env } });
  alive.add(child);
  endsWithHarness(child);
  const itsEnd = new ServerEnd(child);
  child.once('exit', () => alive.delete(child));
  child.once('error', () => alive.delete(child));
  try {
    const url = await readyUrl(child, command);
    return {
      url,
      pid: child.pid as number,
      during: (stopped, work) => itsEnd.during(stopped, work),
      end() {
        itsEnd.want();
        return endChild(child);
      },
      kill() {
        itsEnd.want();
        return killChild(child);
      },
    };
  } catch (error) {
    await endChild(child);
    throw error;
  }
}

function readyUrl(child: ChildProcess, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    const fail = (what: string): void =>
      reject(new Error(`${command} ${what}: ${output.trim().slice(-ERROR_CHARS_MAX)}`));
    const timer = setTimeout(() => fail(`was not ready within ${READY_MS_MAX / 1000} s`), READY_MS_MAX);
    const look = (chunk: Buffer): void => {
      if (output.length < 100_000) output += chunk.toString();
      const ready = READY_LINE.exec(output);
      if (ready === null) return;
      clearTimeout(timer);
      resolve(ready[1] as string);
    };
    // Read to the end: a server that logs into a full pipe stops.
    child.stdout?.on('data', look);
    child.stderr?.on('data', look);
    child.once('error', (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    onceEnded(child, (how) => {
      clearTimeout(timer);
      fail(`ended (${how}) before it was ready`);
    });
  });
}

async function endChild(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), END_MS_MAX);
  await exited;
  clearTimeout(timer);
}

async function killChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => void child.once('exit', () => resolve()));
  child.kill('SIGKILL');
  await exited;
}

/** At once, without waiting: for the end of the harness. */
export function endAll(): void {
  for (const child of alive) child.kill('SIGKILL');
}
