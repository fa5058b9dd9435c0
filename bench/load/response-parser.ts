// HOT PATH
/**
 * HTTP/1.1 responses from the bytes of one connection: status and body, in order.
 *
 * Role: the own client's parser. It knows what servers answer to a POST (a length or chunks) and nothing else, which is
 * what lets one core make more load than a general client. What it cannot read is a fault of the connection, never
 * silently dropped.
 */

const EMPTY = Buffer.alloc(0);
const HEAD_BYTES_MAX = 65_536;
const BLANK_LINE = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

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
    this.#headStart = this.#at;
    const look = this.#readBody(head, status, bodyStart);
    if (look !== 'response') return look;
    this.status = status;
    this.#head = head;
    this.closes = head.includes('\r\nconnection: close') || head.startsWith('http/1.0');
    return 'response';
  }

  /** A header of the response found last, `name` in lower case; only until more bytes are pushed. Empty: none. */
  header(name: string): string {
    const at = this.#head.indexOf(`\r\n${name}:`);
    if (at === -1) return '';
    const from = this.#headStart + at + name.length + 3;
    return this.#held.toString('latin1', from, this.#held.indexOf(LINE_END, from)).trim();
  }

  #readBody(head: string, status: number, bodyStart: number): Look {
    const lengthAt = head.indexOf('\r\ncontent-length:');
    if (lengthAt !== -1) {
      const bodyEnd = bodyStart + Number.parseInt(head.slice(lengthAt + 17), 10);
      if (Number.isNaN(bodyEnd)) return 'unreadable';
      if (bodyEnd > this.#held.length) return 'more';
      this.body = this.#held.subarray(bodyStart, bodyEnd);
      this.#at = bodyEnd;
      return 'response';
    }
    if (head.includes('\r\ntransfer-encoding: chunked')) return this.#readChunks(bodyStart);
    if (status !== 204 && status !== 304) return 'unreadable';
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
      const dataEnd = lineEnd + 2 + bytes;
      if (dataEnd + 2 > held.length) return 'more';
      if (bytes === 0) {
        this.body = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
        this.#at = dataEnd + 2;
        return 'response';
      }
      parts.push(held.subarray(lineEnd + 2, dataEnd));
      at = dataEnd + 2;
    }
  }
}
