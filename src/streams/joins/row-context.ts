// HOT PATH
/**
 * What the events of one batch carry with them, as the bytes their rows hold: trace context and correlation id.
 *
 * Role: most events have none, or that of their batch, which is encoded once. Read back only where a result is told.
 * Layout: two 32-bit lengths, then the texts.
 */
import type { EventBatch } from '../decode/event-batch.ts';
import { contextOf, type OwnContext } from '../event-context.ts';
import type { Provenance } from '../operator.ts';

const HEAD_BYTES = 8;
const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();
/** A first U+FEFF is a character like any other. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

export class BatchContext {
  #batch: EventBatch | null = null;
  #provenance: Provenance | null = null;
  #ofBatch = NO_BYTES;

  begin(batch: EventBatch, provenance: Provenance): void {
    this.#batch = batch.hasContexts ? batch : null;
    this.#provenance = provenance;
    this.#ofBatch = contextBytes(provenance);
  }

  /** Empty for none. */
  bytesOf(row: number): Uint8Array {
    if (this.#batch === null) return this.#ofBatch;
    return contextBytes(contextOf(this.#batch, row, this.#provenance as Provenance));
  }
}

function contextBytes({ correlationId, traceparent }: OwnContext): Uint8Array<ArrayBuffer> {
  if (traceparent === '' && correlationId === '') return NO_BYTES;
  const trace = encoder.encode(traceparent);
  const correlation = encoder.encode(correlationId);
  const bytes = new Uint8Array(HEAD_BYTES + trace.length + correlation.length);
  new Uint32Array(bytes.buffer, 0, 2).set([trace.length, correlation.length]);
  bytes.set(trace, HEAD_BYTES);
  bytes.set(correlation, HEAD_BYTES + trace.length);
  return bytes;
}

/** From where they were written to, aligned to 4. */
export function readContextBytes(bytes: Uint8Array, words: Uint32Array, at: number): OwnContext {
  const trace = words[at >>> 2] as number;
  const correlation = words[(at >>> 2) + 1] as number;
  const begin = at + HEAD_BYTES;
  // Copies: decoders refuse shared memory.
  return {
    traceparent: decoder.decode(bytes.slice(begin, begin + trace)),
    correlationId: decoder.decode(bytes.slice(begin + trace, begin + trace + correlation)),
  };
}
