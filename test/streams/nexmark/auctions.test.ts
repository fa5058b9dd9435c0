/**
 * Nexmark queries about auctions that are over: Q4, Q9.
 */
import { q4, q9 } from './queries-auctions.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('auctions that are over', [q4, q9], RATES.fast);
