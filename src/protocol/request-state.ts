/**
 * `requestState` of a multi-round-trip request (2026-07-28): what a handler has learnt so far, sealed, in the client's
 * hands.
 *
 * Role: the server holds nothing between rounds, so whatever comes back is an attacker's until it opens: AES-256-GCM,
 * bound to the caller, the method, the name and the arguments it was made for, and to a time. Any node with the same
 * secret can open it; after a change of secret, what was sealed before it opens too. It does not stop a state from being used twice within its time.
 * Used in worker threads, on calls that ask the client something; never on others.
 *
 *   token  = "v1." base64url( expiry u48 | iv 12 bytes | tag 16 bytes | ciphertext )
 *   AAD    = "v1" | expiry | SHA-256(principal, method, name, canonical arguments), each with its length before it
 *   key    = HKDF-SHA256(secret, "… v1 <hour of expiry>"): random 96-bit IVs are safe for 2^32 seals per key, which a
 *            secret of many nodes and months would pass and an hour does not
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import { isJsonObject } from './message-shape.ts';
import type { SharedSecret } from './shared-secret.ts';

/** Longest token, made or looked at. */
export const REQUEST_STATE_CHARS_MAX = 65_536;
/** How long a client may take to answer. */
export const REQUEST_STATE_TTL_MS = 10 * 60_000;
/** How far the clocks of two nodes may differ before a state of the one looks too fresh to the other. */
const CLOCK_SKEW_MS = 60_000;
const KEY_PERIOD_MS = 3_600_000;
/** Keys in use at once are two, at most three with skew. */
const KEYS_MAX = 4;

const PREFIX = 'v1.';
const EXPIRY_BYTES = 6;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEAD_BYTES = EXPIRY_BYTES + IV_BYTES + TAG_BYTES;
/** Bytes of JSON that fit the longest token: 49,115. */
export const REQUEST_STATE_BYTES_MAX = Math.floor(((REQUEST_STATE_CHARS_MAX - PREFIX.length) * 3) / 4) - HEAD_BYTES;

export interface RequestState {
  /** Answers of earlier rounds, by question key. */
  answers: Record<string, unknown>;
  /** `HandlerContext.state`. */
  values: Record<string, unknown>;
  round: number;
}

/** The request a state belongs to. It opens for this one only. */
export interface Binding {
  /** `''` without authentication. */
  readonly principalId: string;
  readonly method: string;
  readonly name: string;
  /** Parsed arguments; member order does not matter. */
  readonly arguments: unknown;
}

export interface RequestStateOptions {
  /** Default `REQUEST_STATE_TTL_MS`. */
  readonly ttlMs?: number;
}

export class RequestStateCodec {
  readonly #secret: SharedSecret;
  readonly #ttlMs: number;
  /** As `SharedSecret.inForce`, and the keys made of each. */
  #inForce: readonly Uint8Array[] = [];
  #keys: readonly PeriodKeys[] = [];

  constructor(secret: SharedSecret, options: RequestStateOptions = {}) {
    this.#secret = secret;
    this.#ttlMs = options.ttlMs ?? REQUEST_STATE_TTL_MS;
  }

  /** Throws a RangeError when the state is too large for a token, a TypeError when it is no JSON. */
  seal(state: RequestState, binding: Binding, nowMs: number): string {
    const plain = Buffer.from(JSON.stringify(state), 'utf8');
    if (plain.length > REQUEST_STATE_BYTES_MAX) {
      throw new RangeError(
        `answers and context.state are ${plain.length} bytes of JSON, at most ${REQUEST_STATE_BYTES_MAX} fit a request state`,
      );
    }
    const expiry = Buffer.alloc(EXPIRY_BYTES);
    const expiresAtMs = Math.ceil(nowMs + this.#ttlMs);
    expiry.writeUIntBE(expiresAtMs, 0, EXPIRY_BYTES);
    const iv = randomBytes(IV_BYTES);
    const [keys] = this.#keysInForce();
    const cipher = createCipheriv('aes-256-gcm', (keys as PeriodKeys).at(expiresAtMs), iv);
    cipher.setAAD(associatedData(expiry, binding));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    return PREFIX + Buffer.concat([expiry, iv, cipher.getAuthTag(), sealed]).toString('base64url');
  }

  /** Null for everything that is not a live state of this very request; never throws. */
  open(token: string, binding: Binding, nowMs: number): RequestState | null {
    const bytes = tokenBytes(token);
    if (bytes === null) return null;
    const expiry = bytes.subarray(0, EXPIRY_BYTES);
    const expiresAtMs = expiry.readUIntBE(0, EXPIRY_BYTES);
    // Before any cryptography: a forged time must not make us derive keys for arbitrary hours.
    if (expiresAtMs <= nowMs || expiresAtMs > nowMs + this.#ttlMs + CLOCK_SKEW_MS) return null;
    const data = associatedData(expiry, binding);
    for (const keys of this.#keysInForce()) {
      const state = opened(bytes, data, keys.at(expiresAtMs));
      if (state !== null) return state;
    }
    return null;
  }

  #keysInForce(): readonly PeriodKeys[] {
    const { inForce } = this.#secret;
    if (inForce !== this.#inForce) {
      this.#inForce = inForce;
      this.#keys = inForce.map((secret) => new PeriodKeys(secret));
    }
    return this.#keys;
  }
}

/** Keys made of one secret, by the hour. */
class PeriodKeys {
  readonly #secret: Uint8Array;
  readonly #keys = new Map<number, Uint8Array>();

  constructor(secret: Uint8Array) {
    this.#secret = secret;
  }

  at(expiresAtMs: number): Uint8Array {
    const period = Math.floor(expiresAtMs / KEY_PERIOD_MS);
    let key = this.#keys.get(period);
    if (key === undefined) {
      key = new Uint8Array(hkdfSync('sha256', this.#secret, '', `millrace request-state v1 ${period}`, 32));
      if (this.#keys.size >= KEYS_MAX) this.#keys.clear();
      this.#keys.set(period, key);
    }
    return key;
  }
}

function opened(bytes: Buffer, data: Buffer, key: Uint8Array): RequestState | null {
  const iv = bytes.subarray(EXPIRY_BYTES, EXPIRY_BYTES + IV_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(data);
  decipher.setAuthTag(bytes.subarray(EXPIRY_BYTES + IV_BYTES, HEAD_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(bytes.subarray(HEAD_BYTES)), decipher.final()]);
    return stateOf(JSON.parse(plain.toString('utf8')));
  } catch {
    // `final` throws when the tag does not fit: the one expected failure, and it tells the client nothing more.
    return null;
  }
}

/** The bytes of a token in its one spelling: lenient base64 would let an altered last character pass. */
function tokenBytes(token: string): Buffer | null {
  if (token.length > REQUEST_STATE_CHARS_MAX || !token.startsWith(PREFIX)) return null;
  const text = token.slice(PREFIX.length);
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length > HEAD_BYTES && bytes.toString('base64url') === text ? bytes : null;
}

function associatedData(expiry: Uint8Array, binding: Binding): Buffer {
  const hash = createHash('sha256');
  for (const part of [binding.principalId, binding.method, binding.name]) {
    hash.update(`${Buffer.byteLength(part)}:`).update(part);
  }
  for (const part of canonicalJson(binding.arguments)) hash.update(part);
  return Buffer.concat([Buffer.from('v1'), expiry, hash.digest()]);
}

/** Chunks handed to the hash are about this long. */
const CHUNK_CHARS = 16_384;

/** Text that is emitted as it stands, in between values on the stack. */
class Verbatim {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/**
 * Text that is equal for equal arguments only: members sorted, a comma after each scalar. Keeps a stack of its own,
 * since arguments may nest deeper than the call stack.
 */
function* canonicalJson(root: unknown): Generator<string> {
  const stack: unknown[] = [root];
  let chunk = '';
  while (stack.length > 0) {
    const value = stack.pop();
    if (value instanceof Verbatim) {
      chunk += value.text;
    } else if (Array.isArray(value)) {
      stack.push(new Verbatim(']'));
      for (let n = value.length - 1; n >= 0; n -= 1) stack.push(value[n]);
      chunk += '[';
    } else if (typeof value === 'object' && value !== null) {
      const members = Object.entries(value).sort(([a], [b]) => (a < b ? 1 : -1));
      stack.push(new Verbatim('}'));
      for (const [key, member] of members) stack.push(member, new Verbatim(`${JSON.stringify(key)}:`));
      chunk += '{';
    } else {
      chunk += `${JSON.stringify(value) ?? 'undefined'},`;
    }
    if (chunk.length >= CHUNK_CHARS) {
      yield chunk;
      chunk = '';
    }
  }
  yield chunk;
}

/** What opened was sealed here; the look at its shape is for secrets shared with another version. */
function stateOf(value: unknown): RequestState | null {
  if (typeof value !== 'object' || value === null) return null;
  const { answers, values, round } = value as Partial<RequestState>;
  const sound = isJsonObject(answers) && isJsonObject(values) && typeof round === 'number';
  return sound ? { answers, values, round } : null;
}
