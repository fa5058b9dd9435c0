/**
 * Cursors of the lists: opaque to clients, and only good if this server (or one with the same secret) made them.
 *
 * Role: a cursor says "after this entry of that list". It names the entry instead of counting, so that it stays right
 * while entries come and go, and means the same on every node behind a balancer.
 *
 *   base64url( tag: 12 bytes │ list: 1 byte │ name of the last entry given, UTF-8 )
 *
 * The tag is an HMAC-SHA-256, cut; it keeps altered and invented cursors out, not names secret (lists are no secret).
 * The empty string is never issued, so it is refused like any other cursor that is not ours.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { SharedSecret } from '../protocol/shared-secret.ts';
import type { ListName } from './entry.ts';

const TAG_BYTES = 12;
const HEAD_BYTES = TAG_BYTES + 1;
/** Names and URIs are at most 2,048 characters, of up to 3 bytes, in base64. */
export const CURSOR_CHARS_MAX = 8300;

const LIST_CODES: Readonly<Record<ListName, number>> = { tools: 1, resources: 2, templates: 3, prompts: 4 };

export class Cursors {
  readonly #secret: SharedSecret;

  /** Nodes that share the secret accept each other's cursors; those of the secret before are accepted too. */
  constructor(secret: SharedSecret) {
    this.#secret = secret;
  }

  /** The cursor of the page that follows `name`. */
  issue(list: ListName, name: string): string {
    const body = Buffer.from(name, 'utf8');
    const bytes = Buffer.allocUnsafe(HEAD_BYTES + body.length);
    bytes[TAG_BYTES] = LIST_CODES[list];
    body.copy(bytes, HEAD_BYTES);
    tagOf(bytes, this.#secret.inForce[0] as Uint8Array).copy(bytes, 0, 0, TAG_BYTES);
    return bytes.toString('base64url');
  }

  /** The name a cursor of this list stands after; null when it is not one of ours. */
  read(list: ListName, cursor: string): string | null {
    if (cursor.length === 0 || cursor.length > CURSOR_CHARS_MAX) return null;
    const bytes = Buffer.from(cursor, 'base64url');
    // Decoding skips what is not base64url; the way back shows whether anything was skipped.
    if (bytes.length <= HEAD_BYTES || bytes.toString('base64url') !== cursor) return null;
    if (bytes[TAG_BYTES] !== LIST_CODES[list]) return null;
    const tag = bytes.subarray(0, TAG_BYTES);
    const isOurs = this.#secret.inForce.some((secret) =>
      timingSafeEqual(tagOf(bytes, secret).subarray(0, TAG_BYTES), tag),
    );
    return isOurs ? bytes.toString('utf8', HEAD_BYTES) : null;
  }
}

function tagOf(bytes: Buffer, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update('millrace list cursor').update(bytes.subarray(TAG_BYTES)).digest();
}
