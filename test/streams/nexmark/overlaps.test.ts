/**
 * Nexmark's patterns that overlap or end by time: cep2, cep3.
 */
import { cep2, cep3 } from './queries-patterns.ts';
import { EVENTS, nexmarkSuite, RATES } from './suite.ts';

nexmarkSuite('patterns that overlap or end by time', [cep2, cep3], RATES.slow, EVENTS.few);
