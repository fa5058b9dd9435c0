/**
 * Which node should run a unit: the highest of all hashes of (unit, node).
 *
 * Role: every node decides alike from the list of nodes alone. A node that comes takes only units it now ranks first
 * for; a node that goes leaves only its own, each to the one that ranked second.
 */
import { createHash } from 'node:crypto';

/** The nodes, the one that should have the unit first. */
export function ranking(unit: string, nodeIds: readonly string[]): string[] {
  const weights = new Map(nodeIds.map((id) => [id, weightOf(unit, id)]));
  const weight = (id: string): number => weights.get(id) as number;
  return [...weights.keys()].sort((a, b) => weight(b) - weight(a) || (a < b ? -1 : 1));
}

function weightOf(unit: string, nodeId: string): number {
  return createHash('sha1').update(`${unit}\n${nodeId}`).digest().readUIntBE(0, 6);
}
