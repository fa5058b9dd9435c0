/**
 * HAProxy and nginx from the files of `deploy/`, as they are: what a test needs to be different is said in the ways the
 * files offer to everybody, environment variables for HAProxy, `listen.conf` and `nodes.conf` for nginx.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../../src/config/version.ts';
import { eventually } from '../../clients/eventually.ts';
import { freePort } from '../../redis/redis-process.ts';
import { commandFile, ensureCommands, NEEDED } from '../../services.ts';

export const DEPLOY = join(PACKAGE_ROOT, 'deploy');
/** `rise 2` at the test's interval, on a machine that is busy with other tests. */
const UP_MS_MAX = 60_000;
const OUTPUT_CHARS_MAX = 20_000;
const NODES = 3;
/** HAProxy may send calls of these again; of others, though they could be run twice, not. */
export const REPEATABLE_TOOLS = ['echo', 'fibonacci'];
const CSV_NAME = 1;
const CSV_STATUS = 17;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGTERM');
});

/** The file of a daemon; installed where that may be done. */
export function balancerFile(command: 'haproxy' | 'nginx'): string {
  const missing = ensureCommands(NEEDED.filter((row) => row.command === command));
  if (missing !== null) throw new Error(missing);
  return commandFile(command) ?? command;
}

export class Balancer {
  readonly port: number;
  #output = '';
  readonly #child: ChildProcess;
  readonly #forget: () => void;

  constructor(file: string, args: readonly string[], env: NodeJS.ProcessEnv, port: number, forget: () => void) {
    this.port = port;
    this.#forget = forget;
    this.#child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(this.#child);
    this.#child.once('exit', () => running.delete(this.#child));
    for (const pipe of [this.#child.stdout, this.#child.stderr]) {
      pipe?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_CHARS_MAX);
      });
    }
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  /** What it logged, for messages of failed assertions. */
  get output(): string {
    return this.#output;
  }

  async end(): Promise<void> {
    if (running.has(this.#child)) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exited;
    }
    this.#forget();
  }
}

export class Haproxy extends Balancer {
  readonly #statsPort: number;

  private constructor(port: number, statsPort: number, nodes: readonly string[], checkMs: number) {
    const named = Object.fromEntries(nodes.map((node, i) => [`BALANCER_NODE_${i + 1}`, node]));
    const env = {
      ...process.env,
      ...named,
      BALANCER_BIND: `127.0.0.1:${port}`,
      BALANCER_STATS_BIND: `127.0.0.1:${statsPort}`,
      BALANCER_CHECK_INTERVAL: `${checkMs}ms`,
      BALANCER_SLOW_START: '1s',
      BALANCER_REPEATABLE: REPEATABLE_TOOLS.join(' '),
    };
    super(balancerFile('haproxy'), ['-f', join(DEPLOY, 'haproxy.cfg')], env, port, () => undefined);
    this.#statsPort = statsPort;
  }

  static async start(nodePorts: readonly number[], checkMs: number): Promise<Haproxy> {
    const [port, statsPort] = [await freePort(), await freePort()];
    const nodes = nodePorts.map((nodePort) => `127.0.0.1:${nodePort}`);
    const started = new Haproxy(port, statsPort, nodes, checkMs);
    try {
      await started.until(Array.from({ length: NODES }, () => 'UP'));
    } catch (error) {
      await started.end();
      throw new Error(`HAProxy: ${started.output}`, { cause: error });
    }
    return started;
  }

  /** Of the nodes, in their order: `UP`, `DOWN`, `UP 1/2` …; none while it does not answer. */
  async states(): Promise<string[]> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#statsPort}/;csv`);
      const rows = (await response.text()).split('\n').map((line) => line.split(','));
      return rows.filter((row) => row[CSV_NAME]?.startsWith('node-')).map((row) => row[CSV_STATUS] ?? '');
    } catch {
      // It is starting.
      return [];
    }
  }

  async until(wanted: readonly string[]): Promise<void> {
    const read = async (): Promise<string> => (await this.states()).join(', ');
    await eventually(`nodes ${wanted.join(', ')}`, read, (states) => states === wanted.join(', '), UP_MS_MAX);
  }
}

export class Nginx extends Balancer {
  private constructor(port: number, folder: string, config: string) {
    const args = ['-p', folder, '-c', join(config, 'nginx.conf'), '-g', 'daemon off;'];
    const forget = (): void => rmSync(folder, { recursive: true, force: true });
    super(balancerFile('nginx'), args, process.env, port, forget);
  }

  static async start(nodePorts: readonly number[]): Promise<Nginx> {
    const port = await freePort();
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nginx-'));
    const config = join(folder, 'conf');
    mkdirSync(config);
    copyFileSync(join(DEPLOY, 'nginx/nginx.conf'), join(config, 'nginx.conf'));
    writeFileSync(join(config, 'listen.conf'), `listen 127.0.0.1:${port};\n`);
    writeFileSync(join(config, 'nodes.conf'), linesOf(nodePorts));
    const nginx = new Nginx(port, folder, config);
    const answers = async (): Promise<string> => {
      try {
        return String((await fetch(new URL('/health/ready', nginx.url))).status);
      } catch {
        // It is starting.
        return nginx.output;
      }
    };
    await eventually('nginx answers', answers, (status) => status === '200', UP_MS_MAX);
    return nginx;
  }
}

/** As the file in `deploy/` has them. */
function linesOf(nodePorts: readonly number[]): string {
  return nodePorts.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=2s;\n`).join('');
}
