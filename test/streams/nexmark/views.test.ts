/**
 * Nexmark queries that answer event by event, over bids: Q0, Q1, Q2, Q14.
 */
import { q0, q1, q2, q14 } from './queries-bids.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('event by event', [q0, q1, q2, q14], RATES.slow);
