/**
 * Signals and uncaught errors of a long-running command.
 *
 * The first SIGTERM or SIGINT asks for a drain; a second one ends the process at once with 128 + its number, as a shell
 * would report it. Ctrl-C under `npm start` arrives twice, from the terminal and passed on by npm, so a signal right
 * behind the first is ignored as its echo. An uncaught error is logged and survived: a stray rejection of one tool must
 * not end everybody's server. When they pour in, the process counts as broken and exits with 1, so that its supervisor
 * starts a fresh one.
 */
import type { Log } from '../observe/port.ts';
import { deferred } from '../waiting.ts';

/** More stray errors than this within a minute: broken. */
export const STRAY_ERRORS_MAX = 100;
const STRAY_WINDOW_MS = 60_000;

/** A second signal sooner than this is an echo of the first. */
const ECHO_MS = 50;

const NUMBERS = { SIGINT: 2, SIGTERM: 15 } as const;
type StopSignal = keyof typeof NUMBERS;

export interface Stopping {
  /** Resolves with the first signal. */
  readonly asked: Promise<StopSignal>;
  /** Takes the handlers away again. */
  release(): void;
}

export function listenForStop(log: Log): Stopping {
  const { promise: asked, resolve } = deferred<StopSignal>();
  let firstAtMs = Number.NEGATIVE_INFINITY;
  const onSignal = (signal: StopSignal): void => {
    const nowMs = performance.now();
    if (firstAtMs === Number.NEGATIVE_INFINITY) {
      firstAtMs = nowMs;
      resolve(signal);
    } else if (nowMs - firstAtMs >= ECHO_MS) {
      log.warn({ signal }, 'second signal: leaving at once');
      process.exit(128 + NUMBERS[signal]);
    }
  };
  const strays = new StrayErrors(log);
  const onStray = (error: unknown): void => strays.seen(error, Date.now());
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  process.on('uncaughtException', onStray);
  process.on('unhandledRejection', onStray);
  return {
    asked,
    release() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
      process.off('uncaughtException', onStray);
      process.off('unhandledRejection', onStray);
    },
  };
}

/** Counts within the current minute. */
export class StrayErrors {
  readonly #log: Log;
  readonly #giveUp: () => void;
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(log: Log, giveUp: () => void = () => process.exit(1)) {
    this.#log = log;
    this.#giveUp = giveUp;
  }

  seen(error: unknown, nowMs: number): void {
    if (nowMs - this.#windowStartMs >= STRAY_WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#count = 0;
    }
    this.#count++;
    this.#log.error({ error }, 'uncaught error');
    if (this.#count <= STRAY_ERRORS_MAX) return;
    this.#log.error({ count: this.#count }, 'too many uncaught errors: the process is taken for broken');
    this.#giveUp();
  }
}
