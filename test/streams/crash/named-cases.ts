/**
 * Random cases side by side in one engine: one stream each, with a name of its own.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { CASE_SHAPE, randomCase } from '../oracle/arbitrary.ts';
import type { OracleBatch, OracleCase } from '../oracle/case.ts';

export interface CaseWish {
  readonly seed: number;
  readonly streams: number;
  /** Shorter cases are passed over. */
  readonly batchesMin: number;
}

/** `change`: what is different in each stream's definition. */
export function namedCases(
  { batchesMin, seed: first, streams: count }: CaseWish,
  change: (stream: StreamDefinition) => StreamDefinition,
): OracleCase[] {
  const cases: OracleCase[] = [];
  for (let seed = first; cases.length < count; seed++) {
    const given = randomCase(seed, { ...CASE_SHAPE, eventsMax: 240 });
    if (given.steps.length < batchesMin) continue;
    const name = `s${cases.length}`;
    const streams = given.streams.map((stream) => change({ ...stream, name }));
    cases.push({ streams, steps: given.steps.map((step) => ({ ...step, stream: name })) });
  }
  return cases;
}

export function streamIn(given: OracleCase): StreamDefinition {
  return given.streams[0] as StreamDefinition;
}

export function batchesIn(given: OracleCase): readonly OracleBatch[] {
  return given.steps as readonly OracleBatch[];
}
