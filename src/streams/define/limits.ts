/**
 * How much may be declared. Each limit is named, and told with the problem when it is passed.
 *
 * Role: for the schemas and the checks of this folder; what it bounds is the size of a plan, and with it the memory and
 * the work per event that definitions can ask for.
 */
export const STREAMS_MAX = 256;
export const FIELDS_MAX = 256;
export const KEY_FIELDS_MAX = 16;
export const WINDOWS_PER_STREAM_MAX = 64;
export const AGGREGATES_PER_WINDOW_MAX = 64;
export const PATTERNS_PER_STREAM_MAX = 64;
/** Conditions of a pattern are bits of a word, two for each step. */
export const STEPS_PER_PATTERN_MAX = 16;
export const REPETITIONS_MAX = 10_000;
export const JOINS_PER_STREAM_MAX = 16;
export const ANOMALIES_PER_STREAM_MAX = 64;
export const VIEWS_PER_STREAM_MAX = 16;
export const ALERTS_PER_STREAM_MAX = 64;
/** Results in a row an alert can wait for: they are counted in a byte. */
export const CONSECUTIVE_MAX = 255;
export const ACTIONS_PER_ALERT_MAX = 16;
export const HEADERS_PER_WEBHOOK_MAX = 32;
export const SOURCES_PER_STREAM_MAX = 16;
export const SINKS_PER_STREAM_MAX = 16;
export const PARTITIONS_MAX = 64;
/** Values of a pattern, join or view. */
export const SELECTED_MAX = 64;

export const TITLE_CHARACTERS_MAX = 200;
export const DESCRIPTION_CHARACTERS_MAX = 4000;
export const OPTION_CHARACTERS_MAX = 4096;

/** A hundred years. */
export const DURATION_MS_MAX = 100 * 366 * 86_400_000;
/** Slices one window is the sum of: a close adds them all up. */
export const SLICES_PER_WINDOW_MAX = 100_000;
export const SEASON_BUCKETS_MAX = 10_080;
export const TOP_ROWS_MAX = 10_000;
export const AGGREGATE_ENTRIES_MAX = 10_000;
export const RETAINED_ROWS_MAX = 1_000_000;
export const COUNT_MAX = 1_000_000_000;
export const KEYS_MAX = 100_000_000;
export const STATE_BYTES_MAX = 2 ** 42;
export const PENDING_BYTES_MAX = 2 ** 34;
export const DEDUP_IDS_MAX = 100_000_000;
/** They are on the heap of the front-end thread, 300 bytes or so and the id itself, and in every checkpoint. */
export const BATCH_IDS_MAX = 1_000_000;

/** Problems told at once. */
export const PROBLEMS_MAX = 50;
export const EXCERPT_CHARACTERS_MAX = 80;
