// HOT PATH
/**
 * Nexmark as NDJSON bytes, one body per kind of event, fast enough that making events does not hide what is measured.
 *
 * Role: `write(from, to)` gives the events at places from … to − 1 as three bodies, each line what JSON.stringify makes
 * of the event's row. Bids (92 % of all) are written digit by digit into a buffer that is used again; people and
 * auctions go through JSON.stringify, but for their filler. The bodies are copies: the caller may hand them on.
 */
import type { EventGenerator } from './generator-data.ts';
import { NexmarkGenerator } from './nexmark.ts';
import { createBidDraw } from './nexmark-draw.ts';
import { kindOf, type NexmarkKind, type NexmarkOptions } from './nexmark-skeleton.ts';
import { writeExact } from './nexmark-text.ts';

export interface NexmarkBodies {
  readonly person: Uint8Array;
  readonly auction: Uint8Array;
  readonly bid: Uint8Array;
}

/** More than any line takes with the default sizes; buffers grow by doubling when less than this is left. */
const LINE_BYTES_MAX = 4096;
const FIRST_BYTES = 1 << 16;
const SET_BYTES_MIN = 32;
const MILLION = 1_000_000;

class Body {
  bytes = new Uint8Array(FIRST_BYTES);
  used = 0;

  ensure(room: number): void {
    if (this.bytes.length - this.used >= room) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.used + room));
    grown.set(this.bytes.subarray(0, this.used));
    this.bytes = grown;
  }
}

const encoder = new TextEncoder();
const AUCTION = encoder.encode('{"auction":');
const BIDDER = encoder.encode(',"bidder":');
const PRICE = encoder.encode(',"price":');
const DATE_TIME = encoder.encode(',"dateTime":');
const EXTRA = encoder.encode(',"extra":"');
const END = encoder.encode('"}\n');

export class NexmarkNdjson {
  readonly #generator: NexmarkGenerator;
  readonly #person = new Body();
  readonly #auction = new Body();
  readonly #bid = new Body();
  /** `,"channel":"…","url":"…"` by channel. */
  readonly #channels: readonly Uint8Array[];
  readonly #draw = createBidDraw();
  readonly #bidBytesMax: number;

  constructor(generator: NexmarkGenerator) {
    this.#generator = generator;
    const { channels, urls } = generator.drawn;
    this.#channels = channels.map((channel, i) =>
      encoder.encode(`,"channel":${JSON.stringify(channel)},"url":${JSON.stringify(urls[i])}`),
    );
    this.#bidBytesMax = LINE_BYTES_MAX + 2 * generator.options.bidBytesAvg;
  }

  write(from: number, to: number): NexmarkBodies {
    const { skeleton } = this.#generator;
    const [person, auction, bid] = [this.#person, this.#auction, this.#bid];
    for (const body of [person, auction, bid]) body.used = 0;
    for (let n = from; n < to; n++) {
      const number = skeleton.number(n);
      const kind = kindOf(number);
      if (kind === 'bid') this.#writeBid(number);
      else this.#writeOther(number, kind);
    }
    return {
      person: person.bytes.slice(0, person.used),
      auction: auction.bytes.slice(0, auction.used),
      bid: bid.bytes.slice(0, bid.used),
    };
  }

  #writeBid(number: number): void {
    const { drawn } = this.#generator;
    const draw = this.#draw;
    const body = this.#bid;
    body.ensure(this.#bidBytesMax);
    const { bytes } = body;
    drawn.bid(number, draw);
    let at = writeNumber(draw.auction, bytes, put(AUCTION, bytes, body.used));
    at = writeNumber(draw.bidder, bytes, put(BIDDER, bytes, at));
    at = writeNumber(draw.price, bytes, put(PRICE, bytes, at));
    at = put(this.#channels[draw.channel] as Uint8Array, bytes, at);
    at = writeNumber(draw.dateTime, bytes, put(DATE_TIME, bytes, at));
    at = writeExact(drawn.draws, draw.extraLength, bytes, put(EXTRA, bytes, at));
    body.used = put(END, bytes, at);
  }

  #writeOther(number: number, kind: 'person' | 'auction'): void {
    const generator = this.#generator;
    const { row, extraLength } = generator.head(number, kind);
    const body = kind === 'person' ? this.#person : this.#auction;
    body.ensure(LINE_BYTES_MAX + extraLength);
    // All text is ASCII, and the last character is the brace that the filler goes before.
    const { written } = encoder.encodeInto(JSON.stringify(row), body.bytes.subarray(body.used));
    const at = put(EXTRA, body.bytes, body.used + written - 1);
    body.used = put(END, body.bytes, writeExact(generator.drawn.draws, extraLength, body.bytes, at));
  }
}

/** One kind of event as what a source reads: places of other kinds are empty. */
export class NexmarkEvents implements EventGenerator {
  readonly #generator: NexmarkGenerator;
  readonly #writer: NexmarkNdjson;
  readonly #kind: NexmarkKind;

  constructor(kind: NexmarkKind, options: Partial<NexmarkOptions>) {
    this.#generator = new NexmarkGenerator(options);
    this.#writer = new NexmarkNdjson(this.#generator);
    this.#kind = kind;
  }

  timestamp(n: number): number {
    return this.#generator.skeleton.watermark(n);
  }

  placeAt(timeMs: number): number {
    return this.#generator.skeleton.placeAt(timeMs);
  }

  body(from: number, to: number): Uint8Array {
    return this.#writer.write(from, to)[this.#kind];
  }
}

/** Copies a text. A loop where it is short: `set` costs as much as some thirty bytes. */
function put(text: Uint8Array, bytes: Uint8Array, at: number): number {
  const { length } = text;
  if (length > SET_BYTES_MIN) bytes.set(text, at);
  else for (let i = 0; i < length; i++) bytes[at + i] = text[i] as number;
  return at + length;
}

/** A whole number from 0 to 4e15 in decimal. Returns where it ends. */
export function writeNumber(value: number, bytes: Uint8Array, at: number): number {
  if (value < MILLION) return writeSmall(value, digitsOf(value), bytes, at);
  const high = Math.floor(value / MILLION);
  const next = high < MILLION ? writeSmall(high, digitsOf(high), bytes, at) : writeNumber(high, bytes, at);
  return writeSmall(value - high * MILLION, 6, bytes, next);
}

function digitsOf(value: number): number {
  if (value < 1000) return value < 10 ? 1 : value < 100 ? 2 : 3;
  return value < 10_000 ? 4 : value < 100_000 ? 5 : 6;
}

function writeSmall(value: number, digits: number, bytes: Uint8Array, at: number): number {
  let rest = value | 0;
  for (let i = at + digits - 1; i >= at; i--) {
    const quotient = (rest / 10) | 0;
    bytes[i] = 48 + rest - quotient * 10;
    rest = quotient;
  }
  return at + digits;
}
