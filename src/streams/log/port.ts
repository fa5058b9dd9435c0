/**
 * The event log port: every accepted batch, in the order it was accepted, until a checkpoint makes it unnecessary.
 *
 * Role: the log decides; state and results are a function of it. Implementations: memory (survives a lost thread),
 * LMDB (survives the process), Redis (survives the node).
 * Invariants: sequence numbers are gapless and rise from 1; a record read back is the record appended, or reading fails
 * with `LogDamaged`; `durable` resolves only when the record survives what the level promises.
 * When a write fails, every record that was not durable is gone, its `durable` rejects, its sequence number will be
 * given again, and nothing is appended until `recover` has worked: what was acknowledged has no gap before it.
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
      /** Why none of its events is applied, its time counts nevertheless (`engine/intake/when-full.ts`); `''` for most. */
      readonly setAside: string;
      /** Why no thread is to decode it, found out before it was logged (`cluster/partition-intake.ts`); `''` for most. */
      readonly unread: string;
      readonly body: Uint8Array;
    }
  /** A source partition has come to this time, without events. `partition` as the stream's watermark knows it. */
  | {
      readonly kind: 'time';
      readonly stream: string;
      readonly partition: string;
      readonly tsMs: number;
      readonly arrivalMs: number;
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
  /**
   * Resolves when it is durable; rejects with `LogUnavailable` (disk full, I/O error): then it may not be acknowledged.
   * Records written together share one promise. Its rejection must be handled.
   */
  readonly durable: Promise<void>;
}

export interface EventLog {
  /** Sequence number of the newest record; 0 for an empty log. */
  readonly last: number;
  /** Sequence number of the oldest record held; `last + 1` when none is. */
  readonly first: number;
  /** Bytes held. */
  readonly bytes: number;
  /** Whether it takes records: false from a failed write until `recover`. */
  readonly available: boolean;
  /** The record and its body must not change afterwards. Throws `LogUnavailable`, taking nothing, without room or log. */
  append(record: LogRecord): Appended;
  /**
   * Records after `after`, oldest first, up to the one that is the newest now, durable or not. Throws `LogDamaged` at a
   * record that does not match its checksum, and at one that was truncated: `read(first - 1)` gives all there are.
   */
  read(after: number): AsyncIterable<LoggedRecord>;
  /** Forgets records up to and including `seq`, which `last` may not be below. Rejects with `LogUnavailable`. */
  truncate(seq: number): Promise<void>;
  /** Tries whether writing works again; resolves when records are taken. Rejects with `LogUnavailable` when not. */
  recover(): Promise<void>;
  /** Waits for what is being written. */
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
