/**
 * Processes that tests start, kill and talk to line by line. Their programs say what they do on stdout, written through
 * before they go on, so that nothing said is lost with them.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** In the program: says a line. */
export const say = (...words: (string | number)[]): void => void writeSync(1, `${words.join(' ')}\n`);

export interface ChildLimits {
  /** No file of its own may become larger, until `liftLimit`. Writing past it fails as on a full disk. */
  readonly fileBytesMax?: number;
}

export class Child {
  /** Lines so far. */
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #waiting: { holds: (line: string) => boolean; resolve: (line: string) => void }[] = [];

  /** `program`: URL of the test beside it, and the program's name without extension. */
  constructor(beside: string, program: string, args: readonly string[], limits: ChildLimits = {}) {
    const file = fileURLToPath(new URL(`./${program}${extname(beside)}`, beside));
    const command = [process.execPath, ...process.execArgv, file, ...args];
    this.#process =
      limits.fileBytesMax === undefined
        ? spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] })
        : spawn('sh', ['-c', limited(limits.fileBytesMax), 'sh', ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
    const { stdout, stderr } = this.#process;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    const lines = createInterface({ input: stdout });
    lines.on('line', (line) => this.#heard(line));
    // LMDB-js writes what fails to stderr; kept for messages only.
    stderr.on('data', (data: Buffer) => {
      this.errors = (this.errors + data.toString('utf8')).slice(-4000);
    });
    this.#ended = Promise.all([once(lines, 'close'), once(this.#process, 'close')]);
  }

  errors = '';

  tell(line: string): void {
    this.#process.stdin?.write(`${line}\n`);
  }

  liftLimit(): void {
    execFileSync('prlimit', ['--pid', `${this.#process.pid}`, '--fsize=unlimited:']);
  }

  /** The first line of this kind, said already or to come. Rejects when the process ends without it. */
  async line(holds: (line: string) => boolean): Promise<string> {
    const said = this.lines.find(holds);
    if (said !== undefined) return said;
    const heard = new Promise<string>((resolve) => this.#waiting.push({ holds, resolve }));
    const line = await Promise.race([heard, this.#ended.then(() => null)]);
    if (line === null) throw new Error(`ended after\n${this.lines.slice(-20).join('\n')}\n${this.errors}`);
    return line;
  }

  says(start: string): Promise<string> {
    return this.line((line) => line.startsWith(start));
  }

  /** Resolves when all it said was heard. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  async ended(): Promise<void> {
    await this.#ended;
  }

  #heard(line: string): void {
    this.lines.push(line);
    for (const waiting of [...this.#waiting]) {
      if (!waiting.holds(line)) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve(line);
    }
  }
}

/** A shell that ignores SIGXFSZ, so that a write past the limit fails instead of ending the process. Units: 512 bytes. */
const limited = (bytes: number): string => `trap '' XFSZ; ulimit -S -f ${Math.ceil(bytes / 512)}; exec "$@"`;
