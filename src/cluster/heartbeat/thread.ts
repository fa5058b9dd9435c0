/**
 * The heartbeat thread as the front end holds it: starts it, starts it again when it ends by itself, says goodbye.
 *
 * Role: the only file that knows that it is a thread. Invariants: the epoch of this start and the nodes that
 * are known survive a thread; after `leave` nothing is told any more.
 */
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { NodeFacts } from '../port.ts';
import type { FromHeart, HeartSetup, Sighting, ToHeart } from './messages.ts';

const RESTART_MS = 1000;
/** For the goodbye to get through; after it the heartbeats just stop. */
const LEAVE_MS_MAX = 2000;
const HEAP_MIB = 64;

export interface HeartEvents {
  seen(sighting: Sighting): void;
  log(level: 'info' | 'warn', fields: object, message: string): void;
  /** It ended by itself, and is started again. */
  failed(error: Error): void;
}

/**
 * Compiled code runs `heartbeat.js`. In a checkout run through a TypeScript loader the thread has to load that loader
 * itself: in Node 20 the first file of a thread passes by the one of the process.
 */
const fromSource = import.meta.url.endsWith('.ts');
const workerUrl = new URL(`../../../workers/heartbeat.${fromSource ? 'ts' : 'js'}`, import.meta.url);
const required = (url: string): string => `require(${JSON.stringify(fileURLToPath(url))});`;
const entry = fromSource ? required(import.meta.resolve('tsx/cjs')) + required(workerUrl.href) : workerUrl;

export class HeartThread {
  readonly #events: HeartEvents;
  #setup: HeartSetup;
  #worker: Worker | null = null;
  #restart: NodeJS.Timeout | null = null;
  #leaving = false;
  #left: () => void = () => undefined;

  constructor(setup: HeartSetup, events: HeartEvents) {
    this.#setup = setup;
    this.#events = events;
    this.#start();
  }

  #start(): void {
    const worker = new Worker(entry, {
      name: 'heartbeat',
      workerData: this.#setup,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
      ...(fromSource ? { eval: true, execArgv: [] } : {}),
    });
    this.#worker = worker;
    let failure = new Error('the heartbeat thread ended');
    worker.on('message', (message: FromHeart) => this.#take(message));
    worker.on('error', (error: Error) => {
      failure = error;
    });
    worker.once('exit', () => {
      this.#worker = null;
      this.#left();
      if (this.#leaving) return;
      this.#events.failed(failure);
      this.#restart = setTimeout(() => this.#start(), RESTART_MS);
      this.#restart.unref();
    });
    // A process that has nothing else to do may end.
    worker.unref();
  }

  #take(message: FromHeart): void {
    if (message.kind === 'left') {
      this.#left();
      return;
    }
    if (this.#leaving) return;
    if (message.kind === 'log') {
      this.#events.log(message.level, message.fields, message.message);
      return;
    }
    const { sighting } = message;
    const { epoch, nodes } = sighting;
    this.#setup = { ...this.#setup, epoch: epoch === 0 ? this.#setup.epoch : epoch, known: nodes };
    this.#events.seen(sighting);
  }

  update(facts: NodeFacts): void {
    this.#setup = { ...this.#setup, facts };
    this.#post({ kind: 'facts', facts });
  }

  async leave(): Promise<void> {
    if (this.#leaving) return;
    this.#leaving = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === null) return;
    worker.ref();
    const left = new Promise<void>((resolve) => {
      this.#left = resolve;
    });
    const late = setTimeout(() => this.#left(), LEAVE_MS_MAX);
    this.#post({ kind: 'leave' });
    await left;
    clearTimeout(late);
    await worker.terminate();
  }

  #post(message: ToHeart): void {
    this.#worker?.postMessage(message);
  }
}
