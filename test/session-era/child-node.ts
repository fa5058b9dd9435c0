/** A node in a process of its own, to be killed. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL(`./node-child${extname(import.meta.url)}`, import.meta.url));

export class ChildNode {
  readonly url: string;
  readonly #process: ChildProcess;

  constructor(url: string, process: ChildProcess) {
    this.url = url;
    this.#process = process;
  }

  /** `commandMsMax`: for one command to Redis; 0: the default. */
  static async start(redisUrl: string, commandMsMax = 10_000): Promise<ChildNode> {
    const child = fork(PROGRAM, [redisUrl, String(commandMsMax)], { execArgv: process.execArgv });
    const [said] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    if (typeof said !== 'string') throw new Error('the node did not start');
    return new ChildNode(said, child);
  }

  async kill(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await gone;
  }
}
