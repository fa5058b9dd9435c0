/**
 * Nexmark queries over windows of event time, and those that join in one step: Q3, Q5, Q7, Q8, Q11, Q20.
 */
import { q3, q5, q7, q8, q11, q20 } from './queries-joins.ts';
import { nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('windows and joins', [q3, q5, q7, q8, q11, q20], RATES.slow);
