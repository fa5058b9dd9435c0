/**
 * What others have published about Nexmark, per core, to be read beside the rows of this harness.
 *
 * Role: figures of other people, with what their runs include; nothing here was measured by this project, and other
 * machines, generators and durability were at work. Flink 2.0: GUIDE_V2.md of nexmark/nexmark at 6b3646c, rate over
 * cores of its table. Feldera: benchmark/README.md of feldera/feldera at 5c7931d, rate over 16 cores.
 */
interface Published {
  readonly query: string;
  /** Thousand events per second and core. */
  readonly flinkK: number;
  /** Null: not published. */
  readonly felderaK: number | null;
}

const PUBLISHED: readonly Published[] = [
  { query: 'q0', flinkK: 379, felderaK: 436 },
  { query: 'q1', flinkK: 395, felderaK: 412 },
  { query: 'q2', flinkK: 414, felderaK: 422 },
  { query: 'q5', flinkK: 74.5, felderaK: 412 },
  { query: 'q7', flinkK: 22.9, felderaK: 196 },
  { query: 'q8', flinkK: 162, felderaK: 415 },
  { query: 'q11', flinkK: 46.1, felderaK: null },
];

const of = (figure: (row: Published) => number | null): string =>
  PUBLISHED.map((row) => `${row.query} ${figure(row) ?? '-'}`).join(', ');

/** Lines for a report. */
export const PUBLISHED_LINES: readonly string[] = [
  `Nexmark, thousand events/s per core, Flink 2.0 (50 M events, parallelism 8, RocksDB, exactly-once checkpoints every 30 s; generator and sink inside): ${of(({ flinkK }) => flinkK)}`,
  `Nexmark, thousand events/s per core, Feldera (16 cores, state in memory; simple queries are bound by its generator): ${of(({ felderaK }) => felderaK)}`,
];
