/**
 * What a checkpoint says of the engine beside the memory of its shards, as JSON.
 *
 * Role: between `lifecycle.ts`, which writes and reads it, and those whose facts these are. How the memory is laid out is
 * told by `shapes`.
 */
import type { AlertFacts } from '../alerts/alert-book.ts';
import type { SinkBatch } from '../sinks/port.ts';
import type { BookFacts } from './intake/books.ts';
import type { MissedFacts } from './intake/missed-steps.ts';
import type { EvictionFacts } from './results/evictions.ts';
import type { RankingFacts } from './results/rankings.ts';

export interface SinkFacts {
  readonly cursor: number;
  readonly pending: readonly SinkBatch[];
}

export interface Facts {
  readonly shards: number;
  /** Of the memory of operators, by their names; see `define/state-shape.ts`. */
  readonly shapes: Readonly<Record<string, string>>;
  readonly incarnation: number;
  readonly books: Readonly<Record<string, BookFacts>>;
  /** Absent where an earlier version wrote it. */
  readonly missed?: MissedFacts;
  readonly sinks: Readonly<Record<string, SinkFacts>>;
  readonly alerts: AlertFacts;
  readonly rankings: RankingFacts;
  readonly evictions: EvictionFacts;
}
