/**
 * Nexmark's query that writes all bids to files: Q10.
 */
import { q10 } from './queries-bids.ts';
import { EVENTS, nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('Parquet files', [q10], RATES.slow, EVENTS.few);
