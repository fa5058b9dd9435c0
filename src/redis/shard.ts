/**
 * Spreads names over a fixed number of channels or keys, the same on every node and in every version: on a Cluster they
 * then lie on different servers.
 */

/** FNV-1a over the characters. 0 to `shards` - 1. */
export function shardOf(name: string, shards: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
