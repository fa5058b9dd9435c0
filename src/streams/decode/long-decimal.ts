// HOT PATH
/**
 * Decimals of 16 to 20 digits, such as `0.1 + 0.2` prints: the right double without making a text for `Number`.
 *
 * The digits are an integer m, held exactly as the sum of two doubles; the value is m / 10^k with 10^k a double. The
 * quotient's head q is the rounded quotient of the heads, its tail r the exact remainder over 10^k, good to 50 bits. The
 * double is q + r, rounded once, unless that lies so near to the middle between two doubles that the last bits of r would
 * decide: then the same sum with r a little larger and a little smaller differs, and the answer is NaN: ask `Number`.
 * Products are made exact by splitting their factors in halves (Dekker 1971); the remainder of a rounded quotient is a
 * double.
 */
const SPLITTER = 134_217_729;
const TAIL_ERROR = 2 ** -40;
const HEAD_DIGITS = 15;
const DIGITS_MAX = 20;
const SCALE_MAX = 22;
const TENS = Float64Array.from({ length: SCALE_MAX + 1 }, (_, i) => Number(`1e${i}`));

/** What a × b lost when it was rounded to `product`. */
function productError(a: number, b: number, product: number): number {
  const bigA = SPLITTER * a;
  const highA = bigA - (bigA - a);
  const lowA = a - highA;
  const bigB = SPLITTER * b;
  const highB = bigB - (bigB - b);
  const lowB = b - highB;
  return lowA * lowB - (product - highA * highB - lowA * highB - highA * lowB);
}

/** (a·10^n + b) / 10^scale, for integers a < 10^15 and b < 10^n, n ≤ 5; NaN when it cannot be told so. */
function quotient(a: number, n: number, b: number, scale: number): number {
  const power = TENS[n] as number;
  const product = a * power;
  const head = product + b;
  // Whole numbers below 2^53 each: their sum is exact.
  const tail = productError(a, power, product) + (b - (head - product));
  const divisor = TENS[scale] as number;
  const q = head / divisor;
  const back = q * divisor;
  const r = (head - back - productError(q, divisor, back) + tail) / divisor;
  const low = q + r * (1 - TAIL_ERROR);
  return low === q + r * (1 + TAIL_ERROR) ? low : Number.NaN;
}

/** The decimal [from, to), digits with at most one point among them; NaN when it is too long or too near to call. */
export function longDecimal(bytes: Uint8Array, from: number, to: number): number {
  let a = 0;
  let b = 0;
  let digits = 0;
  let scale = -1;
  for (let at = from; at < to; at++) {
    const digit = (bytes[at] as number) - 48;
    if (digit < 0) {
      scale = 0;
      continue;
    }
    if (scale >= 0) scale += 1;
    // Zeros in front are no digits.
    if (digits === 0 && digit === 0) continue;
    if (digits < HEAD_DIGITS) a = a * 10 + digit;
    else b = b * 10 + digit;
    digits += 1;
  }
  if (digits > DIGITS_MAX || scale > SCALE_MAX) return Number.NaN;
  return quotient(a, Math.max(0, digits - HEAD_DIGITS), b, Math.max(0, scale));
}
