/**
 * Where a session is in Redis. All of its keys share a hash tag, so that a script may use them together on a Cluster.
 *
 *   mcp:session:{id}           hash: i (packed: what `initialize` settled), v (version), l (log level), r (initialized),
 *                              s:<uri> for each subscription
 *   mcp:session:{id}:events    list of events, oldest first
 *   mcp:session:{id}:streams   hash: per stream what was given out and dropped; :b (bytes of events), :e and :h (who
 *                              writes the standalone stream; until there is one, who opened the session)
 *   mcp:session:{id}:order     list of streams, oldest first
 *   mcp:sessions               sorted set: session → last use, by the clock of Redis
 *
 * All but the last end with the session's time to live.
 */

/** In the order scripts take them. */
export type SessionKeys = readonly [record: string, events: string, streams: string, order: string];

export function sessionKeys(prefix: string, sessionId: string): SessionKeys {
  const record = `${prefix}session:{${sessionId}}`;
  return [record, `${record}:events`, `${record}:streams`, `${record}:order`];
}

export function sessionIndexKey(prefix: string): string {
  return `${prefix}sessions`;
}
