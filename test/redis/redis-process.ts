/**
 * One redis-server process of a test's own: started on ports that are free, in a folder of its own (a replica writes
 * what it is sent, and whoever started there next would load it), ended at the latest with the test process.
 *
 * Role: what the rigs beside it are made of.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureCommands, NEEDED } from '../services.ts';

/** Printed by a server that takes commands; a sentinel prints the second one. */
const READY = /Ready to accept connections|Sentinel ID is/;
const START_MS_MAX = 60_000;
const STARTS_MAX = 5;
const OUTPUT_CHARS_MAX = 4096;
/** Below the ports that systems hand out to whoever connects, or listens on any. */
const FREE_FIRST = 20_000;
const FREE_COUNT = 12_000;

/** And their folders. */
const running = new Map<ChildProcess, string>();
process.once('exit', () => {
  for (const [child, folder] of running) {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

export interface RedisProcess {
  readonly port: number;
  readonly pid: number;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

/**
 * Starts it on `port`, or on a free one for 0; `args` gets the port and the folder. Of two tests that find the same port free, one
 * takes another.
 */
export async function startRedis(
  port: number,
  args: (port: number, folder: string) => readonly string[],
): Promise<RedisProcess> {
  const missing = ensureCommands(NEEDED.filter(({ command }) => command === 'redis-server'));
  if (missing !== null) throw new Error(missing);
  for (let attempt = 1; ; attempt++) {
    const bound = port === 0 ? await freePort() : port;
    const folder = mkdtempSync(join(tmpdir(), 'millrace-redis-'));
    try {
      return processOf(await launched([...args(bound, folder), '--dir', folder], folder), bound);
    } catch (error) {
      if (port !== 0 || attempt === STARTS_MAX) throw error;
    }
  }
}

/** Arguments of a server that keeps nothing. */
export function plainArgs(port: number): string[] {
  return ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
}

function processOf(child: ChildProcess, port: number): RedisProcess {
  return {
    port,
    pid: child.pid ?? 0,
    async kill() {
      if (!running.has(child)) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    signal: (signal) => void child.kill(signal),
  };
}

async function launched(args: readonly string[], folder: string): Promise<ChildProcess> {
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  running.set(child, folder);
  child.once('exit', () => {
    running.delete(child);
    rmSync(folder, { recursive: true, force: true });
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`redis-server does not start: ${output}`));
    }, START_MS_MAX);
    child.once('error', reject);
    child.once('exit', () => {
      clearTimeout(late);
      reject(new Error(`redis-server ended: ${output}`));
    });
    child.stdout.on('data', (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      if (!READY.test(output)) return;
      clearTimeout(late);
      resolve();
    });
  });
  return child;
}

/** A port that is free now, and stays so for whoever ends and listens on it again: no system hands it out by itself. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FREE_FIRST + Math.floor(Math.random() * FREE_COUNT);
    const server = createServer();
    const bound = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!bound) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}
