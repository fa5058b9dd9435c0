/**
 * What people write to declare streams: the members of the `streams` list of a configuration file, the argument of
 * `defineStream`, and of the tools that define windows and patterns at run time. One shape for all three.
 *
 * Role: the outer seam. `compile.ts` checks it once, names the path of what is wrong, and makes a `Plan`; nothing past
 * it sees an optional member. Durations are milliseconds; names, also of fields, match `[A-Za-z_][A-Za-z0-9_-]{0,63}`.
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
   * Members that the schema does not name. `keep`: evidence shows events as they came; `drop`: with their fields alone. The
   * log and dead letters hold events as they came. Default `keep`.
   */
  unknown?: 'drop' | 'keep';
}

export interface TimeDefinition {
  /** The watermark of a source partition is its highest time seen − this − 1. Default 0. */
  outOfOrderMs?: number;
  /** A source partition that is silent for this long no longer holds the watermark back. 0: never. Default 30,000. */
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
       * `custom`: module and export with `init, add, merge, result`; a path, relative to the folder of the file that declares
       * it, or a package. Windows that are defined at run time can only use modules of declared ones.
       */
      module?: string;
      export?: string;
    };

export interface TriggerDefinition {
  /** Interval of early results of an open window, in processing time. 0: none. Default 0. */
  everyMs?: number;
  /** An early result after this many events of a key and window. 0: none. Default 0. */
  everyCount?: number;
}

export interface WindowDefinition {
  name: string;
  type: 'tumbling' | 'hopping' | 'cumulating' | 'session' | 'count' | 'global';
  /** tumbling, hopping, cumulating. */
  sizeMs?: number;
  /** hopping: from one start to the next; cumulating: the step, a divisor of the size. */
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
  /** How long after its end a window still takes events. Default 0. */
  allowedLatenessMs?: number;
  /**
   * Events past the allowed lateness: counted and dropped, or given out as results of the output `late`, with the event's
   * fields as values and its time as bounds. Default `drop`.
   */
  late?: 'drop' | 'side-output';
  trigger?: TriggerDefinition;
  /** What a further result holds: what is new, all so far, or all so far after a retraction. Default `accumulating`. */
  accumulation?: 'discarding' | 'accumulating' | 'retracting';
  /**
   * tumbling, hopping, cumulating: keeps only the best keys of each window, `{by: 'n', limit: 10}`, in descending order,
   * equal ones by the text of their key; with `ties` all that are level with the last one. A pane is a whole ranking: its
   * rows share a number and replace all rows of the pane before, which `retracting` takes back first. Not with
   * `trigger.everyCount`, nor `discarding` together with lateness or early results. Anomalies and alerts cannot watch such
   * a window, and open windows are shown with all their keys.
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
  /** Longest time from the first to the last event of a match. Default: no bound. */
  withinMs?: number;
  /** Where matching goes on after a match. Default `noSkip`. */
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
  /** Fields that must be equal: as many on the left as on the right, of the same types. */
  on: { left: string[]; right: string[] };
  /** interval: both are required, either may be negative. */
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
   * missing: how long, in event time, a key that was seen has to be silent. While the whole stream is idle
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
  /** With `silenceMs`: alerts of one group (same values of these key fields) count as one. Default: each key by itself. */
  groupBy?: string[];
  /** How long after a call webhooks are not called again for the same group. Default 0. */
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
 * A connector that pulls; see `../sources/port.ts`. HTTP, WebSocket and `stream_publish` are always there. Paths in it are
 * relative to the folder of the file that declares it, those given by a program to the working directory.
 */
export interface SourceDefinition {
  type: string;
  /**
   * Its position is kept under this name. Default: under what it reads, so that others of the list may come and go; sources
   * that read the same, and types that do not say what they read, go by their number in the list.
   */
  name?: string;
  [option: string]: unknown;
}

/**
 * Type `stream`, with the name of a `stream`, makes events of the results: members of the key, values, `start`, `end`,
 * `pane`, `timing` and `final`. Retractions become events only if the schema of that stream has a boolean field
 * `retraction`, outputs beside the main one (late events, timeouts) only if it has a text field `output` (`''`, `late`,
 * `timeout`).
 */
export interface SinkDefinition {
  type: string;
  /** As for a source; so are paths. */
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
   * What happens past either. `refuse` (default): batches are refused with 503; after ten seconds without room they are set
   * aside as dead letters (`rejected`), one at a time, so that time goes on. `evict-idle`: each shard drops the keys that
   * have been idle longest. `spill`: shards are on disk between rounds, and `stateBytesMax` is the memory that state and its
   * copies take.
   */
  onFull?: 'refuse' | 'evict-idle' | 'spill';
  /** `spill` only: bytes of state on disk and in use; past them as with `refuse`. Default 16 GiB. */
  spillBytesMax?: number;
  /** Bytes accepted and not applied yet; further batches are answered 429. Default 64 MiB. */
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
   * `replicated` only: partitions by `schema.key`, 1 to 64, each of which one node runs. Default 1. Every operator's key
   * must hold those fields, and limits apply to each partition. With another number, or key, the stream begins anew.
   */
  partitions?: number;
  /**
   * What duplicates are recognised by: `source`+`id` of CloudEvents (`idsMax`, default 1,000,000) and batch ids such as
   * Idempotency-Key (`batchIdsMax`, default 100,000, at most 1,000,000; each takes about 300 bytes and the id), remembered
   * for `ttlMs`, default one hour.
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
