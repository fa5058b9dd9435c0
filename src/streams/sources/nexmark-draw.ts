// HOT PATH
/**
 * The random members of Nexmark events, drawn for one event number: bids whole, and what people and auctions share.
 *
 * Role: below `nexmark.ts`, which makes objects, and the writers of bytes and columns; all of them draw here, so that
 * they agree. Bids are 92 % of all events and go into an object that is used again.
 */
import { Draws } from './generator-random.ts';
import { channelNames, channelUrls, HOT_CHANNELS, OTHER_CHANNELS } from './nexmark-channels.ts';
import {
  FIRST_ID,
  hotOf,
  LEAD,
  lastAuction,
  lastPerson,
  type NexmarkOptions,
  NexmarkSkeleton,
} from './nexmark-skeleton.ts';

/** A bid without its filler text. */
export interface BidDraw {
  auction: number;
  bidder: number;
  price: number;
  /** Index into `channels` and `urls`. */
  channel: number;
  dateTime: number;
  extraLength: number;
}

export function createBidDraw(): BidDraw {
  return { auction: 0, bidder: 0, price: 0, channel: 0, dateTime: 0, extraLength: 0 };
}

/** Of a bid's size, what is not filler: 8 bytes for each of four numbers. */
const BID_FIXED_BYTES = 32;
const FILLER_SPREAD = 0.2;

export class NexmarkDraws {
  readonly options: NexmarkOptions;
  readonly skeleton: NexmarkSkeleton;
  /** By channel index. */
  readonly channels: readonly string[];
  readonly urls: readonly string[];
  readonly draws: Draws;
  readonly #bidderBase: number;

  constructor(options: NexmarkOptions) {
    this.options = options;
    this.skeleton = new NexmarkSkeleton(options);
    this.draws = new Draws(options.seed);
    this.channels = channelNames();
    this.urls = channelUrls(options.seed);
    this.#bidderBase = options.bidderBaseTwice ? 2 * FIRST_ID : FIRST_ID;
  }

  /** Draws the bid with this number; its filler follows in `draws`. */
  bid(number: number, bid: BidDraw): void {
    const { draws, options } = this;
    draws.begin(number);
    const hotAuction = draws.below(options.hotAuctionRatio) > 0;
    bid.auction = FIRST_ID + (hotAuction ? hotOf(lastAuction(number)) : this.#anyAuction(number));
    const hotBidder = draws.below(options.hotBiddersRatio) > 0;
    bid.bidder = this.#bidderBase + (hotBidder ? hotOf(lastPerson(number)) + 1 : this.#anyPerson(number));
    bid.price = this.price();
    const hotChannel = draws.below(2) > 0;
    bid.channel = hotChannel ? draws.below(HOT_CHANNELS) : HOT_CHANNELS + draws.below(OTHER_CHANNELS);
    bid.dateTime = this.skeleton.timestamp(number);
    bid.extraLength = this.fillerLength(BID_FIXED_BYTES, options.bidBytesAvg);
  }

  seller(number: number): number {
    const hot = this.draws.below(this.options.hotSellersRatio) > 0;
    return FIRST_ID + (hot ? hotOf(lastPerson(number)) : this.#anyPerson(number));
  }

  /** Log-uniform from 100 to 100,000,000. */
  price(): number {
    return Math.round(10 ** (this.draws.unit() * 6) * 100);
  }

  /** Length of the filler that brings an event of `bytes` to `bytesAvg` on average. */
  fillerLength(bytes: number, bytesAvg: number): number {
    const rest = bytesAvg - bytes;
    if (rest <= 0) return 0;
    const spread = Math.round(rest * FILLER_SPREAD);
    return rest - spread + (spread === 0 ? 0 : this.draws.below(2 * spread));
  }

  /** One of the people active of late, or one about to register. */
  #anyPerson(number: number): number {
    const people = lastPerson(number) + 1;
    const active = Math.min(people, this.options.numActivePeople);
    return people - active + this.draws.below(active + LEAD);
  }

  /** One of the auctions in flight, or one about to open. */
  #anyAuction(number: number): number {
    const last = lastAuction(number);
    const oldest = Math.max(last - this.options.numInFlightAuctions, 0);
    return oldest + this.draws.below(last - oldest + 1 + LEAD);
  }
}
