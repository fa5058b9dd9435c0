// HOT PATH
/**
 * Event time: numbers in a unit, or RFC 3339 text, to whole milliseconds.
 *
 * Rules: parts of a millisecond are cut off (towards the past), as `Date.parse` does with more than three digits. Seconds
 * and nanoseconds cannot be held exactly by a double, so they are first rounded to the nearest microsecond. All formats
 * go through the same double, so that an event has the same time however it came in.
 * Text: `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`; `t`, `z` and a space for `T` are allowed, as in RFC 3339; second 60 is
 * the first one of the next minute. NaN when it is anything else.
 */

/** Bounds of a `Date`. */
export const TIME_MS_MAX = 8.64e15;

export const UNITS = ['ms', 's', 'us', 'ns', 'iso'] as const;
export const MS = 0;
export const S = 1;
export const US = 2;
export const NS = 3;
export const ISO = 4;

/** A number in a unit of `UNITS` as milliseconds. */
export function numberToMs(value: number, unit: number): number {
  if (unit === MS) return Math.floor(value);
  if (unit === US) return Math.floor(value / 1000);
  return Math.floor(Math.round(unit === S ? value * 1e6 : value / 1000) / 1000);
}

/** The other way, for a field that is filled from a time found elsewhere. */
export function msToNumber(ms: number, unit: number): number {
  if (unit === S) return ms / 1000;
  if (unit === US) return ms * 1000;
  return unit === NS ? ms * 1e6 : ms;
}

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - 48;
  const ones = (bytes[at + 1] as number) - 48;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : -1;
}

function daysOfMonth(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

/** Days since 1970-01-01, in years that begin in March so that the leap day is the last one. */
function daysSinceEpoch(year: number, month: number, day: number): number {
  const y = month > 2 ? year : year - 1;
  const era = Math.floor(y / 400);
  const ofEra = y - era * 400;
  const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return era * 146097 + ofEra * 365 + Math.floor(ofEra / 4) - Math.floor(ofEra / 100) + ofYear - 719468;
}

/** Minutes of `Z` or `±HH:MM` at `at`, which must end at `end`; NaN otherwise. */
function offsetMinutes(bytes: Uint8Array, at: number, end: number): number {
  const sign = bytes[at] as number;
  if (sign === 90 || sign === 122) return end - at === 1 ? 0 : Number.NaN;
  if ((sign !== 43 && sign !== 45) || end - at !== 6 || bytes[at + 3] !== 58) return Number.NaN;
  const hours = twoDigits(bytes, at + 1);
  const minutes = twoDigits(bytes, at + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return Number.NaN;
  return sign === 43 ? hours * 60 + minutes : -(hours * 60 + minutes);
}

/** Milliseconds since 1970 of an RFC 3339 text; NaN when it is none. */
export function isoToMs(bytes: Uint8Array, at: number, length: number): number {
  if (length < 20 || bytes[at + 4] !== 45 || bytes[at + 7] !== 45) return Number.NaN;
  if (bytes[at + 13] !== 58 || bytes[at + 16] !== 58) return Number.NaN;
  const between = bytes[at + 10] as number;
  if (between !== 84 && between !== 116 && between !== 32) return Number.NaN;
  const century = twoDigits(bytes, at);
  const ofCentury = twoDigits(bytes, at + 2);
  const month = twoDigits(bytes, at + 5);
  const day = twoDigits(bytes, at + 8);
  const hour = twoDigits(bytes, at + 11);
  const minute = twoDigits(bytes, at + 14);
  const second = twoDigits(bytes, at + 17);
  if (century < 0 || ofCentury < 0 || month < 1 || month > 12 || day < 1) return Number.NaN;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return Number.NaN;
  const year = century * 100 + ofCentury;
  if (day > daysOfMonth(year, month)) return Number.NaN;
  const end = at + length;
  let next = at + 19;
  let ms = 0;
  if (bytes[next] === 46) {
    let weight = 100;
    const from = next + 1;
    for (next = from; next < end; next++) {
      const digit = (bytes[next] as number) - 48;
      if (digit < 0 || digit > 9) break;
      ms += digit * weight;
      weight = weight === 100 ? 10 : weight === 10 ? 1 : 0;
    }
    if (next === from) return Number.NaN;
  }
  if (next >= end) return Number.NaN;
  const offset = offsetMinutes(bytes, next, end);
  return ((daysSinceEpoch(year, month, day) * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1000 + ms;
}
