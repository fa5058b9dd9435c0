/**
 * What people write to declare streams: the members of the `streams` list of a configuration file, the argument of
 * `defineStream`, and of the tools that define windows and patterns at run time. One shape for all three.
 *
 * Role: the outer seam. `compile.ts` checks it once, names the path of what is wrong, and makes a `Plan`; nothing past
 * it sees an optional member. Durations are milliseconds; names, of fields too, match `[A-Za-z_][A-Za-z0-9_-]{0,63}`.
 * Expressions are texts of the language in `../expressions/` over the fields of the event (`price > 100 && city in
 * ["Oslo"]`).
 */

/** `number`: a double. `integer`: a double that is a safe integer. Values of other types make the event poison. */
export type FieldType = 'number' | 'integer' | 'string' | 'boolean';

export interface FieldDefinition {
  type: FieldType;
  /** Whether an event without it (or with null) is accepted. Default false. */
  optional?: boolean;
}

export interface SchemaDefinition {
  fields: Record<string, FieldType | FieldDefinition>;
  /** Where event time comes from. Default `arrival`. `iso`: RFC 3339 text; the others: numbers. Default unit `ms`. */
  timestamp?: 'arrival' | { field: string; unit?: 's' | 'ms' | 'us' | 'ns' | 'iso' };
  /** Key of windows, patterns and so on that name none. Default none: unkeyed. */
  key?: string[];
  /**
   * Members the schema does not name. `keep`: events behind results are shown as they came; `drop`: by their fields alone. The
   * log, and dead letters, have events as they came. Default `keep`.
   */
  unknown?: 'drop' | 'keep';
}

export interface TimeDefinition {
  /** Watermark: the highest time seen of a source partition − this − 1. Default 0. */
  outOfOrderMs?: number;
  /** A source partition silent for so long does not hold the watermark back. 0: never. Default 30,000. */
  idleAfterMs?: number;
  /** An event further ahead of its arrival is refused as poison and moves no watermark. 0: no guard. Default 300,000. */
  maxFutureMs?: number;
}

export type Durability = 'memory' | 'fsync' | 'replicated';

/** An aggregate by its name, or with its field and options. */
export type AggregateDefinition =
  | 'count'
  | {
      /** `count`, `sum`, `mean`, `min`, `max`, `variance`, `stddev`, `first`, `last`, `distinct`, `quantile`, `top`, `rate`, `ewma`, `collect` or `custom`. */
      fn: string;
      /** Field or expression that is aggregated; `count` and `rate` need none. */
      of?: string;
      /** Only events for which this holds. */
      where?: string;
      /** `quantile`: 0…1. */
      q?: number;
      /** `quantile`: relative error once the exact bound is passed. Default 0.01. */
      relativeError?: number;
      /** `top`: entries. Default 10. `collect`: values. Default 100. */
      limit?: number;
      /** `ewma`: weight of the newest value, 0…1. Default 0.3. */
      alpha?: number;
      /** `rate`: per this many milliseconds. Default 1000. */
      perMs?: number;
      /**
       * `custom`: module and export with `init, add, merge, result`; a path, from the folder of the file that declares it, or a
       * package. At run time only those that a declared window has.
       */
      module?: string;
      export?: string;
    };

export interface TriggerDefinition {
  /** Early results of an open window, this often (processing time). 0: none. Default 0. */
  everyMs?: number;
  /** Early result after so many events of a key and window. 0: none. Default 0. */
  everyCount?: number;
}

export interface WindowDefinition {
  name: string;
  type: 'tumbling' | 'hopping' | 'cumulating' | 'session' | 'count' | 'global';
  /** tumbling, hopping, cumulating. */
  sizeMs?: number;
  /** hopping: from one start to the next, any; cumulating: the step, which divides the size. */
  slideMs?: number;
  /** Start of windows: ts − ((ts − offset) mod size). Default 0. */
  offsetMs?: number;
  /** session. */
  gapMs?: number;
  /** count: events per window and key. */
  count?: number;
  /** `event` (default) or `processing` time. */
  time?: 'event' | 'processing';
  /** Fields. Default: the stream's key. `[]`: unkeyed. */
  key?: string[];
  where?: string;
  aggregates: Record<string, AggregateDefinition>;
  /** After the end, how long events still count. Default 0. */
  allowedLatenessMs?: number;
  /**
   * Events past the allowed lateness: counted and dropped, or given out as results of the output `late`, with the event's
   * fields as values and its time as bounds. Default `drop`.
   */
  late?: 'drop' | 'side-output';
  trigger?: TriggerDefinition;
  /** What a second result of a window holds: only news, all so far, or all so far after a retraction. Default `accumulating`. */
  accumulation?: 'discarding' | 'accumulating' | 'retracting';
  /**
   * Keep only the best keys of each window: `{by: 'n', limit: 10}` (descending, equal ones by the text of their key), ties
   * at the limit all kept when `ties`. tumbling, hopping, cumulating. A pane is the whole ranking: its rows have one
   * number and take the place of all rows of the pane before, which `retracting` takes back first. With lateness or
   * early results not `discarding`; no `trigger.everyCount`; anomalies and alerts cannot look at such a window, and
   * windows still open are shown with all their keys.
   */
  top?: { by: string; limit: number; ties?: boolean };
  /** How many closed results are kept for queries. Default 10,000 rows. */
  retainRows?: number;
}

/** One step of a pattern: see `../patterns/`. */
export interface PatternStep {
  name: string;
  /** Condition. Earlier steps are visible by name: `price < last(a).price`, `count(a)`, `sum(a.price)`. Default true. */
  where?: string;
  /** How it follows the step before. `next`: strict; `followedBy`: skips others; `followedByAny`: also branches. The `not` forms forbid. Default `followedBy`. */
  contiguity?: 'next' | 'followedBy' | 'followedByAny' | 'notNext' | 'notFollowedBy';
  /** Default exactly once. `max` null: unbounded. */
  times?: { min: number; max: number | null };
  /** Default false. */
  optional?: boolean;
  /** Repetitions take as many events as they can. Default false. */
  greedy?: boolean;
  /** Contiguity between repetitions. Default `followedBy` (relaxed). */
  inner?: 'next' | 'followedBy' | 'followedByAny';
  /** Ends a repetition. */
  until?: string;
}

export interface PatternDefinition {
  name: string;
  /** Fields. Default: the stream's key. `[]`: unkeyed. */
  key?: string[];
  steps: PatternStep[];
  /** From the first to the last event of a match at most. Default: no bound. */
  withinMs?: number;
  /** Where to go on after a match. Default `noSkip`. */
  skip?: 'noSkip' | 'skipToNext' | 'skipPastLast' | { toFirst: string } | { toLast: string };
  /** Values of a match: expressions over the steps. Default: the times of the first and last event. */
  select?: Record<string, string>;
  /** Also emit partial matches that ran out of time, as `{name}.timeout`. Default false. */
  timeouts?: boolean;
  /** Order by event time behind the watermark (default), or as events arrive. */
  time?: 'event' | 'arrival';
}

export interface JoinDefinition {
  name: string;
  /** The other stream; this one is the left. */
  with: string;
  /** `interval`: lowerMs ≤ right.ts − left.ts ≤ upperMs. `window`: same tumbling window. `lookup`: newest right version at left's time. */
  type: 'interval' | 'window' | 'lookup';
  /** Fields that are equal: as many on either side, of the same types. */
  on: { left: string[]; right: string[] };
  /** interval; both are needed, either may be negative. */
  lowerMs?: number;
  upperMs?: number;
  /** window. */
  sizeMs?: number;
  /** `inner` (default) or `left`. */
  kind?: 'inner' | 'left';
  /** Condition over `left.` and `right.` fields. */
  where?: string;
  /** Output values: expressions over `left.` and `right.` fields. */
  select: Record<string, string>;
  /** lookup: versions older than this are forgotten. 0: never. Default 0. */
  ttlMs?: number;
}

export interface AnomalyDefinition {
  name: string;
  /** A window of this stream whose results are looked at, or (absent) the events themselves. */
  window?: string;
  /** Value looked at: an aggregate's name, or a field; a number unless the type is `missing`. */
  value: string;
  type: 'zscore' | 'ewma' | 'seasonal' | 'rate' | 'missing';
  /** Fields. Default: the stream's key, or that of the window. */
  key?: string[];
  /** zscore, ewma, seasonal: deviations from the mean that count as an anomaly. Default 3. */
  threshold?: number;
  /** ewma: weight of the newest value. Default 0.1. */
  alpha?: number;
  /** zscore, ewma, seasonal: values seen before anything is an anomaly. Default 20. */
  warmup?: number;
  /** seasonal: length of the season and its buckets. */
  seasonMs?: number;
  buckets?: number;
  /** rate: change per second that counts as an anomaly. */
  maxPerSecond?: number;
  /**
   * missing: a key that was seen and then silent for so long, of the stream's event time. When all of the stream is idle
   * (`time.idleAfterMs`; never, when that is 0) its time goes on by the clock.
   */
  afterMs?: number;
}

export interface AlertDefinition {
  name: string;
  /** A window, pattern, join, view or anomaly of this stream. */
  on: string;
  /** Raised when this holds for a result. Default true. */
  when?: string;
  /** Cleared when this holds; default: when `when` does not. Different texts make a hysteresis. */
  clear?: string;
  /** Results in a row for which `when` must hold, at most 255. Default 1. */
  for?: number;
  /** Default `warning`. */
  severity?: 'info' | 'warning' | 'critical';
  /** Text for people: `{key.host} at {mean}`. */
  message?: string;
  /** With `silenceMs`: alerts of the same group (values of these key fields) are told as one. Default: each key by itself. */
  groupBy?: string[];
  /** After its webhooks were called, they are not for the same group for so long. Default 0. */
  silenceMs?: number;
  /** Beside the MCP notification, which is always sent. */
  actions?: ({ webhook: string; headers?: Record<string, string> } | { stream: string })[];
}

/** Events of this stream that are handed on, filtered and projected. */
export interface ViewDefinition {
  name: string;
  where?: string;
  /** Output values by name. Default: all fields. */
  select?: Record<string, string>;
}

/**
 * A connector that pulls; see `../sources/port.ts`. HTTP, WebSocket and `stream_publish` are always there. Paths in it
 * begin at the folder of the file that declares it, those of a program in the working directory.
 */
export interface SourceDefinition {
  type: string;
  /**
   * Its place is kept under it. Default: under what it reads, so that others of the list may come and go (of those that
   * read the same, and of types that do not say what they read, under the number in the list).
   */
  name?: string;
  [option: string]: unknown;
}

/**
 * Type `stream`, with the name of a `stream`, makes events of the results: members of the key, values, `start`, `end`,
 * `pane`, `timing` and `final`. What takes results back, and outputs beside the main one (late events, timeouts), are
 * events only where the schema of that stream has a boolean field `retraction`, a text field `output` (`''`, `late`,
 * `timeout`).
 */
export interface SinkDefinition {
  type: string;
  /** As of a source; so are paths. */
  name?: string;
  /** Windows, patterns, joins, views, anomalies or alerts of this stream; default: all of them. */
  of?: string[];
  [option: string]: unknown;
}

export interface LimitsDefinition {
  /** Keys held, all shards together. Default 1,000,000. */
  keysMax?: number;
  /** Bytes of state in use, all shards together. Default 512 MiB. */
  stateBytesMax?: number;
  /**
   * Past either: refuse batches with 503, after ten seconds without room set them aside as dead letters (`rejected`), one
   * at a time, so that time goes on; or, shard by shard, forget the keys idle the longest; or keep shards on disk between
   * rounds. With `spill`, `stateBytesMax` is the memory that state and its copies take. Default `refuse`.
   */
  onFull?: 'refuse' | 'evict-idle' | 'spill';
  /** `spill` only: bytes of state on disk and in use; past them as with `refuse`. Default 16 GiB. */
  spillBytesMax?: number;
  /** Bytes accepted and not applied yet; more is answered 429. Default 64 MiB. */
  pendingBytesMax?: number;
}

export interface StreamDefinition {
  name: string;
  title?: string;
  description?: string;
  schema: SchemaDefinition;
  time?: TimeDefinition;
  /** Default `memory`. */
  durability?: Durability;
  /**
   * `replicated` only: parts by `schema.key` that nodes run apart from each other, 1 to 64. Default 1. Every operator's
   * key must hold those fields, and limits are those of each part. Another number, or key, begins anew.
   */
  partitions?: number;
  /**
   * Remembered against repetition: `source`+`id` of CloudEvents (`idsMax`, default 1,000,000), batch ids such as
   * Idempotency-Key (`batchIdsMax`, default 100,000, at most 1,000,000 of 300 bytes or so and the id), for `ttlMs`, default
   * one hour.
   */
  dedup?: { idsMax?: number; batchIdsMax?: number; ttlMs?: number };
  limits?: LimitsDefinition;
  windows?: WindowDefinition[];
  patterns?: PatternDefinition[];
  joins?: JoinDefinition[];
  anomalies?: AnomalyDefinition[];
  views?: ViewDefinition[];
  alerts?: AlertDefinition[];
  sources?: SourceDefinition[];
  sinks?: SinkDefinition[];
}
