// HOT PATH
/**
 * What the front-end thread needs to know of a JSON-RPC message, found in its raw bytes without parsing it.
 *
 * Role: one linear pass over a body: the members of the message, of `params` and of `params._meta`, in any order.
 * Every other value is jumped over by its brackets and quotes. A session's tool call is dispatched on what stands
 * here; its arguments are parsed in the worker.
 *
 *   { "jsonrpc", "id", "method", "params": { "name", "uri", "_meta": { …/protocolVersion } } }
 *
 * Invariants: for a body that `JSON.parse` accepts, the result agrees with the parsed value, or is `duplicate`, or is
 * `cold`: something the scanner leaves to a real parse (escapes or non-ASCII in what it would have to decode, unusual
 * ids, malformed text, arrays). For other bodies it says something, in linear time, without throwing; whoever parses
 * the body later finds the error. No recursion. One object is used again for every message.
 */
import type { JsonObject } from './channel.ts';
import type { Fault } from './faults.ts';
import { atText, nextToken, plainStringEnd, valueEnd } from './json-spans.ts';
import { idJsonOf, isJsonObject, messageKind, shapeFault } from './message-shape.ts';
import { asciiText, StringTable } from './string-table.ts';

/**
 * `request`, `notification`, `response`, `batch`: what the message is. `duplicate`: an envelope key stands twice, so
 * two readers could see two different messages. `cold`: parse the body and `adopt` the value.
 */
export type EnvelopeKind = 'request' | 'notification' | 'response' | 'batch' | 'duplicate' | 'cold';

/** The `_meta` key with which a message claims a revision without sessions. */
export const VERSION_KEY = 'io.modelcontextprotocol/protocolVersion';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const KEY_ID = bytesOf('id');
const KEY_URI = bytesOf('uri');
const KEY_NAME = bytesOf('name');
const KEY_META = bytesOf('_meta');
const KEY_ERROR = bytesOf('error');
const KEY_METHOD = bytesOf('method');
const KEY_PARAMS = bytesOf('params');
const KEY_RESULT = bytesOf('result');
const KEY_JSONRPC = bytesOf('jsonrpc');
const KEY_VERSION = bytesOf(VERSION_KEY);
const VERSION_2_0 = bytesOf('"2.0"');

/** Digits of an integer that a double holds whatever they are. */
const SAFE_DIGITS = 15;

const SEEN = { JSONRPC: 1, ID: 2, METHOD: 4, PARAMS: 8, RESULT: 16, ERROR: 32, NAME: 64, URI: 128, META: 256 } as const;

/** Why a member loop stopped early; positions are never negative. */
const COLD = -1;
const DUPLICATE = -2;

export class Envelope {
  kind: EnvelopeKind = 'cold';
  /** The id as JSON text (`1`, `"a"`); `''` when the message has none. */
  idJson = '';
  method = '';
  /** `params.uri` for `resources/*`, else `params.name`; `''` when absent or not a string. */
  name = '';
  /** `params._meta` names a protocol version: the message claims a revision without sessions. */
  claimsStateless = false;
  /** The parsed body, where it had to be parsed; else null. */
  parsed: JsonObject | readonly unknown[] | null = null;

  #seen = 0;
  #idStart = 0;
  #idEnd = 0;
  #methodStart = 0;
  #methodEnd = 0;
  #nameStart = 0;
  #nameEnd = 0;
  #uriStart = 0;
  #uriEnd = 0;
  readonly #strings = new StringTable();

  /** Fills this object from a body and returns its kind. Nothing but `kind` has a meaning for `cold` and `duplicate`. */
  scan(body: Uint8Array): EnvelopeKind {
    this.#reset();
    const start = nextToken(body, 0);
    const end = body[start] === OPEN_BRACE ? this.#message(body, start + 1) : COLD;
    if (end === DUPLICATE) this.kind = 'duplicate';
    else if (end === COLD || nextToken(body, end) !== body.length) this.kind = 'cold';
    else this.#conclude(body);
    return this.kind;
  }

  /** Fills this object from a parsed body; returns what is wrong with it as a message. */
  adopt(value: unknown): Fault | null {
    this.#reset();
    const wrong = shapeFault(value);
    if (wrong !== null || !isJsonObject(value)) return wrong;
    this.parsed = value;
    this.kind = messageKind(value);
    this.idJson = idJsonOf(value);
    if (this.kind === 'response') return null;
    this.method = value['method'] as string;
    const params = value['params'];
    if (!isJsonObject(params)) return null;
    const name = params[this.method.startsWith('resources/') ? 'uri' : 'name'];
    if (typeof name === 'string') this.name = name;
    const meta = params['_meta'];
    if (!isJsonObject(meta)) return null;
    this.claimsStateless = Object.hasOwn(meta, VERSION_KEY);
    return null;
  }

  /** A parsed array of messages. */
  adoptBatch(messages: readonly unknown[]): void {
    this.#reset();
    this.kind = 'batch';
    this.parsed = messages;
  }

  #reset(): void {
    this.kind = 'cold';
    this.idJson = '';
    this.method = '';
    this.name = '';
    this.claimsStateless = false;
    this.parsed = null;
    this.#seen = 0;
    this.#nameStart = 0;
    this.#nameEnd = 0;
    this.#uriStart = 0;
    this.#uriEnd = 0;
  }

  #conclude(body: Uint8Array): void {
    const seen = this.#seen;
    const answers = (seen & (SEEN.RESULT | SEEN.ERROR)) !== 0;
    if ((seen & SEEN.JSONRPC) === 0 || (seen & SEEN.METHOD) === 0 || answers) {
      // Responses are rare enough to be parsed.
      this.kind = 'cold';
      return;
    }
    this.method = this.#strings.read(body, this.#methodStart, this.#methodEnd);
    if (this.method === '') {
      this.kind = 'cold';
      return;
    }
    if (this.method.startsWith('resources/')) this.name = this.#strings.read(body, this.#uriStart, this.#uriEnd);
    else this.name = this.#strings.read(body, this.#nameStart, this.#nameEnd);
    if ((seen & SEEN.ID) === 0) {
      this.kind = 'notification';
      return;
    }
    this.idJson = asciiText(body, this.#idStart, this.#idEnd);
    this.kind = 'request';
  }

  /** Notes that an envelope key was met; true when it was met before. */
  #again(key: number): boolean {
    if ((this.#seen & key) !== 0) return true;
    this.#seen |= key;
    return false;
  }

  /** Members of the message; `at` is behind `{`. The position behind `}`, or why not. */
  #message(body: Uint8Array, from: number): number {
    let at = nextToken(body, from);
    if (body[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      const keyEnd = plainStringEnd(body, at);
      if (keyEnd < 0) return COLD;
      const colon = nextToken(body, keyEnd);
      if (body[colon] !== COLON) return COLD;
      const value = nextToken(body, colon + 1);
      const end = this.#messageMember(body, at + 1, keyEnd - 1, value);
      if (end < 0) return end;
      at = nextToken(body, end);
      if (body[at] === CLOSE_BRACE) return at + 1;
      if (body[at] !== COMMA) return COLD;
      at = nextToken(body, at + 1);
    }
  }

  #messageMember(body: Uint8Array, key: number, keyEnd: number, value: number): number {
    switch (keyEnd - key) {
      case 2:
        return atText(body, key, KEY_ID) ? this.#id(body, value) : valueEnd(body, value);
      case 5:
        if (atText(body, key, KEY_ERROR) && this.#again(SEEN.ERROR)) return DUPLICATE;
        return valueEnd(body, value);
      case 6:
        if (atText(body, key, KEY_METHOD)) return this.#method(body, value);
        if (atText(body, key, KEY_PARAMS)) {
          if (this.#again(SEEN.PARAMS)) return DUPLICATE;
          return body[value] === OPEN_BRACE ? this.#params(body, value + 1) : COLD;
        }
        if (atText(body, key, KEY_RESULT) && this.#again(SEEN.RESULT)) return DUPLICATE;
        return valueEnd(body, value);
      case 7:
        if (!atText(body, key, KEY_JSONRPC)) return valueEnd(body, value);
        if (this.#again(SEEN.JSONRPC)) return DUPLICATE;
        return atText(body, value, VERSION_2_0) ? value + VERSION_2_0.length : COLD;
      default:
        return valueEnd(body, value);
    }
  }

  #method(body: Uint8Array, value: number): number {
    if (this.#again(SEEN.METHOD)) return DUPLICATE;
    const end = plainStringEnd(body, value);
    this.#methodStart = value + 1;
    this.#methodEnd = end - 1;
    return end;
  }

  #id(body: Uint8Array, value: number): number {
    if (this.#again(SEEN.ID)) return DUPLICATE;
    const end = body[value] === QUOTE ? plainStringEnd(body, value) : integerEnd(body, value);
    this.#idStart = value;
    this.#idEnd = end;
    return end;
  }

  /** Members of `params`. */
  #params(body: Uint8Array, from: number): number {
    let at = nextToken(body, from);
    if (body[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      const keyEnd = plainStringEnd(body, at);
      if (keyEnd < 0) return COLD;
      const colon = nextToken(body, keyEnd);
      if (body[colon] !== COLON) return COLD;
      const value = nextToken(body, colon + 1);
      const end = this.#paramsMember(body, at + 1, keyEnd - 1, value);
      if (end < 0) return end;
      at = nextToken(body, end);
      if (body[at] === CLOSE_BRACE) return at + 1;
      if (body[at] !== COMMA) return COLD;
      at = nextToken(body, at + 1);
    }
  }

  #paramsMember(body: Uint8Array, key: number, keyEnd: number, value: number): number {
    const length = keyEnd - key;
    if (length === 4 && atText(body, key, KEY_NAME)) {
      if (this.#again(SEEN.NAME)) return DUPLICATE;
      if (body[value] !== QUOTE) return valueEnd(body, value);
      this.#nameStart = value + 1;
      const end = plainStringEnd(body, value);
      this.#nameEnd = end - 1;
      return end;
    }
    if (length === 3 && atText(body, key, KEY_URI)) {
      if (this.#again(SEEN.URI)) return DUPLICATE;
      if (body[value] !== QUOTE) return valueEnd(body, value);
      this.#uriStart = value + 1;
      const end = plainStringEnd(body, value);
      this.#uriEnd = end - 1;
      return end;
    }
    if (length !== 5 || !atText(body, key, KEY_META)) return valueEnd(body, value);
    if (this.#again(SEEN.META)) return DUPLICATE;
    return body[value] === OPEN_BRACE ? this.#meta(body, value + 1) : valueEnd(body, value);
  }

  /** Members of `params._meta`: only one key is looked for, and its value never looked at. */
  #meta(body: Uint8Array, from: number): number {
    let at = nextToken(body, from);
    if (body[at] === CLOSE_BRACE) return at + 1;
    for (;;) {
      const keyEnd = plainStringEnd(body, at);
      if (keyEnd < 0) return COLD;
      const colon = nextToken(body, keyEnd);
      if (body[colon] !== COLON) return COLD;
      const length = keyEnd - at - 2;
      if (length === KEY_VERSION.length && atText(body, at + 1, KEY_VERSION)) this.claimsStateless = true;
      const end = valueEnd(body, nextToken(body, colon + 1));
      if (end < 0) return COLD;
      at = nextToken(body, end);
      if (body[at] === CLOSE_BRACE) return at + 1;
      if (body[at] !== COMMA) return COLD;
      at = nextToken(body, at + 1);
    }
  }
}

/** Behind an integer without fraction, exponent or leading zero that a double holds exactly; COLD for other values. */
function integerEnd(body: Uint8Array, from: number): number {
  const digits = body[from] === MINUS ? from + 1 : from;
  let at = digits;
  while (at < body.length && (body[at] as number) >= ZERO && (body[at] as number) <= NINE) at++;
  const count = at - digits;
  if (count === 0 || count > SAFE_DIGITS || (count > 1 && body[digits] === ZERO)) return COLD;
  const next = body[nextToken(body, at)];
  return next === COMMA || next === CLOSE_BRACE ? at : COLD;
}
