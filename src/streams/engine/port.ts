/**
 * What the rest of the server sees of the streams: ingest, connectors, MCP tools and resources, operations, CLI.
 *
 * Role: the seam in front of `engine.ts`. Nothing behind it is asked for by name elsewhere. Refusals are values of the
 * closed table `STREAM_REFUSALS`, thrown as `StreamRefusal` and never with a stack of their own to look at.
 */
import { nearest } from '../../config/nearest.ts';
import type { StreamDefinition } from '../define/definition.ts';
import type { OwnContext } from '../event-context.ts';
import type { Plan } from '../plan.ts';
import type { Accepted, IncomingBatch } from '../sources/port.ts';

/** Name → HTTP status, whether the same request may succeed later. */
export const STREAM_REFUSALS = {
  /** No stream, window, pattern, alert of that name. */
  unknown: { status: 404, retry: false },
  /** What was sent cannot be taken as a whole. */
  invalid: { status: 400, retry: false },
  /** The batch id was used for another body. */
  conflict: { status: 422, retry: false },
  /** Media type that no decoder reads. */
  mediaType: { status: 415, retry: false },
  /** No thread could decode it, or apply it: it is kept as a dead letter, as a whole. */
  undecodable: { status: 422, retry: false },
  /** More is asked than can be answered in time. */
  asked: { status: 503, retry: true },
  /** More bytes than `pendingBytesMax` wait to be applied. */
  pending: { status: 429, retry: true },
  /** State is at its limit and the policy is `refuse`. */
  full: { status: 503, retry: true },
  /** The log, or the dead letters, cannot be written: disk full, I/O error. */
  unavailable: { status: 503, retry: true },
  /** Starting, stopping, or broken. */
  stopped: { status: 503, retry: true },
} as const;

export type RefusalName = keyof typeof STREAM_REFUSALS;

export class StreamRefusal extends Error {
  readonly refusal: RefusalName;
  readonly retryAfterMs: number;
  constructor(refusal: RefusalName, message: string, retryAfterMs = 0) {
    super(message);
    this.name = 'StreamRefusal';
    this.refusal = refusal;
    this.retryAfterMs = retryAfterMs;
  }

  /** `id`: the batch id, in the words of who sent it. */
  static usedFor(id: string): StreamRefusal {
    return new StreamRefusal('conflict', `${id} was used for a batch with another body`);
  }

  /** `known`: names of those there are, one of which may have been meant. */
  static noStream(name: string, known: Iterable<string>): StreamRefusal {
    const written = name.slice(0, 64);
    const suggestion = nearest(written, known);
    const hint = suggestion === null ? '' : `; did you mean ${suggestion}?`;
    return new StreamRefusal('unknown', `no stream named ${JSON.stringify(written)}${hint}`);
  }

  /** It does not count, but it is kept: who has sent it goes on behind it. */
  get isKept(): boolean {
    return this.refusal === 'undecodable';
  }
}

export const isConflict = (error: unknown): boolean => error instanceof StreamRefusal && error.refusal === 'conflict';

export interface StreamCounters {
  readonly accepted: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly late: number;
  readonly batches: number;
  readonly results: number;
}

export interface StreamFacts {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly durability: string;
  /** ms; null before the first event. */
  readonly watermark: number | null;
  readonly counters: StreamCounters;
  readonly pendingBytes: number;
  /** Bytes of its state that lie on disk; what a join keeps is of both of its streams. */
  readonly spilledBytes: number;
  readonly deadLetters: number;
  /** Partial matches given up because a limit was reached, by pattern. */
  readonly partialsDropped: Readonly<Record<string, number>>;
  /** Keys whose state was let go because there was no room for it, by operator; of those that have let any go. */
  readonly keysEvicted: Readonly<Record<string, number>>;
  /** Results that a sink has refused for good, since the start. */
  readonly resultsRefused: number;
  /** Results with values that a reducer threw for, since the start, by window; of those that have any. */
  readonly resultsFailed: Readonly<Record<string, number>>;
  /** Webhook calls of alerts that were refused for good, or given up because too many waited, since the start. */
  readonly alertCallsLost: number;
  /** Steps of time (watermarks, ticks) that could not be applied and are left out, since the start. */
  readonly stepsLeftOut: number;
}

/** Open and closed results of a window, pattern, join, view or anomaly. */
export interface WindowQuery {
  readonly stream: string;
  /** Name of the operator. */
  readonly name: string;
  /** Members of the key; null for all keys. */
  readonly key: Readonly<Record<string, string | number | boolean | null>> | null;
  /** Results whose [start, end) overlaps [fromMs, toMs). */
  readonly fromMs: number;
  readonly toMs: number;
  /** Rows. Default of the tool 100, at most 1000. */
  readonly limit: number;
  /** Value by which the best are chosen, descending; `''`: newest first. */
  readonly by: string;
  readonly include: 'open' | 'closed' | 'all';
}

export type Truncation = 'limit' | 'retained' | 'unanswered' | 'size';

/** A part of the keys that a question got no answer of. */
export interface Unanswered {
  /** `shards 1, 3 of 16`, of a stream with partitions with the partition in front. */
  readonly part: string;
  readonly why: string;
}

export interface WindowAnswer {
  /** Parsed result lines (see `result-line.ts`), open ones first. */
  readonly rows: readonly ResultLine[];
  readonly watermark: number | null;
  /** There may be more than these. */
  readonly truncated: boolean;
  /**
   * Why: more rows than the limit match (`limit`), or closed results of the range are kept no more (`retained`, see
   * `retainRows`), or a part of the keys could not be asked (`unanswered`): the highest are then those of what is left.
   * `size`: rows are so large that there is no room for as many.
   */
  readonly truncatedBy: readonly Truncation[];
  /** Open results of these are not among the rows; empty: all have answered. */
  readonly unanswered: readonly Unanswered[];
}

export interface ResultLine {
  readonly id: string;
  readonly stream: string;
  readonly name: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly start: number | null;
  readonly end: number | null;
  readonly pane: number;
  readonly timing: 'early' | 'on-time' | 'late';
  readonly final: boolean;
  readonly retraction?: boolean;
  readonly output?: 'late' | 'timeout';
  readonly values: Readonly<Record<string, unknown>>;
  /** Values that are null because a reducer threw: what it threw. */
  readonly failed?: Readonly<Record<string, string>>;
  readonly context?: {
    readonly events: readonly string[];
    readonly traces: readonly string[];
    readonly correlationIds: readonly string[];
  };
}

export interface RaisedAlert {
  readonly id: string;
  readonly stream: string;
  readonly alert: string;
  readonly severity: 'info' | 'warning' | 'critical';
  readonly state: 'raised' | 'cleared';
  readonly key: Readonly<Record<string, unknown>>;
  readonly message: string;
  readonly atMs: number;
  readonly result: ResultLine;
}

export interface AlertFilter {
  /** `''`: of all. */
  readonly stream: string;
  readonly active: boolean;
  readonly limit: number;
}

export interface DeadLetterFacts {
  /** `seq:index`. */
  readonly id: string;
  readonly stream: string;
  readonly seq: number;
  readonly index: number;
  readonly source: string;
  readonly partition: string;
  readonly reason: string;
  readonly arrivalMs: number;
  /** Original bytes as text where they are UTF-8, else base64. */
  readonly text: string;
  readonly base64: boolean;
}

/** An event behind a result, as it came in. What is `''` is not there. */
export interface OriginalEvent extends Partial<OwnContext> {
  readonly id: string;
  /** Of binary formats as JSON. */
  readonly text: string;
  /** Connector that brought it. */
  readonly source: string;
  readonly partition?: string;
  /** Its batch's in the source: offset, entry. */
  readonly position?: string;
  readonly arrivalMs: number;
  /** Of an event that was made of a result: that result. `window_query` gives it, with the events behind it. */
  readonly result?: ResultPlace;
}

/** What a result of a stream is found by; bounds and pane that values of the same names stand for are not there. */
export interface ResultPlace {
  readonly stream: string;
  /** Of the window, pattern, join, view, anomaly or alert. */
  readonly name: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly start?: number | null;
  readonly end?: number | null;
  readonly pane?: number;
}

export interface DefineOutcome {
  /** What kept its state and what not, and why. */
  readonly operators: readonly { readonly name: string; readonly kept: boolean; readonly why: string }[];
}

export interface StreamChange {
  readonly stream: string;
  /** Operator, or `''` for the stream itself. */
  readonly operator: string;
  readonly kind: 'window' | 'pattern' | 'join' | 'view' | 'anomaly' | 'alert' | 'stream';
}

/** What became of the events of dead letters. */
export interface Replayed extends Accepted {
  /** Those that were there: one that a full stream has set aside has all events of its batch. */
  readonly letters: number;
}

export interface Streams {
  readonly plan: Plan;
  readonly definitions: readonly StreamDefinition[];
  /** Resolves when durable at the stream's level and applied. `source` names the connector. Rejects with `StreamRefusal`. */
  accept(stream: string, source: string, batch: IncomingBatch): Promise<Accepted>;
  /** At once where all streams are of this node. */
  list(): readonly StreamFacts[] | Promise<readonly StreamFacts[]>;
  query(query: WindowQuery): Promise<WindowAnswer>;
  /** Newest first. Throws or rejects with `StreamRefusal` for a stream that is not there. */
  alerts(filter: AlertFilter): readonly RaisedAlert[] | Promise<readonly RaisedAlert[]>;
  /** Adds a window or pattern to a stream, or replaces one that was defined so. What is declared is refused. */
  define(stream: string, kind: 'windows' | 'patterns', definition: unknown): Promise<DefineOutcome>;
  /** Removes a window or pattern that was defined by a call. Refused for one that is declared, or read by something. */
  remove(stream: string, kind: 'windows' | 'patterns', name: string): Promise<DefineOutcome>;
  /** Events of evidence ids (`seq:row`) of a stream's results, as far as the log still has them. */
  events(stream: string, ids: readonly string[]): Promise<readonly OriginalEvent[]>;
  /** Oldest first, after the id given (`''`: from the oldest). */
  deadLetters(stream: string, after: string, limit: number): Promise<readonly DeadLetterFacts[]>;
  /** Accepts them again; those that are good now leave the queue. */
  replayDeadLetters(stream: string, ids: readonly string[]): Promise<Replayed>;
  dropDeadLetters(stream: string, ids: readonly string[]): Promise<number>;
  /** Called once per operator and round that has results, and when one is removed. Returns the way to stop. */
  onChange(listener: (change: StreamChange) => void): () => void;
  /** Reasons why it is not all well: `log`, `sink …`. */
  readonly degraded: readonly string[];
}
