/**
 * Nexmark: people, auctions and bids of an auction house, the workload stream processors are compared with.
 *
 * Role: `event(n)` is a function of the options and n alone. Ids and times are those of Flink's generator, which is not
 * seeded; the random members have its distributions.
 * Deliberate: see `bidderBaseTwice` in `nexmark-skeleton.ts`. As in the original, no event is delayed beyond its group.
 * Bytes of the same events: `nexmark-ndjson.ts`.
 */
import type { Draws } from './generator-random.ts';
import { createBidDraw, NexmarkDraws } from './nexmark-draw.ts';
import {
  CATEGORIES,
  FIRST_CATEGORY,
  FIRST_ID,
  kindOf,
  lastAuction,
  lastPerson,
  NEXMARK_DEFAULTS,
  type NexmarkOptions,
  type NexmarkSkeleton,
} from './nexmark-skeleton.ts';
import { drawExact, drawPhrase } from './nexmark-text.ts';

export interface NexmarkPerson {
  readonly id: number;
  readonly name: string;
  readonly emailAddress: string;
  readonly creditCard: string;
  readonly city: string;
  readonly state: string;
  readonly dateTime: number;
  readonly extra: string;
}

export interface NexmarkAuction {
  readonly id: number;
  readonly itemName: string;
  readonly description: string;
  readonly initialBid: number;
  readonly reserve: number;
  readonly dateTime: number;
  readonly expires: number;
  readonly seller: number;
  readonly category: number;
  readonly extra: string;
}

export interface NexmarkBid {
  readonly auction: number;
  readonly bidder: number;
  readonly price: number;
  readonly channel: string;
  readonly url: string;
  readonly dateTime: number;
  readonly extra: string;
}

export type NexmarkEvent =
  | { readonly kind: 'person'; readonly row: NexmarkPerson }
  | { readonly kind: 'auction'; readonly row: NexmarkAuction }
  | { readonly kind: 'bid'; readonly row: NexmarkBid };

/** A person or auction but for the filler, whose letters follow in the draws. */
export interface NexmarkHead {
  readonly row: Omit<NexmarkPerson, 'extra'> | Omit<NexmarkAuction, 'extra'>;
  readonly extraLength: number;
}

const FIRST_NAMES = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter'];
const LAST_NAMES = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris'];
const STATES = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'];
const CITIES = [
  ...['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland'],
  ...['Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'],
];
/** Of an event's size, its numbers at 8 bytes each. */
const AUCTION_NUMBERS_BYTES = 48;
const PERSON_NUMBERS_BYTES = 8;

export class NexmarkGenerator {
  readonly options: NexmarkOptions;
  readonly skeleton: NexmarkSkeleton;
  readonly drawn: NexmarkDraws;
  readonly #bid = createBidDraw();

  constructor(options: Partial<NexmarkOptions> = {}) {
    this.options = { ...NEXMARK_DEFAULTS, ...options };
    this.drawn = new NexmarkDraws(this.options);
    this.skeleton = this.drawn.skeleton;
  }

  /** The event at place n: 0, 1, 2 … */
  event(n: number): NexmarkEvent {
    const number = this.skeleton.number(n);
    const kind = kindOf(number);
    if (kind === 'bid') return { kind, row: this.#bidRow(number) };
    const { row, extraLength } = this.head(number, kind);
    const extra = drawExact(this.drawn.draws, extraLength);
    return { kind, row: { ...row, extra } } as NexmarkEvent;
  }

  /** By number, not place. */
  head(number: number, kind: 'person' | 'auction'): NexmarkHead {
    this.drawn.draws.begin(number);
    return kind === 'person' ? this.#person(number) : this.#auction(number);
  }

  #bidRow(number: number): NexmarkBid {
    const bid = this.#bid;
    this.drawn.bid(number, bid);
    return {
      auction: bid.auction,
      bidder: bid.bidder,
      price: bid.price,
      channel: this.drawn.channels[bid.channel] as string,
      url: this.drawn.urls[bid.channel] as string,
      dateTime: bid.dateTime,
      extra: drawExact(this.drawn.draws, bid.extraLength),
    };
  }

  #person(number: number): NexmarkHead {
    const { draws } = this.drawn;
    const row = {
      id: FIRST_ID + lastPerson(number),
      name: `${pick(draws, FIRST_NAMES)} ${pick(draws, LAST_NAMES)}`,
      emailAddress: `${drawPhrase(draws, 7)}@${drawPhrase(draws, 5)}.com`,
      creditCard: `${digits4(draws)} ${digits4(draws)} ${digits4(draws)} ${digits4(draws)}`,
      city: pick(draws, CITIES),
      state: pick(draws, STATES),
      dateTime: this.skeleton.timestamp(number),
    };
    const texts = row.name.length + row.emailAddress.length + row.creditCard.length;
    const bytes = PERSON_NUMBERS_BYTES + texts + row.city.length + row.state.length;
    return { row, extraLength: this.drawn.fillerLength(bytes, this.options.personBytesAvg) };
  }

  #auction(number: number): NexmarkHead {
    const { draws } = this.drawn;
    const dateTime = this.skeleton.timestamp(number);
    const initialBid = this.drawn.price();
    const row = {
      id: FIRST_ID + lastAuction(number),
      itemName: drawPhrase(draws, 20),
      description: drawPhrase(draws, 100),
      initialBid,
      reserve: initialBid + this.drawn.price(),
      dateTime,
      expires: dateTime + 1 + draws.below(Math.max(2 * this.skeleton.horizonMs(number), 1)),
      seller: this.drawn.seller(number),
      category: FIRST_CATEGORY + draws.below(CATEGORIES),
    };
    const bytes = AUCTION_NUMBERS_BYTES + row.itemName.length + row.description.length;
    return { row, extraLength: this.drawn.fillerLength(bytes, this.options.auctionBytesAvg) };
  }
}

function pick(draws: Draws, texts: readonly string[]): string {
  return texts[draws.below(texts.length)] as string;
}

function digits4(draws: Draws): string {
  return String(draws.below(10_000)).padStart(4, '0');
}
