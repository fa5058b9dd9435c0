// HOT PATH
/**
 * What compiled expressions call: the operations that are more than one JavaScript operator.
 *
 * Role: generated code (`generate.ts`) is made of these names, numbers and columns only. A number that is absent is NaN
 * here, any other absent value is null. Functions take what comes: values of type `any` are looked at, and what does
 * not fit gives absent or false, never an exception.
 */
import { JOINED_CHARACTERS_MAX } from './language.ts';

export const LIBRARY = {
  asNumber: (value: unknown): number => (typeof value === 'number' ? value : Number.NaN),
  orNull: (value: number): number | null => (Number.isNaN(value) ? null : value),
  finiteOrNull: (value: number): number | null => (Number.isFinite(value) ? value : null),
  /** A boolean that may be absent, as the number an aggregate takes. */
  flagNumber: (value: unknown): number => (value === true ? 1 : value === false ? 0 : Number.NaN),
  /** What a resolver gave. */
  clean: (value: unknown): unknown => (value === undefined || Number.isNaN(value) ? null : value),
  present: (value: number): boolean => !Number.isNaN(value),

  div: (a: number, b: number): number => (b === 0 ? Number.NaN : a / b),
  /** Half away from zero. */
  round: (value: number): number => (value < 0 ? -Math.round(-value) : Math.round(value)),
  firstNumber: (a: number, b: number): number => (Number.isNaN(a) ? b : a),
  differ: (a: number, b: number): boolean => a < b || a > b,

  eq: (a: unknown, b: unknown): boolean => a === b && a !== null && typeof a !== 'object',
  ne: (a: unknown, b: unknown): boolean => typeof a === typeof b && typeof a !== 'object' && a !== b,
  lt: (a: unknown, b: unknown): boolean => comparable(a, b) && (a as string) < (b as string),
  le: (a: unknown, b: unknown): boolean => comparable(a, b) && (a as string) <= (b as string),
  gt: (a: unknown, b: unknown): boolean => comparable(a, b) && (a as string) > (b as string),
  ge: (a: unknown, b: unknown): boolean => comparable(a, b) && (a as string) >= (b as string),
  among: (item: unknown, list: unknown): boolean =>
    item !== null && typeof item !== 'object' && Array.isArray(list) && list.includes(item),

  add: (a: unknown, b: unknown): unknown => {
    if (typeof a === 'number' && typeof b === 'number') return LIBRARY.orNull(a + b);
    return LIBRARY.concat(a, b);
  },
  concat: (a: unknown, b: unknown): string | null =>
    typeof a === 'string' && typeof b === 'string' && a.length + b.length <= JOINED_CHARACTERS_MAX ? a + b : null,
  lower: (text: unknown): string | null => (typeof text === 'string' ? text.toLowerCase() : null),
  upper: (text: unknown): string | null => (typeof text === 'string' ? text.toUpperCase() : null),
  contains: (text: unknown, part: unknown): boolean =>
    typeof text === 'string' && typeof part === 'string' && text.includes(part),
  startsWith: (text: unknown, part: unknown): boolean =>
    typeof text === 'string' && typeof part === 'string' && text.startsWith(part),
  endsWith: (text: unknown, part: unknown): boolean =>
    typeof text === 'string' && typeof part === 'string' && text.endsWith(part),
  /** Characters (code points) of a string, entries of a list. */
  size: (value: unknown): number => {
    if (Array.isArray(value)) return value.length;
    return typeof value === 'string' ? characters(value) : Number.NaN;
  },
  occurrences,
  part,

  hour: (ts: number): number => floorMod(Math.floor(inTime(ts) / HOUR_MS), 24),
  /** 0: Sunday. The first day of the epoch was a Thursday. */
  dayOfWeek: (ts: number): number => floorMod(Math.floor(inTime(ts) / DAY_MS) + 4, 7),
  day: (ts: number): number => dayOfMonth(Math.floor(inTime(ts) / DAY_MS)),
  date,
} as const;

const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** Bound of dates, either way. */
const TIME_MS_MAX = 8.64e15;

function comparable(a: unknown, b: unknown): boolean {
  return (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string');
}

function characters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xdc00 && unit <= 0xdfff) count--;
  }
  return count;
}

/** How often a part stands in a text, without overlap; 0 for an empty part. */
function occurrences(text: unknown, wanted: unknown): number {
  if (typeof text !== 'string' || typeof wanted !== 'string') return Number.NaN;
  if (wanted === '') return 0;
  let count = 0;
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) count++;
  return count;
}

/** The n-th piece (from 0) of a text cut at a separator; absent when there are fewer. */
function part(text: unknown, separator: unknown, n: number): string | null {
  if (typeof text !== 'string' || typeof separator !== 'string' || separator === '' || !(n >= 0)) return null;
  let from = 0;
  for (let i = 0; i < Math.floor(n); i++) {
    const at = text.indexOf(separator, from);
    if (at < 0) return null;
    from = at + separator.length;
  }
  const to = text.indexOf(separator, from);
  return to < 0 ? text.slice(from) : text.slice(from, to);
}

/** The whole millisecond; absent where dates end. */
function inTime(ts: number): number {
  return ts >= -TIME_MS_MAX && ts <= TIME_MS_MAX ? Math.floor(ts) : Number.NaN;
}

function floorMod(value: number, by: number): number {
  const rest = value % by;
  return rest < 0 ? rest + by : rest + 0;
}

/** Howard Hinnant's `civil_from_days`, the part that gives the day: years begin in March, eras have 400 of them. */
function dayOfMonth(days: number): number {
  const dayOfEra = floorMod(days + 719_468, 146_097);
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  return dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
}

/** The last day asked for: events come in order of time, nearly. */
let cachedDay = Number.NaN;
let cachedDate = '';

/** `2026-03-01`. */
function date(ts: number): string | null {
  const day = Math.floor(inTime(ts) / DAY_MS);
  if (Number.isNaN(day)) return null;
  if (day !== cachedDay) {
    const text = new Date(day * DAY_MS).toISOString();
    cachedDate = text.slice(0, text.indexOf('T'));
    cachedDay = day;
  }
  return cachedDate;
}
