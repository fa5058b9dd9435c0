/**
 * Keeps a tool that runs on the front-end thread from ending the process: what `workers/thread-guard.ts` does for a
 * thread that runs nothing else, for one that also runs everything else.
 *
 * Role: knows by its asynchronous context whether code belongs to a call. Within one, `process.exit` throws, and
 * uncaught errors and rejections are reported; for other code both do what they would do without this guard. It is
 * installed with the first call that runs here, since following contexts makes promises more expensive (42 → 119 ns per
 * await, measured), and a server without such calls does not need it. One for all engines of the process.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { describeError, ExitRefused } from '../../workers/thread-guard.ts';

export type StrayReport = (entryKey: number, kind: 'error' | 'exit', stack: string) => void;

interface Call {
  readonly entryKey: number;
  readonly report: StrayReport;
}

const calls = new AsyncLocalStorage<Call | undefined>();
let isUp = false;

/** Runs a call's code: all it starts belongs to the call. */
export function insideCall<T>(entryKey: number, report: StrayReport, work: () => T): T {
  putUp();
  return calls.run({ entryKey, report }, work);
}

/** Runs the server's own code, whoever called it. */
export function outsideCall<T>(work: () => T): T {
  return calls.run(undefined, work);
}

function putUp(): void {
  if (isUp) return;
  isUp = true;
  const { abort, exit } = process;
  process.exit = (code?: Parameters<typeof exit>[0]): never => {
    if (calls.getStore() !== undefined) throw new ExitRefused(code);
    return exit.call(process, code);
  };
  process.abort = (): never => {
    if (calls.getStore() !== undefined) throw new ExitRefused('abort');
    return abort.call(process);
  };
  process.on('uncaughtException', (error) => onStray('uncaughtException', error));
  process.on('unhandledRejection', (reason) => onStray('unhandledRejection', reason));
}

function onStray(event: 'uncaughtException' | 'unhandledRejection', error: unknown): void {
  const call = calls.getStore();
  if (call !== undefined) {
    outsideCall(() =>
      call.report(call.entryKey, error instanceof ExitRefused ? 'exit' : 'error', describeError(error)),
    );
    return;
  }
  // Nobody else listens: without the guard this would have been the end, and so it is.
  if (process.listenerCount(event) === 1) throw error;
}
