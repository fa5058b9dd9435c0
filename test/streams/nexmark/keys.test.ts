/**
 * Nexmark queries that answer per key, over bids: Q12, Q15 to Q19.
 */
import { q12, q15, q16, q17, q18, q19 } from './queries-bids.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('per key', [q12, q15, q16, q17, q18, q19], RATES.slow);
