// HOT PATH
/**
 * Which events a result came from: bounded per row, the newest win.
 *
 * Role: a row keeps the last EVIDENCE_PER_ROW events as references packed into doubles, so that an event costs one store,
 * and a result names as many, of however many rows it is put together. Texts (trace context, correlation ids) are kept
 * once per batch, in a ring of the last TRACES_KEPT batches that have any, and of events that have some of their own in
 * another ring of EVENT_TRACES_KEPT of them: those come before the batch's.
 * An event made of a result may have several: each takes a slot of the ring, found by the event and its number.
 * A reference is (seq mod 2^31) × 2^21 + row of the batch; events past row 2^21 of a batch leave none. Of events made of
 * results it is 2^52 more, and their sequence numbers have nine bits behind the point, which leave twelve to the row. What
 * the ring has forgotten is missing from the result, event ids are not.
 * Layout of the rings' buffer, which grows when texts come: a slot is
 *   Float64 seq   Uint32 bytes of traceparent   Uint32 bytes of correlation id   64 bytes   112 bytes
 * and behind them, when events bring texts, those of events, with the reference in place of the sequence number.
 * A text that does not fit there is left out: half an id would be another id.
 */
import { contextTexts, readContext } from '../event-context.ts';
import { EventIds } from '../lines/event-ids.ts';
import type { LineBuffer } from '../lines/line-buffer.ts';
import { BETWEEN_RECORDS, EVIDENCE_MAX, type Evidence, type OperatorInput, type Provenance } from '../operator.ts';
import { textOfBytes } from '../state/key-bytes.ts';
import type { ShardMemory } from '../state/memory.ts';
import { ROW_EVENTS, type RowStore } from './row-store.ts';

export const EVIDENCE_PER_ROW = 4;
export const TRACES_KEPT = 256;
export const EVENT_TRACES_KEPT = 1024;
const ROWS_MAX = 2 ** 21;
const SEQ_RANGE = 2 ** 31;
const DERIVED = 2 ** 52;
const DERIVED_ROWS_MAX = ROWS_MAX / BETWEEN_RECORDS;
const SLOT_BYTES = 192;
const RING_BYTES = TRACES_KEPT * SLOT_BYTES;
const BOTH_RINGS_BYTES = RING_BYTES + EVENT_TRACES_KEPT * SLOT_BYTES;
const BETWEEN_STRIDE = 37;
/** Not 0: V8 refuses to copy an empty shared buffer. */
export const TRACES_BYTES_AT_START = 8;
const TRACE_AT = 16;
const TRACE_BYTES_MAX = 64;
const CORRELATION_AT = 80;
const CORRELATION_BYTES_MAX = 112;

const encoder = new TextEncoder();
const NONE: readonly string[] = [];

/** What references to rows of a batch are made of. Negative for events made of results, so that a look tells. */
export function referenceBase(seq: number): number {
  const base = (seq % SEQ_RANGE) * ROWS_MAX;
  return seq % 1 === 0 ? base : -(base + DERIVED);
}

/** Reference of a row; −1 when it is too far into its batch. */
export function referenceTo(base: number, row: number): number {
  if (base < 0) return row < DERIVED_ROWS_MAX ? row - base : -1;
  return row < ROWS_MAX ? base + row : -1;
}

/** Of its sequence number and row. */
const placeOf = (reference: number): number => (reference < DERIVED ? reference : reference - DERIVED);

const rowOf = (reference: number): number => placeOf(reference) % (reference < DERIVED ? ROWS_MAX : DERIVED_ROWS_MAX);

/** What knows the rows behind a result. */
export interface EvidenceSource {
  /** Adds their references by `addRow`. */
  gather(handle: number): void;
}

/** Gathers the evidence of one result at a time. Made to be read before the next one is begun: it is used again. */
export class EvidenceReader {
  readonly #memory: ShardMemory;
  readonly #index: number;
  /** Where the newest sequence number stands. */
  readonly #header: Float64Array;
  readonly #lastSeqAt: number;
  readonly #references = new Float64Array(EVIDENCE_MAX);
  #count = 0;
  readonly #ids = new EventIds();
  #source: EvidenceSource | null = null;
  #handle = 0;
  /** Whether the buffer holds rings. */
  #hasTexts: boolean;
  /** Read when it is looked at: results that nobody asks about cost no texts. */
  readonly evidence: Evidence;

  constructor(memory: ShardMemory, index: number, header: Float64Array, lastSeqAt: number) {
    this.#memory = memory;
    this.#index = index;
    this.#header = header;
    this.#lastSeqAt = lastSeqAt;
    this.#hasTexts = memory.buffer(index).byteLength >= RING_BYTES;
    const reader = this;
    this.evidence = {
      get events() {
        return reader.#events();
      },
      get traces() {
        return reader.#texts(TRACE_AT, 8);
      },
      get correlationIds() {
        return reader.#texts(CORRELATION_AT, 12);
      },
      get hasTexts() {
        return reader.#hasTexts;
      },
      writeEvents: (out) => reader.#writeEvents(out),
    };
  }

  /** Notes the texts of a batch. */
  note({ seq, traceparent, correlationId }: Provenance): void {
    if (seq > (this.#header[this.#lastSeqAt] as number)) this.#header[this.#lastSeqAt] = seq;
    if (traceparent === '' && correlationId === '') return;
    this.#put(RING_BYTES, slotOfBatch(seq), seq, traceparent, correlationId);
  }

  /** Notes the texts of events that have some of their own. */
  noteEvents({ batch, count, provenance, rows }: OperatorInput): void {
    if (!batch.hasContexts) return;
    const base = referenceBase(provenance.seq);
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      if ((batch.contextBytes[row] as number) === 0) continue;
      const reference = referenceTo(base, row);
      if (reference < 0) continue;
      const { correlationId, traceparent } = readContext(batch.context(row));
      if (traceparent === '' && correlationId === '') continue;
      this.#putEvent(reference, contextTexts(traceparent), contextTexts(correlationId));
    }
  }

  #putEvent(reference: number, traces: readonly string[], correlationIds: readonly string[]): void {
    for (let n = 0; n < traces.length || n < correlationIds.length; n++) {
      this.#put(BOTH_RINGS_BYTES, slotOfEvent(reference, n), reference, traces[n] ?? '', correlationIds[n] ?? '');
    }
  }

  #put(ringBytes: number, at: number, name: number, traceparent: string, correlationId: string): void {
    if (this.#memory.buffer(this.#index).byteLength < ringBytes) this.#memory.grow(this.#index, ringBytes);
    this.#hasTexts = true;
    const buffer = this.#memory.buffer(this.#index);
    const view = new DataView(buffer, at, SLOT_BYTES);
    const bytes = new Uint8Array(buffer, at, SLOT_BYTES);
    view.setFloat64(0, name, true);
    view.setUint32(8, put(bytes, TRACE_AT, traceparent, TRACE_BYTES_MAX), true);
    view.setUint32(12, put(bytes, CORRELATION_AT, correlationId, CORRELATION_BYTES_MAX), true);
  }

  /** The evidence is that of a key of a window from here on; it is gathered when someone looks. */
  of(source: EvidenceSource, handle: number): Evidence {
    this.#source = source;
    this.#handle = handle;
    return this.evidence;
  }

  /** The evidence is one event from here on. */
  ofEvent(reference: number): Evidence {
    this.#source = null;
    this.#references[0] = reference;
    this.#count = reference < 0 ? 0 : 1;
    return this.evidence;
  }

  #gather(): void {
    if (this.#source === null) return;
    this.#count = 0;
    this.#source.gather(this.#handle);
    this.#source = null;
  }

  /** Adds those of a row, newest first; rows are to be given newest first. Whether there is room for more. */
  addRow(store: RowStore, row: number, evidenceAt: number): boolean {
    const events = store.words[row * store.step + ROW_EVENTS] as number;
    const at = row * store.stride + evidenceAt;
    const count = Math.min(events, EVIDENCE_PER_ROW);
    for (let i = 1; i <= count && this.#count < EVIDENCE_PER_ROW; i++) {
      const reference = store.rows[at + ((events - i) & (EVIDENCE_PER_ROW - 1))] as number;
      if (reference >= 0) this.#references[this.#count++] = reference;
    }
    return this.#count < EVIDENCE_PER_ROW;
  }

  /** References of a row that takes another in: those of both that came last, where as many events would have left them. */
  join(store: RowStore, row: number, from: number, evidenceAt: number): void {
    const { rows, step, stride, words } = store;
    const own = words[row * step + ROW_EVENTS] as number;
    const more = words[from * step + ROW_EVENTS] as number;
    this.#source = null;
    this.#count = 0;
    for (let i = 0; i < Math.min(own, EVIDENCE_PER_ROW); i++)
      this.#insert(rows[row * stride + evidenceAt + i] as number);
    for (let i = 0; i < Math.min(more, EVIDENCE_PER_ROW); i++) {
      this.#insert(rows[from * stride + evidenceAt + i] as number);
    }
    const kept = Math.min(this.#count, EVIDENCE_PER_ROW);
    for (let i = 1; i <= kept; i++) {
      const place = (own + more - i) & (EVIDENCE_PER_ROW - 1);
      rows[row * stride + evidenceAt + place] = this.#references[this.#count - i] as number;
    }
    this.#count = 0;
  }

  /** Among those gathered, in order of arrival. */
  #insert(reference: number): void {
    const references = this.#references;
    let at = this.#count++;
    while (at > 0 && this.#isBefore(reference, references[at - 1] as number)) {
      references[at] = references[at - 1] as number;
      at -= 1;
    }
    references[at] = reference;
  }

  /** What has no reference counts as the first of all. */
  #isBefore(a: number, b: number): boolean {
    if (a < 0 || b < 0) return a < b;
    const apart = this.#seqOf(a) - this.#seqOf(b);
    return apart < 0 || (apart === 0 && rowOf(a) < rowOf(b));
  }

  #seqOf(reference: number): number {
    const place = placeOf(reference);
    const last = Math.floor(this.#header[this.#lastSeqAt] as number);
    const back = (last % SEQ_RANGE) - Math.floor(place / ROWS_MAX);
    const seq = last - (back < 0 ? back + SEQ_RANGE : back);
    return reference < DERIVED ? seq : seq + Math.floor((place % ROWS_MAX) / DERIVED_ROWS_MAX) / BETWEEN_RECORDS;
  }

  #events(): string[] {
    const ids: string[] = [];
    this.#gather();
    for (let i = 0; i < this.#count; i++) {
      const reference = this.#references[i] as number;
      ids.push(`${this.#seqOf(reference)}:${rowOf(reference)}`);
    }
    return ids;
  }

  #writeEvents(out: LineBuffer): void {
    this.#gather();
    const count = this.#count;
    if (count === 0) return;
    const last = Math.floor(this.#header[this.#lastSeqAt] as number);
    const lastLow = last < SEQ_RANGE ? last : last % SEQ_RANGE;
    // Neighbours are mostly of one batch: what is above the row is then the same.
    let low = -1;
    for (let i = 0; i < count; i++) {
      const reference = this.#references[i] as number;
      if (reference >= DERIVED) {
        this.#writeDerived(i, out);
        continue;
      }
      let row = reference - low * ROWS_MAX;
      if (low < 0 || row < 0 || row >= ROWS_MAX) {
        low = Math.floor(reference / ROWS_MAX);
        row = reference - low * ROWS_MAX;
        const back = lastLow - low;
        this.#ids.turn(last - (back < 0 ? back + SEQ_RANGE : back));
      }
      if (i === 0) this.#ids.first(row | 0, out);
      else this.#ids.next(row | 0, out);
    }
    this.#ids.end(out);
  }

  /** As `EventIds` does of others. */
  #writeDerived(i: number, out: LineBuffer): void {
    out.text(i === 0 ? '"' : '","');
    const reference = this.#references[i] as number;
    out.text(`${this.#seqOf(reference)}:`);
    out.integer(rowOf(reference));
  }

  #texts(textAt: number, lengthAt: number): readonly string[] {
    if (!this.#hasTexts) return NONE;
    const texts: string[] = [];
    this.#gather();
    const buffer = this.#memory.buffer(this.#index);
    const ownMax = buffer.byteLength >= BOTH_RINGS_BYTES ? EVIDENCE_MAX : 0;
    for (let i = 0; i < this.#count; i++) {
      const reference = this.#references[i] as number;
      let own = false;
      for (let n = 0; n < ownMax; n++) {
        const text = textIn(buffer, slotOfEvent(reference, n), reference, textAt, lengthAt);
        if (text === '') continue;
        own = true;
        addText(texts, text);
      }
      if (own) continue;
      const seq = this.#seqOf(reference);
      addText(texts, textIn(buffer, slotOfBatch(seq), seq, textAt, lengthAt));
    }
    return texts;
  }
}

/** Batches made of results, of which one record can have several, stand apart from each other. */
function slotOfBatch(seq: number): number {
  const between = (seq % 1) * BETWEEN_RECORDS;
  return ((Math.floor(seq) + between * BETWEEN_STRIDE) % TRACES_KEPT) * SLOT_BYTES;
}

function addText(texts: string[], text: string): void {
  if (text !== '' && texts.length < EVIDENCE_MAX && !texts.includes(text)) texts.push(text);
}

/** Slot of the `n`th context of an event. Rows of a batch lie side by side, batches apart from each other. */
function slotOfEvent(reference: number, n: number): number {
  const seq = Math.floor(reference / ROWS_MAX);
  const apart = (Math.imul(seq | 0, 0x9e3779b1) >>> 8) + (n * EVENT_TRACES_KEPT) / EVIDENCE_MAX;
  return RING_BYTES + ((apart + (reference % ROWS_MAX)) % EVENT_TRACES_KEPT) * SLOT_BYTES;
}

/** `''` when the slot is of something else. */
function textIn(buffer: SharedArrayBuffer, at: number, name: number, textAt: number, lengthAt: number): string {
  const view = new DataView(buffer, at, SLOT_BYTES);
  const length = view.getUint32(lengthAt, true);
  if (length === 0 || view.getFloat64(0, true) !== name) return '';
  return textOfBytes(new Uint8Array(buffer, at + textAt, length), 0, length);
}

function put(bytes: Uint8Array, at: number, text: string, bytesMax: number): number {
  if (text.length > bytesMax) return 0;
  const encoded = encoder.encode(text);
  if (encoded.length > bytesMax) return 0;
  bytes.set(encoded, at);
  return encoded.length;
}
