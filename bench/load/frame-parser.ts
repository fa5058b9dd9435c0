// HOT PATH
/**
 * WebSocket messages from the bytes of one connection, as a client receives them: unmasked frames.
 *
 * Role: as `response-parser.ts`, for the WebSocket transport. Text frames in one piece are answers; pings are reported
 * so that the connection can answer them; a close frame ends it. Messages in several frames are no MCP answer of a
 * size the harness asks for, and count as unreadable.
 */

const EMPTY = Buffer.alloc(0);
const OPCODE_TEXT = 1;
const OPCODE_CLOSE = 8;
const OPCODE_PING = 9;

type Look = 'message' | 'ping' | 'close' | 'other' | 'more' | 'unreadable';

export class FrameParser {
  #held: Buffer = EMPTY;
  #at = 0;
  /** Payload of the frame found last. */
  payload: Buffer = EMPTY;

  push(chunk: Buffer): void {
    this.#held = this.#at === this.#held.length ? chunk : Buffer.concat([this.#held.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** Call until it says `more`. */
  next(): Look {
    const held = this.#held;
    const left = held.length - this.#at;
    if (left < 2) return 'more';
    const first = held[this.#at] as number;
    const second = held[this.#at + 1] as number;
    let bytes = second & 0x7f;
    let headBytes = 2;
    if (bytes === 126) {
      if (left < 4) return 'more';
      bytes = held.readUInt16BE(this.#at + 2);
      headBytes = 4;
    } else if (bytes === 127) {
      if (left < 10) return 'more';
      bytes = Number(held.readBigUInt64BE(this.#at + 2));
      headBytes = 10;
    }
    if (left < headBytes + bytes) return 'more';
    const start = this.#at + headBytes;
    this.payload = held.subarray(start, start + bytes);
    this.#at = start + bytes;
    if ((first & 0x80) === 0 || (second & 0x80) !== 0) return 'unreadable';
    const opcode = first & 0x0f;
    if (opcode === OPCODE_TEXT) return 'message';
    if (opcode === OPCODE_PING) return 'ping';
    return opcode === OPCODE_CLOSE ? 'close' : 'other';
  }
}
