/**
 * Made-up events as a source: Nexmark, telemetry of hosts, ticks of prices.
 *
 * Options: `kind` (`nexmark`, the default, `telemetry`, `ticks`), `event` (Nexmark only: `bid`, the default, `auction`,
 * `person`), `rate` (places per second, default 1000; 0: as fast as they are taken), `seed` (default 1), `limit` (places;
 * 0, the default: no end), `batchMs` (default 100), `baseTimeMs` (event time of the first place, default 2026-01-01),
 * `hosts` (telemetry), `symbols` (ticks).
 * Position: the next place. An event is a function of the options and its place, so that a restart goes on with the
 * events that would have come. Event time passes at `rate`, too. A place may have no event (a host that is silent, a
 * Nexmark event of another kind); the rate counts places.
 */
import { type OptionNeed, optionalChoice, optionalInteger, optionalNumber } from '../connector-options.ts';
import {
  type EventGenerator,
  TELEMETRY_DEFAULTS,
  TelemetryGenerator,
  TICK_DEFAULTS,
  TickGenerator,
} from './generator-data.ts';
import { NexmarkEvents } from './nexmark-ndjson.ts';
import { NEXMARK_DEFAULTS } from './nexmark-skeleton.ts';
import { type BatchMaker, monotonic, type PacedBatch, PacedSource } from './paced-source.ts';
import type { SourceKind } from './port.ts';

/** The first is the default. */
const KINDS = ['nexmark', 'telemetry', 'ticks'] as const;

const PLACES_MAX = Number.MAX_SAFE_INTEGER;
/** In one batch, however fast they are made. */
const BATCH_PLACES_MAX = 10_000;
const UNPACED_PLACES = 1000;
const MINUTE_MS = 60_000;

/** What an event is a function of, beside its place. */
const SETTINGS = ['kind', 'event', 'rate', 'seed', 'baseTimeMs', 'symbols', 'hosts'];

const onlyFor = (kind: (typeof KINDS)[number], option: string): OptionNeed => ({
  options: [option],
  isMet: (options) => (options['kind'] ?? KINDS[0]) === kind,
  expected: `kind "${kind}" beside it`,
});

interface Pace {
  /** Places per second; 0: no pauses. */
  readonly rate: number;
  /** Places; `PLACES_MAX` for no end. */
  readonly limit: number;
  readonly batchPlaces: number;
}

export const generatorSourceKind: SourceKind = {
  type: 'generator',
  options: ['kind', 'event', 'rate', 'batchMs', 'limit', 'seed', 'baseTimeMs', 'symbols', 'hosts'],
  needs: [
    onlyFor('nexmark', 'event'),
    onlyFor('ticks', 'symbols'),
    onlyFor('telemetry', 'hosts'),
    { options: ['batchMs'], isMet: ({ rate }) => rate !== 0, expected: 'rate above 0 beside it: there are no pauses' },
  ],
  /** Its events: pauses and ends are no part of them. */
  reads: (options) => JSON.stringify(SETTINGS.map((name) => options[name] ?? null)),
  create(options, stream, host) {
    const name = `${stream}/generator`;
    const rate = optionalNumber(options, name, 'rate', 1000, 0, 10_000_000);
    const batchMs = optionalNumber(options, name, 'batchMs', 100, 1, MINUTE_MS);
    const limit = optionalInteger(options, name, 'limit', 0, 0, PLACES_MAX);
    const wanted = rate === 0 ? UNPACED_PLACES : Math.round((rate * batchMs) / 1000);
    const pace = {
      rate,
      limit: limit === 0 ? PLACES_MAX : limit,
      batchPlaces: Math.max(1, Math.min(BATCH_PLACES_MAX, wanted)),
    };
    const make = generatorOf(options, name, rate);
    return new PacedSource(host, '', (position) => Promise.resolve(new Generating(make(), pace, position)));
  },
};

/** Checks the options now, makes the generator when it is needed. */
function generatorOf(options: Readonly<Record<string, unknown>>, name: string, rate: number): () => EventGenerator {
  const kind = optionalChoice(options, name, 'kind', KINDS);
  const seed = optionalInteger(options, name, 'seed', 1, 0, 0xffff_ffff);
  const baseTimeMs = optionalInteger(options, name, 'baseTimeMs', NEXMARK_DEFAULTS.baseTimeMs, 0, 8.64e15);
  if (kind === 'nexmark') {
    const event = optionalChoice(options, name, 'event', ['bid', 'auction', 'person']);
    const ratePerS = rate === 0 ? NEXMARK_DEFAULTS.ratePerS : rate;
    return () => new NexmarkEvents(event, { seed, baseTimeMs, ratePerS });
  }
  if (kind === 'ticks') {
    const symbols = optionalInteger(options, name, 'symbols', TICK_DEFAULTS.symbols, 1, 17_576);
    const ratePerS = rate === 0 ? TICK_DEFAULTS.ratePerS : rate;
    return () => new TickGenerator({ seed, baseTimeMs, ratePerS, symbols });
  }
  const hosts = optionalInteger(options, name, 'hosts', TELEMETRY_DEFAULTS.hosts, 1, 100_000);
  const intervalMs = rate === 0 ? TELEMETRY_DEFAULTS.intervalMs : (hosts * 1000) / rate;
  return () => new TelemetryGenerator({ seed, baseTimeMs, hosts, intervalMs });
}

class Generating implements BatchMaker {
  readonly notBeforeMs = 0;
  readonly #generator: EventGenerator;
  readonly #pace: Pace;
  readonly #first: number;
  readonly #startMs: number;
  #next: number;

  constructor(generator: EventGenerator, pace: Pace, position: string) {
    this.#generator = generator;
    this.#pace = pace;
    this.#first = position === '' ? 0 : Number(position);
    this.#next = this.#first;
    this.#startMs = monotonic();
  }

  next(): Promise<PacedBatch | null> {
    const { batchPlaces, limit } = this.#pace;
    while (this.#next < limit) {
      const from = this.#next;
      this.#next = Math.min(limit, from + batchPlaces);
      const body = this.#generator.body(from, this.#next);
      if (body.length === 0) continue;
      return Promise.resolve({ format: 'ndjson', body, position: String(this.#next), dueMs: this.#dueMs() });
    }
    return Promise.resolve(null);
  }

  /** When the last place of the batch has come. Late batches are due at once: the mean rate is kept. */
  #dueMs(): number {
    const { rate } = this.#pace;
    return rate === 0 ? 0 : this.#startMs + ((this.#next - this.#first) * 1000) / rate;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
