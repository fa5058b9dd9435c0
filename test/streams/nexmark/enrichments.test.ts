/**
 * Nexmark queries that bring other data to bids: Q13, Q23.
 */
import { q13, q23 } from './queries-joins.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('enrichments', [q13, q23], RATES.slow);
