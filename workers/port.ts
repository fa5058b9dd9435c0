/**
 * What a job runner needs of the thread it runs on. A worker thread implements it with messages, the front-end thread
 * (inline tools, caller-runs) with direct calls; the runner cannot tell which.
 */
import type { LogLevel } from '../src/catalogue/define.ts';
import type { Change } from '../src/subscriptions/port.ts';
import type { LoadedEntry } from './load-entry.ts';

export interface RunnerPort {
  /** A notification that belongs to the job's request, encoded; `progress` is its value if it is one of progress. */
  emit(slot: number, sequence: number, message: string, progress: number | null): void;
  ask(slot: number, sequence: number, askId: number, method: string, paramsJson: string, key: string): void;
  task(slot: number, sequence: number, ttlMs: number | null, pollIntervalMs: number): void;
  release(slot: number, sequence: number, retryMs: number): void;
  publish(change: Change): void;
  /** What is kept of a tool's results is out of date. */
  forget(tool: string): void;
  log(level: LogLevel, entry: string, correlationId: string, message: string): void;
  /** The entry left something behind on the thread: a stray error, or changed built-in objects. */
  stray(entryKey: number, kind: 'error' | 'exit' | 'pollution', message: string): void;
  /** A job that was pending when `run` returned has ended: its slot is DONE. */
  settled(slot: number, sequence: number, overflow: Uint8Array | null): void;
}

export interface EntryHost {
  /** The entry ready to be called; a promise the first time; an Error when its module does not load. */
  find(key: number): LoadedEntry | Promise<LoadedEntry | Error> | Error;
}
