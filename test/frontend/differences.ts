/**
 * Where the two adapters answer the same fault differently, and why. The contract reads this table: whatever is not in
 * it must be equal on both.
 */
export interface Differences {
  /**
   * Malformed requests: node:http answers what came before, then 400, and closes. uWebSockets.js closes, some only
   * after its idle timeout, and answers to requests of the same segment go with the connection.
   */
  readonly malformed: 400 | 'closed';
  /** A request sent while the one before it is being worked on. uWebSockets.js closes the connection and aborts. */
  readonly pipelinedWhilePending: 'in order' | 'closed';
  /** A chunk with an extension: the build of 2023 takes it for malformed. */
  readonly chunkExtension: 'read' | 'closed';
  /** WebSocket text that is not UTF-8: uWebSockets.js closes without a close frame. */
  readonly invalidText: 1007 | 1006;
  /** A body that does not come in time: node:http answers 408. */
  readonly slowBody: 408 | 'closed';
  /** An idle connection counts against `connectionsMax`: uWebSockets.js does not tell of it. */
  readonly idleCounts: boolean;
}

export const DIFFERENCES: Readonly<Record<'uws' | 'node', Differences>> = {
  uws: {
    malformed: 'closed',
    pipelinedWhilePending: 'closed',
    chunkExtension: 'closed',
    invalidText: 1006,
    slowBody: 'closed',
    idleCounts: false,
  },
  node: {
    malformed: 400,
    pipelinedWhilePending: 'in order',
    chunkExtension: 'read',
    invalidText: 1007,
    slowBody: 408,
    idleCounts: true,
  },
};
