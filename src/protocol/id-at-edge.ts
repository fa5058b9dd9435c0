// HOT PATH
/**
 * The id of a request where clients mostly put it, found without a look at the rest of the body.
 *
 *   {"jsonrpc":"2.0","id":7,…          …,"jsonrpc":"2.0","id":7}
 *
 * Role: a call that is refused for load costs the front end little else than reading its id; scanning the whole body
 * for it was an eighth of that. Only ids of digits are found so, others are left to the scan.
 * Invariant: in a body that `JSON.parse` accepts and that has one id, what is found is that id. Of other bodies it may
 * find something as well: only for answers that say nothing of the body.
 */
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const HEAD = bytesOf('{"jsonrpc":"2.0","id":');
const TAIL = bytesOf(',"jsonrpc":"2.0","id":');
const CLOSE_BRACE = 0x7d;
const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
/** Digits of an integer that a double holds whatever they are. */
const SAFE_DIGITS = 15;

/** As JSON text; `''` when it is not there. */
export function idJsonAtEdge(body: Uint8Array): string {
  const last = body.length - 1;
  if (stands(HEAD, body, 0)) {
    let end = HEAD.length;
    while (isDigit(body[end] as number)) end++;
    return body[end] === COMMA || body[end] === CLOSE_BRACE ? digits(body, HEAD.length, end) : '';
  }
  if (last < 0 || body[last] !== CLOSE_BRACE) return '';
  let start = last;
  while (start > 0 && isDigit(body[start - 1] as number)) start--;
  return stands(TAIL, body, start - TAIL.length) ? digits(body, start, last) : '';
}

function stands(text: Uint8Array, body: Uint8Array, at: number): boolean {
  if (at < 0 || at + text.length > body.length) return false;
  for (let i = 0; i < text.length; i++) if (body[at + i] !== text[i]) return false;
  return true;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** `''` for what is no JSON number, or none that can be echoed whatever it is. */
function digits(body: Uint8Array, start: number, end: number): string {
  const count = end - start;
  if (count < 1 || count > SAFE_DIGITS || (count > 1 && body[start] === ZERO)) return '';
  let value = 0;
  for (let i = start; i < end; i++) value = value * 10 + ((body[i] as number) - ZERO);
  return `${value}`;
}
