/**
 * Hands a batch over until it is taken: the one way in which sources meet a refusal.
 *
 * Role: overload and an unavailable log pass, so the same batch is offered again after a pause; one that no thread can
 * decode is kept as a dead letter, so the source goes on behind it; anything else is the source's end. While it is offered nothing further is read: that is the backpressure.
 */
import { pauseUnless } from '../../waiting.ts';
import type { IncomingBatch, SourceHost } from './port.ts';

const RETRY_MS = 200;

/** False when the signal came before it was taken. Rejects with a refusal that will not pass. */
export async function acceptUntilTaken(host: SourceHost, batch: IncomingBatch, stop: AbortSignal): Promise<boolean> {
  while (!stop.aborted) {
    try {
      await host.accept(batch);
      return true;
    } catch (error) {
      if (isKept(error)) {
        host.log.warn({ err: error, position: batch.position }, 'a batch does not count; the source goes on behind it');
        return true;
      }
      if (!mayPass(error)) throw error;
      await pauseUnless(stop, RETRY_MS);
    }
  }
  return false;
}

const isKept = (error: unknown): boolean => error instanceof Error && 'isKept' in error && error.isKept === true;

function mayPass(error: unknown): boolean {
  return error instanceof Error && 'retryAfterMs' in error && (error.retryAfterMs as number) > 0;
}
