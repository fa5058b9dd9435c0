/**
 * The connectors of a unit: those of its streams, made so that another node can take the unit over.
 *
 * Role: Redis sinks refuse an owner with an older token; Redis sources take over what an earlier owner left lying. Of
 * streams with partitions each has a place of its own in a sink, and reads a key of its own.
 */
import { PARTITION_PLACEHOLDER } from '../define/compile-partitions.ts';
import type { ConnectorKinds } from '../engine/connectors/connectors.ts';
import type { Unit } from './units.ts';

/** Entries of a Redis source that a node took and never logged, since it was replaced, are taken over after so long. */
const CLAIM_IDLE_MS = 10_000;

export function unitConnectors(kinds: ConnectorKinds, { partition, partitions }: Unit, token: number): ConnectorKinds {
  const sources = new Map(kinds.sources);
  const source = sources.get('redis');
  if (source !== undefined) {
    sources.set('redis', {
      ...source,
      create: (options, stream, host) => {
        const key = String(options['stream']).replaceAll(PARTITION_PLACEHOLDER, String(partition));
        const own = partitions === 1 ? options : { ...options, stream: key };
        return source.create({ claimIdleMs: CLAIM_IDLE_MS, ...own }, stream, host);
      },
    });
  }
  const sinks = new Map(kinds.sinks);
  for (const [type, sink] of kinds.sinks) {
    const named = (name: string): string => (partitions === 1 ? name : `${name}/${partition}of${partitions}`);
    sinks.set(type, {
      ...sink,
      create: (options, name, fileAt) => sink.create({ ...options, fence: token }, named(name), fileAt),
    });
  }
  return { ...kinds, sources, sinks };
}
