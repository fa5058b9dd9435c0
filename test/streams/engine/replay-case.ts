/**
 * Feeds an oracle's case to an engine, the way its log would have it.
 */
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { encodeBatch, type OracleCase, type OracleStep } from '../oracle/case.ts';
import type { Rig, RigOptions } from './rig.ts';

/** More than a case has; memory for a million of them would cost more than all else when it is made and copied. */
const DEDUP = { idsMax: 2000, batchIdsMax: 100 };

/** The case's streams with a tap on each. */
export function tapped({ streams }: OracleCase): StreamDefinition[] {
  return streams.map((stream) => ({ ...stream, dedup: DEDUP, sinks: [{ type: 'tap' }] }));
}

/** Of every other case time goes on in small parts. */
export const partsBy = (seed: number): RigOptions => (seed % 2 === 0 ? {} : { resultsAtOnce: 1 + (seed % 11) });

export async function playStep(rig: Rig, step: OracleStep): Promise<void> {
  if ('idle' in step) throw new Error('idle partitions are played by ticks');
  rig.nowMs = step.arrivalMs;
  const { body, format } = encodeBatch(step);
  await rig.service.accept(step.stream, step.source, {
    format,
    partition: step.partition,
    body,
    position: '',
    batchId: '',
    traceparent: '',
    correlationId: '',
  });
}

/** All at once: batches are on their way side by side, in the order given. */
export async function play(rig: Rig, given: OracleCase): Promise<void> {
  await Promise.all(given.steps.map((step) => playStep(rig, step)));
}
