/**
 * All Nexmark queries there are here, in order; QUERIES.md says which are not, and why.
 */
import { q4, q6, q9 } from './queries-auctions.ts';
import { q0, q1, q2, q10, q12, q14, q15, q16, q17, q18, q19, q21, q22 } from './queries-bids.ts';
import { q3, q5, q7, q8, q11, q13, q20, q23 } from './queries-joins.ts';
import { PATTERN_QUERIES } from './queries-patterns.ts';
import type { NexmarkQuery } from './streams.ts';

export const NEXMARK_QUERIES: readonly NexmarkQuery[] = [
  ...[q0, q1, q2, q3, q4, q5, q6, q7, q8, q9, q10, q11],
  ...[q12, q13, q14, q15, q16, q17, q18, q19, q20, q21, q22, q23],
  ...PATTERN_QUERIES,
];

export function queryNamed(name: string): NexmarkQuery {
  const query = NEXMARK_QUERIES.find((each) => each.name === name);
  if (query === undefined) throw new Error(`no Nexmark query ${name}`);
  return query;
}
