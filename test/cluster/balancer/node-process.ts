/**
 * One millrace node as a process of its own: the built command on a port that stays the same, so that it can be
 * stopped, killed and started again under its name.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';

const MAIN = join(PACKAGE_ROOT, 'dist/src/cli/main.js');
const READY = /^millrace ready (\S+)$/;
const START_MS_MAX = 90_000;
/** Of Redis, which these tests leave alone: a busy machine is late. */
const COMMAND_MS_MAX = 10_000;
const OUTPUT_CHARS_MAX = 20_000;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class NodeProcess {
  readonly id: string;
  readonly port: number;
  readonly #flags: readonly string[];
  #child: ChildProcess | null = null;
  #errors = '';

  constructor(id: string, port: number, flags: readonly string[]) {
    this.id = id;
    this.port = port;
    this.#flags = flags;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  /** What it logged, for messages of failed assertions. */
  get errors(): string {
    return this.#errors;
  }

  /** Resolves when it serves. */
  async start(): Promise<void> {
    const own = [
      '--port',
      String(this.port),
      '--node-id',
      this.id,
      '--cluster-command-timeout-ms',
      String(COMMAND_MS_MAX),
    ];
    const args = ['serve', ...own, ...this.#flags];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !isForeign(name)));
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    running.add(child);
    child.once('exit', () => running.delete(child));
    child.stderr.on('data', (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
    });
    const late = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX);
    try {
      for await (const line of createInterface({ input: child.stdout })) if (READY.test(line)) return;
      throw new Error(`${this.id} does not start: ${this.#errors}`);
    } finally {
      clearTimeout(late);
      child.stdout.resume();
    }
  }

  /** Tool calls that it has answered since it started, of its own meters. */
  async answered(): Promise<number> {
    const text = await (await fetch(new URL('/metrics', this.url))).text();
    const lines = text.split('\n').filter((line) => line.startsWith('millrace_requests_total{'));
    const counts = lines.filter((line) => line.includes('"tools/call"')).map((line) => Number(line.split(' ').at(-1)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** It stands still, sockets and all, until `SIGCONT`. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal);
  }

  /** SIGTERM; resolves with its exit code when it has ended. */
  async stop(): Promise<number> {
    return (await this.#signal('SIGTERM')) ?? -1;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#signal('SIGKILL');
  }

  async #signal(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child;
    if (child === null || !running.has(child)) return null;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }
}

/** Would configure the node, or make it believe that it is a test. */
function isForeign(name: string): boolean {
  return name.startsWith('MILLRACE_') || name === 'NODE_TEST_CONTEXT';
}
