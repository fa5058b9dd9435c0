// HOT PATH
/**
 * JSON-RPC responses around result bytes that are the same for everyone.
 *
 * Role: lists and `server/discover` are encoded once per catalogue snapshot; of a response only the id differs. Each
 * result is kept in a buffer with room before it, into which the head is written flush with the result:
 *
 *   ┌ unused ┐┌ {"jsonrpc":"2.0","id":7,"result": ┐┌ result bytes ┐┌ } ┐
 *            └──────────── lent to the caller ────────────────────────┘
 *
 * Invariants: what `frame` returns is valid until its next call for the same result; memory goes with the snapshot.
 */
import { Buffer } from 'node:buffer';

const HEAD_BYTES = 256;
const BEFORE = '{"jsonrpc":"2.0","id":';
const BEHIND = ',"result":';
/** Characters of an id that fit the head whatever they are. */
const ID_LENGTH_MAX = 64;

export class FramedResults {
  readonly #frames = new WeakMap<Uint8Array, Buffer>();

  /** The response bytes; lent. */
  frame(idJson: string, result: Uint8Array): Uint8Array {
    const head = BEFORE + idJson + BEHIND;
    if (idJson.length > ID_LENGTH_MAX) return Buffer.concat([Buffer.from(head), result, Buffer.from('}')]);
    let frame = this.#frames.get(result);
    if (frame === undefined) {
      frame = Buffer.allocUnsafeSlow(HEAD_BYTES + result.length + 1);
      frame.set(result, HEAD_BYTES);
      frame[HEAD_BYTES + result.length] = 0x7d;
      this.#frames.set(result, frame);
    }
    const start = HEAD_BYTES - Buffer.byteLength(head);
    frame.write(head, start, 'utf8');
    return frame.subarray(start);
  }
}
