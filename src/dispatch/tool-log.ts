/**
 * What a tool logs, in the server's own log: levels of the protocol folded into those of the server.
 */
import type { LogLevel } from '../catalogue/define.ts';
import type { Log } from '../observe/port.ts';
import type { ControlOut } from '../pool/port.ts';

const SERVER_LEVEL: Record<LogLevel, 'debug' | 'info' | 'warn' | 'error'> = {
  debug: 'debug',
  info: 'info',
  notice: 'info',
  warning: 'warn',
  error: 'error',
  critical: 'error',
  alert: 'error',
  emergency: 'error',
};

export function logFromTool(log: Log, message: Extract<ControlOut, { type: 'log' }>): void {
  const { correlationId, entry, level } = message;
  log[SERVER_LEVEL[level]]({ entry, correlationId }, message.message);
}
