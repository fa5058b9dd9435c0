/**
 * The log: JSON lines on stderr, written by pino, which is imported only here.
 *
 * Never stdout: that carries the ready line, and in `millrace stdio` the protocol itself. Writing does not block the
 * front-end thread; when nobody reads stderr, lines past `HELD_BYTES_MAX` are dropped rather than kept. What is still
 * held is flushed when the process exits.
 */
import { isMainThread } from 'node:worker_threads';
import { destination, type LevelWithSilent, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Log } from './port.ts';

export type LogLevelName = Extract<LevelWithSilent, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'>;

/** Held for a slow reader of stderr. */
export const HELD_BYTES_MAX = 4 * 1024 * 1024;

const STDERR = 2;

/** Where lines go; tests hand in an array's `push`. */
export interface LineSink {
  write(line: string): void;
}

/** A log whose every line carries `bindings`. Errors under `error`, `err` or `cause` are written with their stack. */
export function createLog(level: LogLevelName, bindings: Record<string, unknown> = {}, sink?: LineSink): Log {
  return pino(
    {
      level,
      base: bindings,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: stdSerializers.err, error: stdSerializers.err, cause: stdSerializers.err },
    },
    sink ?? stderrLines(),
  );
}

/** A worker thread may be ended at any moment, so it writes at once. */
function stderrLines(): LineSink {
  return destination({ dest: STDERR, sync: !isMainThread, maxLength: HELD_BYTES_MAX });
}
