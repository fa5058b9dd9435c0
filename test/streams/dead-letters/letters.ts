/**
 * Dead letters for tests.
 */
import type { DeadLetter, DeadLetterStore, LetterId, StoredLetter } from '../../../src/streams/dead-letters/port.ts';

export function letter(stream: string, seq: number, index: number, byteLength = 10): DeadLetter {
  return {
    stream,
    seq,
    index,
    source: 'http',
    partition: 'p0',
    reason: 'price: "x" is not a number',
    arrivalMs: 1_700_000_000_000 + seq,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    correlationId: `order ${seq}`,
    format: 'ndjson',
    bytes: Uint8Array.from({ length: byteLength }, (_, i) => (i * 7 + seq) % 256),
  };
}

export const stored = (of: DeadLetter): StoredLetter => ({ ...of, id: `${of.seq}:${of.index}` });

export async function list(
  store: DeadLetterStore,
  stream: string,
  after: LetterId = '',
  limit = 1000,
): Promise<StoredLetter[]> {
  const page = await store.list(stream, { after, limit });
  return page.map((each) => ({ ...each, bytes: new Uint8Array(each.bytes) }));
}
