/**
 * The command as tests run it: in this process with a terminal that collects, or as a child process.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { run } from '../../src/cli/run.ts';
import type { Terminal } from '../../src/cli/terminal.ts';
import { PACKAGE_ROOT } from '../../src/config/version.ts';

/** True when the tests run from source, not built. */
export const FROM_SOURCE = import.meta.url.endsWith('.ts');

const MAIN = fileURLToPath(new URL(`../../src/cli/main.${FROM_SOURCE ? 'ts' : 'js'}`, import.meta.url));
export const MAIN_ARGS: readonly string[] = FROM_SOURCE ? ['--import', import.meta.resolve('tsx'), MAIN] : [MAIN];

/**
 * The compiled command. Served streams need it: worker threads load their operators with `import()`, and in a thread of
 * Node 20 a TypeScript loader does not see that.
 */
const COMPILED_ARGS: readonly string[] = [join(PACKAGE_ROOT, 'dist/src/cli/main.js')];

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process. */
export async function inProcess(
  args: readonly string[],
  world: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  let out = '';
  let err = '';
  const terminal: Terminal = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    cwd: world.cwd ?? process.cwd(),
    env: world.env ?? {},
  };
  const code = await run(args, terminal);
  return { code, out, err };
}

export interface Child {
  readonly process: ChildProcessWithoutNullStreams;
  /** The next line of stdout. */
  line(): Promise<string>;
  /** A line of stderr that holds `text`. */
  logged(text: string): Promise<string>;
  readonly ended: Promise<Ended>;
}

/** Starts the command as a process of its own; it is killed with the test if it still runs. */
export function asChild(
  context: { after(done: () => void): void },
  args: readonly string[],
  world: { cwd?: string; env?: Record<string, string>; compiled?: boolean } = {},
): Child {
  const env = { ...withoutOwn(process.env), ...world.env };
  const main = world.compiled === true ? COMPILED_ARGS : MAIN_ARGS;
  const child = spawn(process.execPath, [...main, ...args], { cwd: world.cwd, env, stdio: 'pipe' });
  context.after(() => void child.kill('SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code ?? -1,
    out,
    err: signal ? `${err}${signal}` : err,
  }));
  return {
    process: child,
    ended,
    async line() {
      const next = await lines.next();
      if (next.done === true) throw new Error(`no further line; stderr: ${(await ended).err}`);
      return next.value;
    },
    async logged(text) {
      for (;;) {
        const found = err.split('\n').find((candidate) => candidate.includes(text));
        if (found !== undefined) return found;
        await Promise.race([once(child.stderr, 'data'), ended.then(() => assertStillMissing(err, text))]);
      }
    },
  };
}

function assertStillMissing(err: string, text: string): void {
  if (!err.includes(text)) throw new Error(`ended without logging "${text}": ${err}`);
}

/** The variables of this process, without those that would configure the child. */
function withoutOwn(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('MILLRACE_') && name !== 'NODE_TEST_CONTEXT');
  return Object.fromEntries(kept.map(([name, value]) => [name, value ?? '']));
}
