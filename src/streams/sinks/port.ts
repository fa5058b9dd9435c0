/**
 * The sink port: where results go outside of MCP.
 *
 * Role: results come in order of the log; each batch of them carries the sequence number up to which it is complete.
 * After a restart results since the last checkpoint are computed and delivered again, from `cursor` on: a transactional
 * sink stores the sequence number with its data and says where it stands, an idempotent one writes the same identity
 * (stream, operator, key, start, pane) twice without harm.
 */
import type { FileAt, OptionNeed } from '../connector-options.ts';

export interface SinkBatch {
  /** All results of log records up to here have now been delivered. */
  readonly seq: number;
  /**
   * One JSON text per result, without line feed. See `../engine/shards/result-line.ts`. Made on first access:
   * `line-batch.ts` gives bytes and counts without making texts.
   */
  readonly lines: readonly string[];
}

export interface Sink {
  /**
   * Opens the sink; resolves with the sequence number up to which it holds results, 0 when it cannot know. After a
   * rejection with `SinkAway` it is opened again, with growing pauses; after any other it cannot be used as declared.
   */
  open(): Promise<number>;
  /**
   * Resolves when the batch is safe. If it rejects, the same batch is delivered again, with growing pauses, except
   * after `SinkRefusal`. The batch can be read until it resolves; then its memory is used again.
   */
  write(batch: SinkBatch): Promise<void>;
  close(): Promise<void>;
}

export interface SinkKind {
  readonly type: string;
  /** `exactly-once`: transactional or idempotent; `at-least-once`: identities repeat after a crash. */
  readonly guarantee: 'exactly-once' | 'at-least-once';
  /** What a declaration may have beside `type`, `name` and `of`. */
  readonly options: readonly string[];
  readonly needs?: readonly OptionNeed[];
  /** What it writes to and nobody else may: each of two sinks there would cut off what the other has written. */
  readonly place?: (options: Readonly<Record<string, unknown>>, fileAt: FileAt) => string;
  /** `fileAt`: default from the working directory. */
  create(options: Readonly<Record<string, unknown>>, name: string, fileAt?: FileAt): Sink;
}

/** What is outside cannot be reached, or wants to be left alone for a while. */
export class SinkAway extends Error {
  /** Not again before that; 0 when nothing was said. */
  readonly retryAfterMs: number;
  constructor(message: string, retryAfterMs = 0, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'SinkAway';
    this.retryAfterMs = retryAfterMs;
  }
}

/** Results that will not be taken however often they are sent; the others of the batch are safe. */
export class SinkRefusal extends Error {
  readonly results: number;
  constructor(message: string, results: number) {
    super(message);
    this.name = 'SinkRefusal';
    this.results = results;
  }
}
