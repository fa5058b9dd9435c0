/**
 * The source port: a connector that brings batches of raw bytes.
 *
 * Role: connectors know brokers and files, not events: they hand over bytes with a partition and a position, wait for
 * `accept` to resolve before they acknowledge anything to the broker, and stop reading while it is pending
 * (backpressure). After a restart `start` is given the position of the last record in the log.
 */
import type { Log } from '../../observe/port.ts';
import type { FileAt, OptionNeed } from '../connector-options.ts';
import type { WireFormat } from '../engine/task.ts';

export interface IncomingBatch {
  readonly format: WireFormat;
  readonly partition: string;
  readonly body: Uint8Array;
  /** Position after this batch. */
  readonly position: string;
  /** `''` when the broker's position already excludes repetition. What senders chose is scoped: `scopedBatchId`. */
  readonly batchId: string;
  readonly traceparent: string;
  readonly correlationId: string;
}

export interface Accepted {
  readonly accepted: number;
  readonly rejected: number;
  readonly late: number;
}

export interface SourceHost {
  /**
   * Resolves when the batch is durable at the stream's level and applied. Rejects with an error whose `retryAfterMs` is
   * above 0 when it may be taken later, or whose `isKept` is true when it will not count but is kept as a dead letter.
   */
  accept(batch: IncomingBatch): Promise<Accepted>;
  readonly log: Pick<Log, 'info' | 'warn'>;
  now(): number;
  readonly fileAt: FileAt;
}

export interface Source {
  /** Positions by partition, as last given to `accept`. Resolves when the source reads. */
  start(positions: ReadonlyMap<string, string>): Promise<void>;
  /** Stops reading; resolves when nothing is pending. */
  stop(): Promise<void>;
  /** Ended by itself (a file), failed for good, or still going. */
  readonly done: Promise<void>;
  /** It cannot read just now, and tries again. Absent: it has no such time. */
  readonly failing?: boolean;
}

export interface SourceKind {
  readonly type: string;
  /** What a declaration may have beside `type` and `name`. */
  readonly options: readonly string[];
  readonly needs?: readonly OptionNeed[];
  /** The partition alone says what is read, and positions begin with a number that grows: one in the list is as good as another. */
  readonly readsByPartition?: boolean;
  /** What a declaration reads, beyond the partition: a source with another number in the list goes on at its place. */
  readonly reads?: (options: Readonly<Record<string, unknown>>) => string;
  /** Throws `DefinitionProblem` naming the option, its value and what was expected. */
  create(options: Readonly<Record<string, unknown>>, stream: string, host: SourceHost): Source;
}

/** Half of a pair: UTF-8, in which logs are written, has no form for it, and would read back as another text. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Ids that senders choose are their own: of another sender the same id is another batch. `sender` `''`: nobody signs. */
export const scopedBatchId = (sender: string, key: string): string =>
  key === '' ? '' : `${encodeURIComponent(sender)}|${LONE_SURROGATE.test(key) ? JSON.stringify(key) : key}`;
