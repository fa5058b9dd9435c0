// HOT PATH
/**
 * The part of Nexmark that is not random: which event is what, its time, and which ids exist by then.
 *
 * Role: the arithmetic of the Nexmark definition for one generator. An event's place `n` counts what was emitted; its
 * number is where it stands in the ideal order. They differ only when groups are shuffled (`outOfOrderGroupSize`).
 * Of every 50 numbers the first is a person, the next three are auctions and 46 are bids. Ids here begin at 0; what is
 * emitted adds `FIRST_ID`.
 */

export const FIRST_ID = 1000;
export const FIRST_CATEGORY = 10;
export const CATEGORIES = 5;
export const EVENTS_PER_EPOCH = 50;
export const AUCTIONS_PER_EPOCH = 3;
/** People and auctions that are drawn before their own event came. */
export const LEAD = 10;
/** Ids of this size groups share one hot auction, seller or bidder. */
export const HOT_GROUP = 100;
/** Prime to every sensible group size: walks through a group in another order. */
const SHUFFLE = 953;

export type NexmarkKind = 'person' | 'auction' | 'bid';

export interface NexmarkOptions {
  readonly seed: number;
  readonly baseTimeMs: number;
  /** Events per second of event time. */
  readonly ratePerS: number;
  /** Events are shuffled within groups of this many. 1: in order. */
  readonly outOfOrderGroupSize: number;
  readonly hotAuctionRatio: number;
  readonly hotSellersRatio: number;
  readonly hotBiddersRatio: number;
  readonly numInFlightAuctions: number;
  readonly numActivePeople: number;
  readonly personBytesAvg: number;
  readonly auctionBytesAvg: number;
  readonly bidBytesAvg: number;
  /**
   * The generator that Flink's and Feldera's figures come from adds the first id to a bid's bidder twice, so that
   * bidders begin at 2000 and are other people than the ones registered. Beam's adds it once. Default false, as Beam:
   * a bidder is a person. It changes which rows a join of bids with people finds, and no other query.
   */
  readonly bidderBaseTwice: boolean;
}

export const NEXMARK_DEFAULTS: NexmarkOptions = {
  seed: 1,
  baseTimeMs: 1_767_225_600_000,
  ratePerS: 10_000,
  outOfOrderGroupSize: 1,
  hotAuctionRatio: 2,
  hotSellersRatio: 4,
  hotBiddersRatio: 4,
  numInFlightAuctions: 100,
  numActivePeople: 1000,
  personBytesAvg: 200,
  auctionBytesAvg: 500,
  bidBytesAvg: 100,
  bidderBaseTwice: false,
};

export class NexmarkSkeleton {
  readonly #baseTimeMs: number;
  readonly #delayUs: number;
  readonly #group: number;
  readonly #inFlightEvents: number;

  constructor(options: NexmarkOptions) {
    this.#baseTimeMs = options.baseTimeMs;
    this.#delayUs = 1e6 / options.ratePerS;
    this.#group = options.outOfOrderGroupSize;
    this.#inFlightEvents = Math.floor((options.numInFlightAuctions * EVENTS_PER_EPOCH) / AUCTIONS_PER_EPOCH);
  }

  /** The number of the event at place `n`. */
  number(n: number): number {
    const group = this.#group;
    if (group === 1) return n;
    return Math.floor(n / group) * group + ((n * SHUFFLE) % group);
  }

  timestamp(number: number): number {
    return this.#baseTimeMs + Math.floor(Math.trunc(number * this.#delayUs) / 1000);
  }

  /** No later place holds an event before this. */
  watermark(n: number): number {
    return this.timestamp(Math.floor(n / this.#group) * this.#group);
  }

  /** How long an auction that opens at `number` lasts on average, ms. */
  horizonMs(number: number): number {
    return this.timestamp(number + this.#inFlightEvents) - this.timestamp(number);
  }

  /** First place with a time of at least `timeMs`, when events are in order; for pacing. */
  placeAt(timeMs: number): number {
    return Math.max(0, Math.ceil(((timeMs - this.#baseTimeMs) * 1000) / this.#delayUs));
  }
}

export function kindOf(number: number): NexmarkKind {
  const rest = number % EVENTS_PER_EPOCH;
  return rest === 0 ? 'person' : rest <= AUCTIONS_PER_EPOCH ? 'auction' : 'bid';
}

/** Newest person once `number` has happened. */
export function lastPerson(number: number): number {
  return Math.floor(number / EVENTS_PER_EPOCH);
}

/** Newest auction once `number` has happened; −1 for none. */
export function lastAuction(number: number): number {
  const epoch = Math.floor(number / EVENTS_PER_EPOCH);
  const rest = number % EVENTS_PER_EPOCH;
  const opened = rest > AUCTIONS_PER_EPOCH ? AUCTIONS_PER_EPOCH : rest;
  return epoch * AUCTIONS_PER_EPOCH + opened - 1;
}

/** The hot member of the group that `last` is in. */
export function hotOf(last: number): number {
  return Math.trunc(last / HOT_GROUP) * HOT_GROUP;
}
