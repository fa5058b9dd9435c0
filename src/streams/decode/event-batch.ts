// HOT PATH
/**
 * A batch of decoded events: columns in shared memory, written once by the task that decodes, read by the tasks that
 * apply it, whatever thread they run on.
 *
 * Layout of the one buffer: `HEADER_WORDS` 32-bit words, then, each aligned to 8 bytes, in this order:
 *   bytes     Uint8 × bytesCapacity  the original body first (of columns: nothing), then what had to be rewritten
 *                                    (unescaped strings, contexts, texts of columns)
 *   ts        Float64 × capacity     event time, ms
 *   per field Float64 × capacity     number, integer, boolean (0/1); NaN when absent
 *          or Uint32 × 2 × capacity  string: offset into `bytes`, then length; length ABSENT when absent
 *   eventAt, eventBytes, contextAt, contextBytes   Uint32 × capacity each: original bytes of the event; JSON text of
 *                                                  its own context, 0 bytes when it has none
 *   per key group of the stream, in the order of the plan's groups and inputs (`key-columns.ts`):
 *     hashes, numbers, order   Uint32 × capacity each
 *     ends                     Uint32 × (shards + 1)
 * A body that stands at `BODY_AT` of memory that is large enough is decoded where it is.
 * The writer makes it with capacities that suffice and sets `count` last.
 */
import { Buffer } from 'node:buffer';
import type { Plan } from '../plan.ts';
import { msgpackJson } from './msgpack-value.ts';

const HEADER_WORDS = 8;
/** Where the bytes begin. */
export const BODY_AT = HEADER_WORDS * 4;
const COUNT = 0;
const CAPACITY = 1;
const BYTES_CAPACITY = 2;
const BYTES_USED = 3;
const STREAM = 4;
/** 1 when an event has a context of its own: else the columns of contexts say nothing. */
const CONTEXTS = 5;

/** Length of a string that is absent. */
export const ABSENT = 0xffffffff;

/** Key columns of one stream: which groups take its events, and by which fields. */
export interface GroupInput {
  readonly group: number;
  /** 0, or 1 for the right side of a join. */
  readonly side: number;
  readonly fields: readonly number[];
}

/** What shards need to know of the keys of one group. */
export interface KeyColumns {
  /** Which key of the batch the row's is, from 0; with `FIRST_OF_KEY` in the first row of each. */
  readonly numbers: Uint32Array;
  /** Rows by the shard of their key, rising within each. */
  readonly order: Uint32Array;
  /** Where the rows of each shard end in `order`; behind that, the number of different keys, 0: they have no numbers. */
  readonly ends: Uint32Array;
}

const inputsOf = new WeakMap<Plan, (readonly GroupInput[])[]>();

/** The groups that take a stream's events, in the order of the hash columns. */
export function groupInputs(plan: Plan, stream: number): readonly GroupInput[] {
  let all = inputsOf.get(plan);
  if (all === undefined) {
    all = plan.streams.map((each) =>
      plan.groups.flatMap((group) =>
        group.inputs.flatMap((input, side) =>
          input.stream === each.index ? [{ group: group.index, side, fields: input.fields }] : [],
        ),
      ),
    );
    inputsOf.set(plan, all);
  }
  return all[stream] ?? [];
}

const NO_VALUES = new Float64Array(0);
const NO_WORDS = new Uint32Array(0);

/** Sizes of buffers that are to be used again: so many to each doubling, and always a little more than was asked for. */
const SIZES_LOG2 = 3;
const BYTES_MIN = 64;

/** How large a new buffer is made for so many bytes, so that it fits the next that is about as long. */
export function roomFor(byteLength: number): number {
  const bytes = Math.max(BYTES_MIN, byteLength);
  const step = 2 ** (Math.floor(Math.log2(bytes)) - SIZES_LOG2);
  return (Math.floor(bytes / step) + 1) * step;
}

const aligned = (bytes: number): number => (bytes + 7) & ~7;

export class EventBatch {
  readonly buffer: SharedArrayBuffer;
  readonly plan: Plan;
  readonly stream: number;
  readonly capacity: number;
  /** Event time in ms. */
  readonly ts: Float64Array;
  /** By field; empty for strings. */
  readonly values: readonly Float64Array[];
  /** By field: offset and length of strings; empty for the others. */
  readonly at: readonly Uint32Array[];
  readonly length: readonly Uint32Array[];
  readonly eventAt: Uint32Array;
  readonly eventBytes: Uint32Array;
  readonly contextAt: Uint32Array;
  readonly contextBytes: Uint32Array;
  /** By position in `groupInputs(plan, stream)`. */
  readonly hashes: readonly Uint32Array[];
  readonly keys: readonly KeyColumns[];
  readonly bytes: Uint8Array;
  /** The same, to be read in words. */
  readonly view: DataView;
  /** The same, to be read as text: `TextDecoder` refuses shared memory. */
  readonly #text: Buffer;
  readonly #header: Uint32Array;
  /** What the batch takes of its buffer with the room that was asked for. */
  readonly byteLength: number;

  /** Room for `capacity` events and `bytesCapacity` bytes of text; in `spare` when that is large enough. */
  static allocate(
    plan: Plan,
    stream: number,
    capacity: number,
    bytesCapacity: number,
    spare: SharedArrayBuffer | null = null,
  ): EventBatch {
    const fields = plan.streams[stream]?.fields.length ?? 0;
    const columns = aligned(capacity * 8) * (fields + 1);
    const groups = groupInputs(plan, stream).length;
    const words = aligned(capacity * 4) * (4 + 3 * groups) + aligned((plan.shards + 1) * 4) * groups;
    const byteLength = BODY_AT + columns + words + aligned(bytesCapacity);
    const fits = spare !== null && spare.byteLength >= byteLength;
    const buffer = fits ? spare : new SharedArrayBuffer(roomFor(byteLength));
    const header = new Uint32Array(buffer, 0, HEADER_WORDS);
    header.fill(0);
    header[CAPACITY] = capacity;
    header[BYTES_CAPACITY] = bytesCapacity;
    header[STREAM] = stream;
    // Everything else is written with each row, behind the body, or with the first context.
    return new EventBatch(plan, buffer);
  }

  constructor(plan: Plan, buffer: SharedArrayBuffer) {
    const header = new Uint32Array(buffer, 0, HEADER_WORDS);
    const capacity = header[CAPACITY] as number;
    const stream = header[STREAM] as number;
    this.buffer = buffer;
    this.plan = plan;
    this.stream = stream;
    this.capacity = capacity;
    this.#header = header;
    const bytesCapacity = header[BYTES_CAPACITY] as number;
    this.bytes = new Uint8Array(buffer, BODY_AT, bytesCapacity);
    this.view = new DataView(buffer, BODY_AT, bytesCapacity);
    this.#text = Buffer.from(buffer, BODY_AT, bytesCapacity);
    let at = BODY_AT + aligned(bytesCapacity);
    const doubles = (): Float64Array => {
      const column = new Float64Array(buffer, at, capacity);
      at += aligned(capacity * 8);
      return column;
    };
    const words = (count: number): Uint32Array => {
      const column = new Uint32Array(buffer, at, count);
      at += aligned(count * 4);
      return column;
    };
    this.ts = doubles();
    const values: Float64Array[] = [];
    const ats: Uint32Array[] = [];
    const lengths: Uint32Array[] = [];
    for (const field of plan.streams[stream]?.fields ?? []) {
      if (field.type === 'string') {
        ats.push(new Uint32Array(buffer, at, capacity));
        lengths.push(new Uint32Array(buffer, at + capacity * 4, capacity));
        values.push(NO_VALUES);
        at += aligned(capacity * 8);
      } else {
        values.push(doubles());
        ats.push(NO_WORDS);
        lengths.push(NO_WORDS);
      }
    }
    this.values = values;
    this.at = ats;
    this.length = lengths;
    this.eventAt = words(capacity);
    this.eventBytes = words(capacity);
    this.contextAt = words(capacity);
    this.contextBytes = words(capacity);
    const groups = groupInputs(plan, stream);
    this.hashes = groups.map(() => words(capacity));
    this.keys = groups.map(() => ({
      numbers: words(capacity),
      order: words(capacity),
      ends: words(plan.shards + 1),
    }));
    this.byteLength = at;
  }

  get count(): number {
    return this.#header[COUNT] as number;
  }

  set count(value: number) {
    this.#header[COUNT] = value;
  }

  get bytesUsed(): number {
    return this.#header[BYTES_USED] as number;
  }

  set bytesUsed(value: number) {
    this.#header[BYTES_USED] = value;
  }

  /** How many different keys the rows have in the k-th group that takes them; 0 where they were not told apart. */
  differentKeys(k: number): number {
    return (this.keys[k] as KeyColumns).ends[this.plan.shards] as number;
  }

  /** Rows whose keys in that group belong to a shard, rising. */
  rowsOfShard(k: number, shard: number): Uint32Array {
    const { ends, order } = this.keys[k] as KeyColumns;
    return order.subarray(shard === 0 ? 0 : ends[shard - 1], ends[shard]);
  }

  /** A string field's text; null when absent. */
  text(field: number, row: number): string | null {
    const length = (this.length[field] as Uint32Array)[row] as number;
    if (length === ABSENT) return null;
    const at = (this.at[field] as Uint32Array)[row] as number;
    return this.#text.toString('utf8', at, at + length);
  }

  /** The event as it came, as text: binary ones as the JSON that says the same, those without bytes by their fields. */
  original(row: number): string {
    const at = this.eventAt[row] as number;
    const length = this.eventBytes[row] as number;
    if (length === 0) return this.#fieldsJson(row);
    // No JSON text begins so; every map of MessagePack does.
    if ((this.bytes[at] as number) >= 0x80) return msgpackJson(this.bytes, at, length);
    return this.#text.toString('utf8', at, at + length);
  }

  /** As `original`, or by its fields alone where members that the schema does not name are dropped. */
  shown(row: number): string {
    return this.plan.streams[this.stream]?.keepUnknown === false ? this.#fieldsJson(row) : this.original(row);
  }

  /** By field; null when absent. */
  fieldValues(row: number): (string | number | boolean | null)[] {
    return (this.plan.streams[this.stream]?.fields ?? []).map(({ type }, field) => {
      if (type === 'string') return this.text(field, row);
      const value = (this.values[field] as Float64Array)[row] as number;
      if (Number.isNaN(value)) return null;
      return type === 'boolean' ? value !== 0 : value;
    });
  }

  #fieldsJson(row: number): string {
    const event: Record<string, unknown> = {};
    const values = this.fieldValues(row);
    for (const [field, { name }] of (this.plan.streams[this.stream]?.fields ?? []).entries()) {
      if (values[field] !== null) event[name] = values[field];
    }
    return JSON.stringify(event);
  }

  /** Any event has a context of its own. Of a batch that is complete. */
  get hasContexts(): boolean {
    return this.#header[CONTEXTS] !== 0;
  }

  setContext(row: number, at: number, bytes: number): void {
    if (this.#header[CONTEXTS] === 0) {
      this.#header[CONTEXTS] = 1;
      this.contextAt.fill(0);
      this.contextBytes.fill(0);
    }
    this.contextAt[row] = at;
    this.contextBytes[row] = bytes;
  }

  /** Of a batch with as many rows at most. */
  takeContexts(from: EventBatch): void {
    if (!from.hasContexts) return;
    this.setContext(0, 0, 0);
    this.contextAt.set(from.contextAt);
    this.contextBytes.set(from.contextBytes);
  }

  /** JSON text of the event's own context, or `''`. */
  context(row: number): string {
    const length = this.hasContexts ? (this.contextBytes[row] as number) : 0;
    return length === 0
      ? ''
      : this.#text.toString('utf8', this.contextAt[row] as number, (this.contextAt[row] as number) + length);
  }
}
