// HOT PATH
/**
 * Ids of events, `{seq}:{row}`, as JSON texts in a list.
 *
 * Role: what results name their events with. The events of neighbouring results are of the same few batches, so that the
 * digits of a batch's number are written once and copied for the others.
 * Layout: SLOTS places of SLOT_BYTES in a buffer, by the low bits of the number: `","{seq}:`, or what stood there before.
 */
import { COPIED_BYTES_MAX, LineBuffer } from './line-buffer.ts';

const SLOTS = 16;
const SLOT_BYTES = COPIED_BYTES_MAX;
/** Of the quote and the comma between two texts. */
const BETWEEN_BYTES = 2;
const QUOTE = 34;
const COMMA = 44;
const COLON = 58;

export class EventIds {
  readonly #seqs = new Float64Array(SLOTS).fill(Number.NaN);
  readonly #lengths = new Uint8Array(SLOTS);
  readonly #texts = new LineBuffer(SLOTS * SLOT_BYTES);
  /** Of the batch turned to. */
  #at = 0;
  #length = 0;

  /** Turns to a batch. `seq`: whole, up to 16 digits. */
  turn(seq: number): void {
    const slot = seq & (SLOTS - 1);
    if (this.#seqs[slot] !== seq) this.#write(slot, seq);
    this.#at = slot * SLOT_BYTES;
    this.#length = this.#lengths[slot] as number;
  }

  /** The first of a list. `row`: below 10^8. */
  first(row: number, out: LineBuffer): void {
    out.copyAndDigits(this.#texts, this.#at + BETWEEN_BYTES, this.#length - BETWEEN_BYTES, row);
  }

  /** Any other of a list, behind one that is written. */
  next(row: number, out: LineBuffer): void {
    out.copyAndDigits(this.#texts, this.#at, this.#length, row);
  }

  /** Behind the last of a list. */
  end(out: LineBuffer): void {
    out.byte(QUOTE);
  }

  #write(slot: number, seq: number): void {
    const texts = this.#texts;
    texts.at = slot * SLOT_BYTES;
    texts.byte(QUOTE);
    texts.byte(COMMA);
    texts.byte(QUOTE);
    texts.integer(seq);
    texts.byte(COLON);
    this.#lengths[slot] = texts.at - slot * SLOT_BYTES;
    this.#seqs[slot] = seq;
  }
}
