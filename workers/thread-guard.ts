/**
 * Keeps what a tool does to its thread from hurting the next tool.
 *
 * Role: `process.exit` becomes an exception of the caller; errors of timers and rejections a tool left behind are
 * caught and reported instead of ending the thread under somebody else's call; changes to the language's own objects
 * are noticed. Threads are isolation against accidents, not a security boundary: a tool that wants to harm the
 * process (`process.kill`, native code) can.
 */

export class ExitRefused extends Error {
  constructor(code: unknown) {
    super(`process.exit(${code === undefined ? '' : String(code)}) is not available to a tool`);
    this.name = 'ExitRefused';
  }
}

/** Reports every stray error; `exit` when it was a `process.exit` outside a call. */
export function guardThread(report: (kind: 'error' | 'exit', error: unknown) => void): void {
  const onStray = (error: unknown): void => report(error instanceof ExitRefused ? 'exit' : 'error', error);
  process.on('uncaughtException', onStray);
  process.on('unhandledRejection', onStray);
  process.exit = (code?: unknown): never => {
    throw new ExitRefused(code);
  };
  process.abort = (): never => {
    throw new ExitRefused('abort');
  };
}

const probe: Record<string, unknown> = {};

/** Methods whose replacement would change what other tools compute. */
const WATCHED: readonly (readonly [object, string])[] = [
  [Object.prototype, 'toString'],
  [Object.prototype, 'hasOwnProperty'],
  [Object.prototype, 'valueOf'],
  [Array.prototype, 'map'],
  [Array.prototype, 'push'],
  [Array.prototype, 'forEach'],
  [Array.prototype, 'join'],
  [Array.prototype, 'includes'],
  [Array.prototype, 'slice'],
  [String.prototype, 'slice'],
  [String.prototype, 'replace'],
  [String.prototype, 'split'],
  [Promise.prototype, 'then'],
  [Function.prototype, 'call'],
  [Function.prototype, 'apply'],
  [JSON, 'parse'],
  [JSON, 'stringify'],
  [Object, 'keys'],
  [Object, 'assign'],
  [Map.prototype, 'get'],
  [Map.prototype, 'set'],
];
const originals = WATCHED.map(([owner, name]) => (owner as Record<string, unknown>)[name]);

/**
 * What changed in the built-in objects, or ''. An added enumerable member of Object.prototype is removed at once; a
 * replaced method is put back. About 0.1 µs.
 */
export function intrinsicsChanged(): string {
  let changed = '';
  for (const name in probe) {
    delete (Object.prototype as unknown as Record<string, unknown>)[name];
    changed = `Object.prototype.${name} was added`;
  }
  for (let i = 0; i < WATCHED.length; i++) {
    const [owner, name] = WATCHED[i] as readonly [Record<string, unknown>, string];
    if (owner[name] === originals[i]) continue;
    owner[name] = originals[i];
    changed = `${name} was replaced`;
  }
  return changed;
}
