// HOT PATH
/**
 * Nexmark bids as typed columns: what a reader that needs no parsing gets, and the limit others are compared with.
 *
 * Role: the numbers of the bids at places from … to − 1, and the channel as an index into the generator's tables. The
 * filler text is left out: its letters follow the same draws and cost more than all the rest.
 */
import type { NexmarkGenerator } from './nexmark.ts';
import { createBidDraw } from './nexmark-draw.ts';
import { kindOf } from './nexmark-skeleton.ts';

export interface BidColumns {
  readonly capacity: number;
  count: number;
  readonly dateTime: Float64Array;
  readonly auction: Float64Array;
  readonly bidder: Float64Array;
  readonly price: Float64Array;
  /** Index into `channels` and `urls` of the generator. */
  readonly channel: Uint16Array;
}

export function createBidColumns(capacity: number): BidColumns {
  return {
    capacity,
    count: 0,
    dateTime: new Float64Array(capacity),
    auction: new Float64Array(capacity),
    bidder: new Float64Array(capacity),
    price: new Float64Array(capacity),
    channel: new Uint16Array(capacity),
  };
}

const draw = createBidDraw();

/** Fills from place `from` on until `to` or until the columns are full; returns the place to go on at. */
export function fillBidColumns(generator: NexmarkGenerator, from: number, to: number, columns: BidColumns): number {
  const { drawn, skeleton } = generator;
  let row = 0;
  let n = from;
  for (; n < to && row < columns.capacity; n++) {
    const number = skeleton.number(n);
    if (kindOf(number) !== 'bid') continue;
    drawn.bid(number, draw);
    columns.dateTime[row] = draw.dateTime;
    columns.auction[row] = draw.auction;
    columns.bidder[row] = draw.bidder;
    columns.price[row] = draw.price;
    columns.channel[row] = draw.channel;
    row++;
  }
  columns.count = row;
  return n;
}
