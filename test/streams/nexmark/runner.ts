/**
 * Runs a Nexmark query through the engine on this thread; a sink of it writes the answer to a file or folder.
 */
import { CONNECTOR_KINDS } from '../../../src/streams/engine/connectors/connectors.ts';
import { openRig } from '../engine/rig.ts';
import type { FeedBatch } from './feed.ts';
import { linesSinkKind } from './lines-sink.ts';
import type { NexmarkQuery } from './streams.ts';

/** Batches on their way at once. */
const AHEAD = 8;
const SINKS = new Map([...CONNECTOR_KINDS.sinks, [linesSinkKind.type, linesSinkKind]]);
const NO_HEADING = { partition: '', position: '', batchId: '', traceparent: '', correlationId: '' };

/** Takes the batches in order, as one partition per stream. All that follows from them is at `path` then. */
export async function runQuery(
  { answer, sink, streams }: NexmarkQuery,
  batches: Iterable<FeedBatch>,
  path: string,
): Promise<void> {
  const sinkOfAnswer = { type: sink ?? 'lines', path, of: [answer.operator] };
  const declared = streams.map((each) =>
    each.name === answer.stream ? { ...each, sinks: [...(each.sinks ?? []), sinkOfAnswer] } : each,
  );
  const rig = await openRig(declared, { kinds: { ...CONNECTOR_KINDS, sinks: SINKS } });
  try {
    const pending: Promise<unknown>[] = [];
    for (const { body, stream } of batches) {
      pending.push(rig.service.accept(stream, 'nexmark', { ...NO_HEADING, format: 'ndjson', body }));
      if (pending.length >= AHEAD) await Promise.all(pending.splice(0));
    }
    await Promise.all(pending);
    // Windows of processing time close.
    rig.nowMs += 3_600_000;
    rig.tick();
    await rig.settled();
  } finally {
    await rig.close();
  }
}
