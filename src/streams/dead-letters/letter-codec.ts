/**
 * A dead letter as a sealed value: MessagePack of all that its key does not hold.
 */
import { Packr } from 'msgpackr';
import { sealed, seedOf, unsealed } from '../lmdb/sealed-value.ts';
import { type DeadLetter, letterId, type StoredLetter } from './port.ts';

export type LetterKey = [stream: string, seq: number, index: number];

type PackedLetter = [
  DeadLetter['source'],
  DeadLetter['partition'],
  DeadLetter['reason'],
  number,
  DeadLetter['traceparent'],
  DeadLetter['correlationId'],
  DeadLetter['format'],
  Uint8Array,
];
const packr = new Packr({ useRecords: false });
const seedOfLetter = ([stream, seq, index]: LetterKey): number => seedOf(`letter ${seq}:${index} ${stream}`);

export function encodeLetter(key: LetterKey, letter: DeadLetter): Buffer {
  const { source, partition, reason, arrivalMs, traceparent, correlationId, format, bytes } = letter;
  const packed: PackedLetter = [source, partition, reason, arrivalMs, traceparent, correlationId, format, bytes];
  return sealed(packr.pack(packed), seedOfLetter(key));
}

/** Null when it is not what was written. */
export function decodeLetter(key: LetterKey, value: Buffer): StoredLetter | null {
  const packed = unsealed(value, seedOfLetter(key));
  if (typeof packed === 'string') return null;
  const [source, partition, reason, arrivalMs, traceparent, correlationId, format, bytes] = packr.unpack(
    packed,
  ) as PackedLetter;
  const [stream, seq, index] = key;
  return {
    id: letterId(seq, index),
    stream,
    seq,
    index,
    source,
    partition,
    reason,
    arrivalMs,
    traceparent,
    correlationId,
    format,
    bytes,
  };
}
