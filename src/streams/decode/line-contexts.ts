// HOT PATH
/**
 * Contexts of events made of results: as many lines as the body has, each the context of the event in that line of it, or
 * empty.
 *
 * Role: gives the rows of a batch of lines what `event-context.ts` reads. Lines that were refused have no row, so that
 * rows are matched by where their event stands in the body.
 */
import type { BatchWriter } from './batch-writer.ts';

const LINE_FEED = 10;

/** `contexts` ends with a line feed, and the body has none but behind its events. */
export function setContexts(writer: BatchWriter, contexts: Uint8Array): void {
  let contextAt = writer.appendBytes(contexts);
  const bytes = writer.bytes;
  const batch = writer.batch;
  let lineEnd = bytes.indexOf(LINE_FEED);
  for (let row = 0; row < writer.row; row++) {
    while (lineEnd >= 0 && lineEnd < (writer.eventAt[row] as number)) {
      lineEnd = bytes.indexOf(LINE_FEED, lineEnd + 1);
      contextAt = bytes.indexOf(LINE_FEED, contextAt) + 1;
    }
    batch.setContext(row, contextAt, bytes.indexOf(LINE_FEED, contextAt) - contextAt);
  }
}
