// HOT PATH
/**
 * The shortest digits that are a double again, for fractions between 1 and 10^9, without big numbers.
 *
 * Role: what products and means are written with: 0.908 · 15432 is 14012.256000000001, and asking the engine for its text
 * was an eighth of a query that writes one per event. 17 digits always suffice. The fraction times the power of ten that
 * makes them whole is had exactly, as the sum of two doubles (Dekker 1971). Every decimal nearer to it than half the
 * distance to the next double is this double: the one that ends in the most zeros is taken, and of those the nearest.
 * What is too near to call, a tie or the border to the next double, is not told: `find` says false.
 */
const WHOLE_MAX = 1e9;
const DIGITS = 17;
const EIGHT_DIGITS = 1e8;
/** 2^27 + 1: cuts a double into halves whose products are exact. */
const SPLIT = 134_217_729;
/** Far more than what rounding does to numbers below 1000. */
const DOUBT = 1e-6;
const POWERS = Float64Array.from({ length: DIGITS }, (_, k) => 10 ** k);
const HIGH_HALVES = POWERS.map((power) => SPLIT * power - (SPLIT * power - power));
const LOW_HALVES = POWERS.map((power, k) => power - (HIGH_HALVES[k] as number));
/** Half the distance to the next double, by the exponent. */
const HALF_STEPS = Float64Array.from({ length: 30 }, (_, exponent) => 2 ** (exponent - 53));

export class FractionDigits {
  whole = 0;
  /** What is behind the point, zeros at the end included, as a whole number: high · 10^8 + low. */
  high = 0;
  low = 0;

  /** Of a double that is no whole number. Whole part and fraction have `DIGITS` digits together. False: not told. */
  find(size: number): boolean {
    if (!(size > 1 && size < WHOLE_MAX)) return false;
    const whole = Math.floor(size);
    const k = DIGITS - digitsOf(whole);
    const power = POWERS[k] as number;
    const within = (HALF_STEPS[31 - Math.clz32(whole)] as number) * power;
    const fraction = size - whole;
    const product = fraction * power;
    const hundreds = Math.floor(product / 100) * 100;
    const behind = nearest(product - hundreds + errorOf(fraction, k, product), within);
    if (behind < 0 || hundreds + behind >= power) return false;
    const high = Math.floor(hundreds / EIGHT_DIGITS);
    const low = hundreds - high * EIGHT_DIGITS + behind;
    this.whole = whole;
    this.high = low < EIGHT_DIGITS ? high : high + 1;
    this.low = low < EIGHT_DIGITS ? low : low - EIGHT_DIGITS;
    return true;
  }
}

/** What the rounded product of a fraction and a power of ten is short of. */
function errorOf(fraction: number, k: number, product: number): number {
  const high = HIGH_HALVES[k] as number;
  const low = LOW_HALVES[k] as number;
  const shifted = SPLIT * fraction;
  const top = shifted - (shifted - fraction);
  const rest = fraction - top;
  return rest * low - (product - top * high - rest * high - top * low);
}

/** The roundest whole number that is less than `within` away; −1 when that is too near to call. */
function nearest(exact: number, within: number): number {
  const hundred = Math.round(exact / 100) * 100;
  const toHundred = Math.abs(hundred - exact) - within;
  if (toHundred < -DOUBT) return hundred;
  const ten = Math.round(exact / 10) * 10;
  const toTen = Math.abs(ten - exact);
  const one = Math.round(exact);
  const isClear = toHundred > DOUBT && Math.abs(toTen - within) > DOUBT && 5 - toTen > DOUBT;
  if (!isClear) return -1;
  if (toTen < within) return ten;
  return 0.5 - Math.abs(one - exact) > DOUBT ? one : -1;
}

function digitsOf(whole: number): number {
  if (whole < 1e4) return whole < 100 ? (whole < 10 ? 1 : 2) : whole < 1000 ? 3 : 4;
  if (whole < 1e6) return whole < 1e5 ? 5 : 6;
  return whole < 1e8 ? (whole < 1e7 ? 7 : 8) : 9;
}
