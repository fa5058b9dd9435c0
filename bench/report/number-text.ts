/**
 * Numbers as people read them: three significant digits and a unit, never more than seven characters.
 */
import { FIGURES, type FigureName, type Unit } from './model.ts';

export const NOTHING = '-';

/** 0.42 s and 420 µs alike in at most seven characters. */
export function microseconds(us: number): string {
  if (Number.isNaN(us)) return NOTHING;
  if (us < 1000) return `${us < 10 && us > 0 ? us.toFixed(1) : us.toFixed(0)} us`;
  if (us < 1_000_000) return `${threeDigits(us / 1000)} ms`;
  return `${threeDigits(us / 1_000_000)} s`;
}

export function count(value: number): string {
  if (Number.isNaN(value)) return NOTHING;
  const size = Math.abs(value);
  if (size >= 9_999_500) return `${threeDigits(value / 1_000_000)} M`;
  if (size >= 99_950) return `${threeDigits(value / 1000)} k`;
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return threeDigits(value);
}

export function ratio(value: number): string {
  if (Number.isNaN(value)) return NOTHING;
  return value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);
}

export function inUnit(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return NOTHING;
  if (unit === 'us') return microseconds(value);
  if (unit === 'ms') return microseconds(value * 1000);
  // Rounded down: 99.99 % success must not read as 100 %.
  if (unit === 'share') return `${(Math.floor(value * 1000) / 10).toFixed(1)} %`;
  return count(value);
}

export function figureText(figure: FigureName, value: number): string {
  return inUnit(value, FIGURES[figure].unit);
}

function threeDigits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}
