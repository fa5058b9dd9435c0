// HOT PATH
/**
 * Results that are one event each, as lines: what views make of every event.
 *
 * Role: writes what `LineWriter` (`result-line.ts`) writes of the same results as rows, from the batch's bytes and with
 * nothing made per event. What the events of a batch have in common is put together once per batch, what those of one
 * time have in common once per run of them.
 */
import { evidenceOf, evidenceOfEvent } from '../../event-context.ts';
import { LineBuffer } from '../../lines/line-buffer.ts';
import { type LinePiece, pieceOf } from '../../lines/line-piece.ts';
import type { EventResults, Keys } from '../../operator.ts';
import { type LineParts, writeContextTexts, writeKey } from './result-line.ts';

const QUOTE = 34;
const SLASH = 47;
const LINE_FEED = 10;
const PART_BYTES = 112;
const NOBODY = -2;
const START = pieceOf(',"start":');
const END = pieceOf(',"end":');
const PANE = pieceOf(',"pane":');
const FACTS = pieceOf(',"timing":"on-time","final":true,"values":{');
const CONTEXT = pieceOf('},"context":{"events":["');

export class EventLines {
  readonly #parts: LineParts;
  /** Of the batch: what event ids begin with, and what follows the event's id in the context. */
  readonly #seq = new LineBuffer(PART_BYTES);
  readonly #texts = new LineBuffer(PART_BYTES);
  /** Of a time: from the key to the event in the id, and from the key to the pane. */
  readonly #times = new LineBuffer(PART_BYTES);
  readonly #bounds = new LineBuffer(PART_BYTES);
  #ts = Number.NaN;
  /** Of the latest result. */
  readonly #key = new LineBuffer(PART_BYTES);
  readonly #quotedKey = new LineBuffer(PART_BYTES);

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  /** Turns to a batch. */
  begin({ provenance }: EventResults): void {
    const { correlationId, seq, traceparent } = provenance;
    this.#seq.at = 0;
    this.#seq.text(`${seq}:`);
    this.#texts.at = 0;
    writeContextTexts(evidenceOf('', traceparent, correlationId), this.#texts);
  }

  /** Those of [from, to) of the batch turned to, each with a line feed. */
  write(results: EventResults, from: number, to: number, keys: Keys, out: LineBuffer): void {
    const { batch, keys: ids, pane, provenance, rows, values } = results;
    const { head, idPrefix, members } = this.#parts;
    const own = batch.hasContexts;
    const ts = batch.ts;
    let keyBefore = NOBODY;
    for (let i = from; i < to; i++) {
      const row = rows[i] as number;
      const keyId = ids[i] as number;
      if (ts[row] !== this.#ts) this.#turn(ts[row] as number);
      if (keyId !== keyBefore) this.#useKey(keyId, keys);
      keyBefore = keyId;
      out.piece(idPrefix);
      out.append(this.#quotedKey);
      out.append(this.#times);
      out.append(this.#seq);
      out.integer(row);
      out.piece(head);
      out.append(this.#key);
      out.append(this.#bounds);
      out.integer(pane + i);
      out.piece(FACTS);
      for (let k = 0; k < values.length; k++) {
        out.piece(members[k] as LinePiece);
        (values[k] as EventResults['values'][number]).write(batch, row, out);
      }
      out.piece(CONTEXT);
      out.append(this.#seq);
      out.integer(row);
      out.byte(QUOTE);
      if (own) writeContextTexts(evidenceOfEvent(batch, row, provenance), out);
      else out.append(this.#texts);
      out.byte(LINE_FEED);
    }
  }

  #turn(ts: number): void {
    const times = this.#times;
    times.at = 0;
    times.byte(SLASH);
    times.number(ts);
    times.byte(SLASH);
    times.number(ts);
    times.byte(SLASH);
    const bounds = this.#bounds;
    bounds.at = 0;
    bounds.piece(START);
    bounds.number(ts);
    bounds.piece(END);
    bounds.number(ts);
    bounds.piece(PANE);
    this.#ts = ts;
  }

  #useKey(keyId: number, keys: Keys): void {
    this.#key.at = 0;
    writeKey(keyId, keys, false, this.#key);
    this.#quotedKey.at = 0;
    writeKey(keyId, keys, true, this.#quotedKey);
  }
}
