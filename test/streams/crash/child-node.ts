/**
 * The parent's end of `node-child.ts`.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Order, Saying } from './node-child.ts';

const HERE = import.meta.url;
const PROGRAM = fileURLToPath(new URL(`./node-child${extname(HERE)}`, HERE));

export class ChildNode {
  readonly #process: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #heard: Saying[] = [];
  #changed: () => void = () => undefined;
  #over = false;

  constructor() {
    this.#process = fork(PROGRAM, { execArgv: process.execArgv, serialization: 'advanced' });
    this.#ended = once(this.#process, 'exit').then(() => {
      this.#over = true;
      this.#changed();
    });
    this.#process.on('message', (saying: Saying) => {
      this.#heard.push(saying);
      this.#changed();
    });
    // Orders to one that was killed meanwhile.
    this.#process.on('error', () => undefined);
  }

  tell(order: Order): void {
    this.#process.send(order, () => undefined);
  }

  /** What it says next; null when it has ended. */
  async next(): Promise<Saying | null> {
    for (;;) {
      const saying = this.#heard.shift();
      if (saying !== undefined) return saying;
      if (this.#over) return null;
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async says(kind: Saying['kind']): Promise<Saying> {
    const saying = await this.next();
    if (saying?.kind !== kind) throw new Error(`expected ${kind}, heard ${JSON.stringify(saying)}`);
    return saying;
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }
}
