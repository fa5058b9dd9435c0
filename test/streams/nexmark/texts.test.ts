/**
 * Nexmark queries that take texts apart, bid by bid: Q21, Q22.
 */
import { q21, q22 } from './queries-bids.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('texts', [q21, q22], RATES.slow);
