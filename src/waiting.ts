/**
 * Ways to wait that are the same everywhere: for a promise that someone else fulfils, for a change, for a limited time.
 *
 * Role: beside the path, for any folder. It knows nothing of what is waited for, and keeps no timer and no listener
 * beyond the wait.
 */

/** A promise, and what fulfils it. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}

/** Tells all who wait that something has changed; whether it is what they wait for they see for themselves. */
export class Changes {
  #waiters: (() => void)[] = [];

  /** Resolves with the next change. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  tell(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

/** Resolves when the work is done, at the latest after `ms`; rejects with the work. */
export async function atMost(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise, resolve } = deferred();
  const timer = setTimeout(resolve, ms);
  try {
    await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after the time, or when the signal comes. */
export function pauseUnless(stop: AbortSignal, ms: number): Promise<void> {
  if (stop.aborted || ms <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      stop.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    stop.addEventListener('abort', end);
  });
}
