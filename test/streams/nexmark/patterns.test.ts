/**
 * Nexmark's patterns of prices of a bidder: cep0, cep1.
 */
import { cep0, cep1 } from './queries-patterns.ts';
import { EVENTS, nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('patterns', [cep0, cep1], RATES.slow, EVENTS.few);
