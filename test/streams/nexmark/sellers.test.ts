/**
 * Nexmark's query about the last auctions of each seller: Q6.
 */
import { q6 } from './queries-auctions.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('sellers', [q6], RATES.fast);
