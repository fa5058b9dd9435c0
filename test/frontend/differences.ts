/**
 * Where the two adapters answer the same fault differently, and why. The contract reads this table: whatever is not in
 * it must be equal on both.
 */
import { loadNative } from '../../src/frontend/uws/load.ts';

export interface Differences {
  /**
   * Malformed requests: node:http answers what came before, then 400, and closes. uWebSockets.js closes, some only
   * after its idle timeout, and answers to requests of the same segment go with the connection; later builds say 400
   * before they do.
   */
  readonly malformed: 400 | '400 alone' | 'closed';
  /** A request sent while the one before it is being worked on. uWebSockets.js closes the connection and aborts. */
  readonly pipelinedWhilePending: 'in order' | 'closed';
  /** A chunk with an extension: uWebSockets.js takes it for malformed. */
  readonly chunkExtension: 'read' | 400 | 'closed';
  /** A repeated `Host`: later builds of uWebSockets.js refuse it themselves. */
  readonly repeatedHost: 403 | 400;
  /** WebSocket text that is not UTF-8: uWebSockets.js closes without a close frame. */
  readonly invalidText: 1007 | 1006;
  /** A body that does not come in time: node:http answers 408. */
  readonly slowBody: 408 | 'closed';
  /** An idle connection counts against `connectionsMax`: uWebSockets.js does not tell of it. */
  readonly idleCounts: boolean;
}

const loaded = loadNative();
/** The build of 2023 closes without a word. */
const saysWhy = 'native' in loaded && !loaded.description.includes(' 20.30.');

export const DIFFERENCES: Readonly<Record<'uws' | 'node', Differences>> = {
  uws: {
    malformed: saysWhy ? '400 alone' : 'closed',
    pipelinedWhilePending: 'closed',
    chunkExtension: saysWhy ? 400 : 'closed',
    repeatedHost: saysWhy ? 400 : 403,
    invalidText: 1006,
    slowBody: 'closed',
    idleCounts: false,
  },
  node: {
    malformed: 400,
    pipelinedWhilePending: 'in order',
    chunkExtension: 'read',
    repeatedHost: 403,
    invalidText: 1007,
    slowBody: 408,
    idleCounts: true,
  },
};
