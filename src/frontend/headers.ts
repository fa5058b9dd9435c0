// HOT PATH
/**
 * The headers of one request, read once: a small table that is filled, searched and cleared without allocating.
 *
 * Role: both adapters fill it from their own parser, so that repeated headers, their size and their number mean the
 * same on both. Measured with uWebSockets.js: walking all headers once costs as much as asking for eight by name, and
 * only the walk sees a header that came twice.
 * Invariants: names are lower case; the values of a repeated header are joined by `, `, so a second `Host` or
 * `Content-Length` never passes for the first. The chains of equal name length make a miss one array read:
 *
 *     first[length & 63] → line → next[line] → … → 0
 */
export const HEADER_LINES_MAX = 100;
/** What a line costs beyond name and value: `: ` and the line break. */
const LINE_OVERHEAD_BYTES = 4;
const BUCKETS = 64;

export class HeaderTable {
  /** Lines read so far, those past `HEADER_LINES_MAX` included. */
  lines = 0;
  /** Size of the lines read so far, in characters. */
  size = 0;

  readonly #names: string[] = new Array<string>(HEADER_LINES_MAX + 1).fill('');
  readonly #values: string[] = new Array<string>(HEADER_LINES_MAX + 1).fill('');
  readonly #first = new Uint8Array(BUCKETS);
  readonly #next = new Uint8Array(HEADER_LINES_MAX + 1);
  #used = 0;

  add(name: string, value: string): void {
    this.lines++;
    this.size += name.length + value.length + LINE_OVERHEAD_BYTES;
    if (this.lines > HEADER_LINES_MAX) return;
    const line = this.#find(name);
    if (line !== 0) {
      this.#values[line] = `${this.#values[line]}, ${value}`;
      return;
    }
    const added = ++this.#used;
    const bucket = name.length & (BUCKETS - 1);
    this.#names[added] = name;
    this.#values[added] = value;
    this.#next[added] = this.#first[bucket] as number;
    this.#first[bucket] = added;
  }

  /** Value by lower-case name; `''` when absent. */
  get(name: string): string {
    return this.#values[this.#find(name)] as string;
  }

  clear(): void {
    for (let line = this.#used; line > 0; line--) {
      this.#first[(this.#names[line] as string).length & (BUCKETS - 1)] = 0;
    }
    this.#used = 0;
    this.lines = 0;
    this.size = 0;
  }

  /** 0 when absent: line 0 is never used, and its value is `''`. */
  #find(name: string): number {
    let line = this.#first[name.length & (BUCKETS - 1)] as number;
    while (line !== 0 && this.#names[line] !== name) line = this.#next[line] as number;
    return line;
  }
}

/** Why the framing of a request is refused, or `''`: what a parser let pass and a proxy may read otherwise. */
export function framingFault(table: HeaderTable): string {
  const coding = table.get('transfer-encoding');
  const length = table.get('content-length');
  if (coding !== '') {
    if (length !== '') return 'Transfer-Encoding together with Content-Length';
    if (coding.toLowerCase() !== 'chunked') return 'Transfer-Encoding other than chunked';
  }
  return length === '' || contentLength(length) >= 0 ? '' : 'Content-Length is not one number';
}

/** Value of a Content-Length header; -1 unless it is digits only, `''` is 0. */
export function contentLength(value: string): number {
  let length = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}
