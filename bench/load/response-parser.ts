// HOT PATH
/**
 * HTTP/1.1 responses from the bytes of one connection: status and body, in order.
 *
 * Role: the own client's parser. It knows what servers answer to a POST (a length, chunks, or all until an announced end
 * of the connection) and nothing else, which is what lets one core make more load than a general client. What it cannot
 * read is a fault of the connection, never silently dropped.
 */

const EMPTY = Buffer.alloc(0);
const HEAD_BYTES_MAX = 65_536;
const BLANK_LINE = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');
const SWITCHING_PROTOCOLS = 101;

/** Of a head in lower case; empty: none. */
function fieldOf(head: string, name: string): string {
  const at = head.indexOf(`\r\n${name}:`);
  if (at === -1) return '';
  const from = at + name.length + 3;
  const end = head.indexOf('\r\n', from);
  return head.slice(from, end === -1 ? head.length : end).trim();
}

/** What became of one look at the bytes. */
type Look = 'response' | 'more' | 'unreadable';

export class ResponseParser {
  #held: Buffer = EMPTY;
  #at = 0;
  /** Of the response found last. */
  status = 0;
  body: Buffer = EMPTY;
  /** The server will close the connection after it. */
  closes = false;
  #head = '';
  #headStart = 0;
  /** Where the body begins that lasts until the connection ends; 0: there is none. */
  #openBodyStart = 0;

  /** Bytes behind the response found last. */
  get leftBytes(): number {
    return this.#held.length - this.#at;
  }

  push(chunk: Buffer): void {
    this.#held = this.#at === this.#held.length ? chunk : Buffer.concat([this.#held.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Call until it says `more`. */
  next(): Look {
    const held = this.#held;
    const headEnd = held.indexOf(BLANK_LINE, this.#at);
    if (headEnd === -1) return held.length - this.#at > HEAD_BYTES_MAX ? 'unreadable' : 'more';
    const head = held.toString('latin1', this.#at, headEnd).toLowerCase();
    const status = Number(head.slice(9, 12));
    if (!head.startsWith('http/1.') || !(status >= 100)) return 'unreadable';
    const bodyStart = headEnd + 4;
    if (status < 200 && status !== SWITCHING_PROTOCOLS) {
      this.#at = bodyStart;
      return this.next();
    }
    this.status = status;
    this.#head = head;
    this.#headStart = this.#at;
    this.closes = fieldOf(head, 'connection').includes('close') || head.startsWith('http/1.0');
    return this.#readBody(head, status, bodyStart);
  }

  /** The server has ended the connection: whether that was the end of a response, too. */
  end(): boolean {
    if (this.#openBodyStart === 0) return false;
    this.body = this.#held.subarray(this.#openBodyStart);
    this.#at = this.#held.length;
    this.#openBodyStart = 0;
    return true;
  }

  /** A header of the response found last, `name` in lower case; only until more bytes are pushed. Empty: none. */
  header(name: string): string {
    const at = this.#head.indexOf(`\r\n${name}:`);
    if (at === -1) return '';
    const from = this.#headStart + at + name.length + 3;
    return this.#held.toString('latin1', from, this.#held.indexOf(LINE_END, from)).trim();
  }

  #readBody(head: string, status: number, bodyStart: number): Look {
    const length = fieldOf(head, 'content-length');
    if (length !== '') {
      const bodyEnd = bodyStart + Number.parseInt(length, 10);
      if (Number.isNaN(bodyEnd)) return 'unreadable';
      if (bodyEnd > this.#held.length) return 'more';
      this.body = this.#held.subarray(bodyStart, bodyEnd);
      this.#at = bodyEnd;
      return 'response';
    }
    if (fieldOf(head, 'transfer-encoding') === 'chunked') return this.#readChunks(bodyStart);
    if (status !== 204 && status !== 304) {
      if (!this.closes) return 'unreadable';
      this.#openBodyStart = bodyStart;
      return 'more';
    }
    this.body = EMPTY;
    this.#at = bodyStart;
    return 'response';
  }

  #readChunks(bodyStart: number): Look {
    const held = this.#held;
    const parts: Buffer[] = [];
    for (let at = bodyStart; ; ) {
      const lineEnd = held.indexOf(LINE_END, at);
      if (lineEnd === -1) return 'more';
      const bytes = Number.parseInt(held.toString('latin1', at, lineEnd), 16);
      if (Number.isNaN(bytes)) return 'unreadable';
      if (bytes === 0) {
        // Right here, or behind trailers.
        const end = held.indexOf(BLANK_LINE, lineEnd);
        if (end === -1) return 'more';
        this.body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
        this.#at = end + 4;
        return 'response';
      }
      const dataEnd = lineEnd + 2 + bytes;
      if (dataEnd + 2 > held.length) return 'more';
      parts.push(held.subarray(lineEnd + 2, dataEnd));
      at = dataEnd + 2;
    }
  }
}
