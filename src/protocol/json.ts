// HOT PATH
/**
 * Bytes to JSON value, the strict way: valid UTF-8, no byte order mark, bounded nesting, then `JSON.parse`.
 *
 * Role: the only place where a message from outside becomes a value, on the front-end thread and in the workers alike,
 * so that both read the same message. What was wrong comes back as a reason without any of the input in it.
 * Nesting is bounded before anything is built: V8 parses 200,000 levels, but whatever walks the value later does not
 * stand them.
 */
import { Buffer, isUtf8 } from 'node:buffer';

export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly reason: string };

/** Levels of arrays and objects a message may have. */
export const JSON_DEPTH_MAX = 128;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

const NOT_UTF8: ParsedJson = Object.freeze({ ok: false, reason: 'the body is not valid UTF-8' });
const BYTE_ORDER_MARK: ParsedJson = Object.freeze({ ok: false, reason: 'the body begins with a byte order mark' });
const NOT_JSON: ParsedJson = Object.freeze({ ok: false, reason: 'the body is not valid JSON' });

export function parseJson(bytes: Uint8Array, depthMax: number = JSON_DEPTH_MAX): ParsedJson {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return BYTE_ORDER_MARK;
  if (!isUtf8(bytes)) return NOT_UTF8;
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = buffer.toString('utf8');
  // A level costs its two brackets, so a shorter body that nests deeper is not JSON anyway.
  if (bytes.length > 2 * depthMax + 1 && opensMoreThan(text, depthMax) && nestsDeeperThan(bytes, depthMax)) {
    return { ok: false, reason: `the body nests deeper than ${depthMax} levels` };
  }
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch (error) {
    if (error instanceof SyntaxError) return NOT_JSON;
    throw error;
  }
}

/** Whether there are so many opening brackets at all, inside strings too: a few searches, where a pass looks at each byte. */
function opensMoreThan(text: string, most: number): boolean {
  let found = 0;
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) if (++found > most) return true;
  for (let at = text.indexOf('['); at >= 0; at = text.indexOf('[', at + 1)) if (++found > most) return true;
  return false;
}

/** One pass over the bytes; brackets inside strings do not count. Right for valid JSON, harmless for the rest. */
function nestsDeeperThan(bytes: Uint8Array, depthMax: number): boolean {
  const length = bytes.length;
  let depth = 0;
  for (let i = 0; i < length; i++) {
    const byte = bytes[i] as number;
    if (byte === QUOTE) {
      for (i++; i < length; i++) {
        const inside = bytes[i];
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) i++;
      }
      continue;
    }
    // `[` and `{`, like `]` and `}`, differ in this one bit.
    const bracket = byte | 0x20;
    if (bracket === OPEN) {
      depth += 1;
      if (depth > depthMax) return true;
    } else if (bracket === CLOSE) {
      depth -= 1;
    }
  }
  return false;
}
