/**
 * Event ids: which stream an event belongs to, and its place there.
 *
 *   id = <stream>.<sequence>      both base 36
 *
 * Role: the same for every event log. Ids come back from clients: parsed in one pass, bounded, no regular expression.
 */

/** Longest id made here: two base-36 numbers below 2^53 and the dot. */
const ID_CHARS_MAX = 23;

export interface EventId {
  readonly streamId: number;
  readonly sequence: number;
}

export function encodeEventId(streamId: number, sequence: number): string {
  return `${streamId.toString(36)}.${sequence.toString(36)}`;
}

/** Null for what is not an id in the form it is given out. */
export function decodeEventId(text: string): EventId | null {
  if (text.length > ID_CHARS_MAX) return null;
  const dot = text.indexOf('.');
  const streamId = decodeBase36(text, 0, dot);
  const sequence = decodeBase36(text, dot + 1, text.length);
  return dot < 0 || streamId < 0 || sequence < 0 ? null : { streamId, sequence };
}

/** The number in `text[from, to)`, or -1 when it is not one in the form `toString(36)` gives. */
function decodeBase36(text: string, from: number, to: number): number {
  if (from >= to) return -1;
  if (text.charCodeAt(from) === 0x30 && to - from > 1) return -1;
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i);
    const digit = code >= 0x30 && code <= 0x39 ? code - 0x30 : code >= 0x61 && code <= 0x7a ? code - 0x57 : -1;
    if (digit < 0) return -1;
    value = value * 36 + digit;
  }
  return Number.isSafeInteger(value) ? value : -1;
}
