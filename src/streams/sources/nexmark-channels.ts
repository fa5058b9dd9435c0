/**
 * The channels bids come through, by index: four well-known ones with one address each, then ten thousand others whose
 * address mostly carries their number.
 *
 * Role: tables made once per generator. Addresses are drawn for (seed, channel), so they do not depend on which bids
 * were made before.
 */
import { Draws } from './generator-random.ts';
import { drawPhrase } from './nexmark-text.ts';

const HOT_NAMES = ['Google', 'Facebook', 'Baidu', 'Apple'];
export const HOT_CHANNELS = HOT_NAMES.length;
export const OTHER_CHANNELS = 10_000;
/** Draws of addresses are others than those of events with the same number. */
const PURPOSE = 1;

export function channelNames(): readonly string[] {
  return [...HOT_NAMES, ...Array.from({ length: OTHER_CHANNELS }, (_, i) => `channel-${i}`)];
}

export function channelUrls(seed: number): readonly string[] {
  const draws = new Draws(seed);
  return Array.from({ length: HOT_CHANNELS + OTHER_CHANNELS }, (_, index) => {
    draws.begin(index, PURPOSE);
    const path = `${drawPhrase(draws, 5, '_')}/${drawPhrase(draws, 5, '_')}/${drawPhrase(draws, 5, '_')}`;
    const base = `https://www.nexmark.com/${path}/item.htm?query=1`;
    if (index < HOT_CHANNELS || draws.below(10) === 0) return base;
    return `${base}&channel_id=${Math.abs(reversedBits(index - HOT_CHANNELS))}`;
  });
}

/** The 32 bits of a number in reverse, as a signed number. */
export function reversedBits(value: number): number {
  let rest = value >>> 0;
  let reversed = 0;
  for (let i = 0; i < 32; i++) {
    reversed = (reversed << 1) | (rest & 1);
    rest >>>= 1;
  }
  return reversed;
}
