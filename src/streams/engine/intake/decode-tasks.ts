/**
 * Tasks that decode records, and the memory they are done in: the body's, which the batch may take over, and what of both
 * comes free again.
 *
 * Role: for the engine, which has records, and a pool of buffers that the redo of the shards gives back to as well.
 */
import { BODY_AT } from '../../decode/event-batch.ts';
import type { EventsRecord } from '../engine.ts';
import type { DecodeResult, DecodeTask } from '../task.ts';
import type { StreamBook } from './books.ts';
import type { BufferPool } from './buffer-pool.ts';

/** Of small batches the next one, which may be large, is not foretold. */
const BATCH_BYTES_PER_BYTE_MAX = 16;

export class DecodeTasks {
  readonly #buffers: BufferPool;

  constructor(buffers: BufferPool) {
    this.#buffers = buffers;
  }

  of(epoch: number, book: StreamBook, record: EventsRecord, seq: number, contextBytes: number): DecodeTask {
    const { arrivalMs, correlationId, format, traceparent } = record;
    const buffers = this.#buffers;
    const bytes = record.body.byteLength;
    const batchBytes = Math.ceil(bytes * Math.min(book.batchBytesPerByte, BATCH_BYTES_PER_BYTE_MAX));
    // Contexts stand behind the body, where the batch writes; a batch of columns has no body.
    const isInPlace = contextBytes === 0 && format !== 'columns' && batchBytes >= BODY_AT + bytes;
    const body = isInPlace ? buffers.copyOf(record.body, BODY_AT, batchBytes) : buffers.copyOf(record.body, 0, bytes);
    return {
      kind: 'decode',
      epoch,
      stream: book.plan.index,
      format,
      body,
      bodyAt: isInPlace ? BODY_AT : 0,
      bodyBytes: bytes - contextBytes,
      contextBytes,
      spare: isInPlace ? body : buffers.take(batchBytes),
      provenance: { seq, arrivalMs, traceparent, correlationId },
      dedup: format.startsWith('cloudevent') && record.setAside === '' ? book.dedupSet() : null,
      looksOnly: false,
    };
  }

  /** Memory that decoding is done with; `isLetGo`: with the batch, too. */
  reuse(
    book: StreamBook,
    { body, bodyBytes, contextBytes, spare }: DecodeTask,
    decoded: DecodeResult | null,
    isLetGo: boolean,
  ): void {
    if (decoded === null) return;
    const buffers = this.#buffers;
    if (body !== spare) buffers.give(body);
    if (decoded.accepted === 0 || isLetGo) buffers.give(decoded.batch);
    if (!decoded.usesSpare && spare !== null) buffers.give(spare);
    book.batchBytesPerByte = decoded.batchBytes / Math.max(1, bodyBytes + contextBytes);
  }
}
