// HOT PATH
/**
 * A random walk that can be asked for at any step: a sum of value noises, one per octave.
 *
 * Role: what makes telemetry and prices look alive while each event stays a function of its number. Octave k has a
 * random height every 2^k steps, lines between them, and a weight of √(2^k), as the spread of a walk grows with time.
 */
import { mix32 } from './generator-random.ts';

const TWO_32 = 4294967296;
const GOLDEN = 0x9e3779b9;

/** Height of the lattice of one octave: −1 … 1. */
function height(seed: number, octave: number, at: number): number {
  return (mix32(mix32(seed ^ Math.imul(octave + 1, GOLDEN)) ^ mix32(at | 0)) / TWO_32) * 2 - 1;
}

/** −1 … 1 at a step (0 … 2^31); `octaves` ≤ 24: it wanders over about 2^octaves steps. */
export function walkAt(seed: number, step: number, octaves: number): number {
  let sum = 0;
  let weights = 0;
  let period = 1;
  for (let octave = 0; octave < octaves; octave++) {
    const at = Math.floor(step / period);
    const share = (step - at * period) / period;
    const weight = Math.sqrt(period);
    const from = height(seed, octave, at);
    sum += weight * (from + (height(seed, octave, at + 1) - from) * share);
    weights += weight;
    period *= 2;
  }
  return sum / weights;
}
