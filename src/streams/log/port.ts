/**
 * The event log port: every accepted batch, in the order it was accepted, until a checkpoint makes it unnecessary.
 *
 * Role: the log decides; state and results are a function of it. Implementations: memory (survives a lost thread),
 * LMDB (survives the process), Redis (survives the node).
 * Invariants: sequence numbers are gapless and rise from 1; a record read back is the record appended, or reading fails
 * with `LogDamaged`; `durable` resolves only when the record survives what the level promises.
 */
import type { WireFormat } from '../engine/task.ts';

/** Everything that can change state or results, so that a replay makes the same decisions. */
export type LogRecord =
  | {
      readonly kind: 'events';
      readonly stream: string;
      readonly format: WireFormat;
      readonly source: string;
      readonly partition: string;
      readonly arrivalMs: number;
      readonly traceparent: string;
      readonly correlationId: string;
      /** Against repetition; `''` for none. */
      readonly batchId: string;
      /** Where the source goes on after this batch; opaque to all but its connector; `''` for none. */
      readonly position: string;
      readonly body: Uint8Array;
    }
  /** Time passed: idle partitions (named) are left out from here on, ticks fire. */
  | { readonly kind: 'tick'; readonly nowMs: number; readonly idle: readonly { stream: string; partition: string }[] }
  /** The streams were declared anew. */
  | { readonly kind: 'plan'; readonly definitionsJson: string };

export interface LoggedRecord {
  readonly seq: number;
  readonly record: LogRecord;
}

export interface Appended {
  readonly seq: number;
  /** Resolves when it is durable; rejects with `LogUnavailable` (disk full, I/O error): then it may not be acknowledged. */
  readonly durable: Promise<void>;
}

export interface EventLog {
  /** Sequence number of the newest record; 0 for an empty log. */
  readonly last: number;
  /** Bytes held. */
  readonly bytes: number;
  append(record: LogRecord): Appended;
  /** Records after `seq`, oldest first. Throws `LogDamaged` at a record that does not match its checksum. */
  read(after: number): AsyncIterable<LoggedRecord>;
  /** Forgets records up to and including `seq`. */
  truncate(seq: number): Promise<void>;
  close(): Promise<void>;
}

export class LogUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LogUnavailable';
  }
}

export class LogDamaged extends Error {
  readonly seq: number;
  constructor(seq: number, message: string) {
    super(message);
    this.name = 'LogDamaged';
    this.seq = seq;
  }
}
