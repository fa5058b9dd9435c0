/**
 * Runs Nexmark's streams through the engine on this thread: the `StreamRunner` the queries are judged with.
 */
import { openRig } from '../engine/rig.ts';
import type { StreamRunner } from './feed.ts';

/** Batches on their way at once. */
const AHEAD = 8;

export const runQuery: StreamRunner = async (streams, batches, { operator, stream }) => {
  const declared = streams.map((each) =>
    each.name === stream ? { ...each, sinks: [...(each.sinks ?? []), { type: 'tap', of: [operator] }] } : each,
  );
  const rig = await openRig(declared);
  const pending: Promise<unknown>[] = [];
  for (const batch of batches) {
    pending.push(
      rig.service.accept(batch.stream, 'nexmark', {
        format: 'ndjson',
        partition: '',
        body: batch.body,
        position: '',
        batchId: '',
        traceparent: '',
        correlationId: '',
      }),
    );
    if (pending.length >= AHEAD) await Promise.all(pending.splice(0));
  }
  await Promise.all(pending);
  // Windows of processing time close.
  rig.nowMs += 3_600_000;
  rig.tick();
  await rig.settled();
  const lines = rig.tap.lines();
  await rig.close();
  return lines;
};
