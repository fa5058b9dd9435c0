/**
 * The log: JSON lines on stderr, written by pino, which is imported only here.
 *
 * Never stdout: that carries the ready line, and in `millrace stdio` the protocol itself. How they are written is in
 * `stderr-lines.ts`.
 */
import { type LevelWithSilent, pino, stdSerializers, stdTimeFunctions } from 'pino';
import type { Log } from './port.ts';
import { stderrLines } from './stderr-lines.ts';

export type LogLevelName = Extract<LevelWithSilent, 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent'>;

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
    sink ?? stderrLines,
  );
}
