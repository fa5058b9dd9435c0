/**
 * Telemetry of hosts and ticks of prices: made-up events for trying streams out.
 *
 * Role: data only. `event(n)` is a function of the options and n, so a source can go on at any position; when an event
 * is handed over is the source's business (`timestamp(n)` says when it is due). `body(from, to)` gives NDJSON.
 * Telemetry: every host reports once per interval, in an order and with a delay that vary a little; now and then a host
 * has an episode: a CPU that is pegged, memory that leaks, or silence (its events are missing).
 */

import { walkAt } from './generator-noise.ts';
import { Draws, mix32 } from './generator-random.ts';

/** What a source needs of data that is made rather than read. */
export interface EventGenerator {
  /** Event time of place n, rising; for pacing. */
  timestamp(n: number): number;
  /** First place whose time is at least `timeMs`. */
  placeAt(timeMs: number): number;
  /** Places from … to − 1 as NDJSON; a place may have no event. */
  body(from: number, to: number): Uint8Array;
}

export interface TelemetryOptions {
  readonly seed: number;
  readonly baseTimeMs: number;
  readonly hosts: number;
  /** Between two reports of a host. */
  readonly intervalMs: number;
  /** Share of episodes in which a host is not well. */
  readonly anomalyShare: number;
}

export const TELEMETRY_DEFAULTS: TelemetryOptions = {
  seed: 1,
  baseTimeMs: 1_767_225_600_000,
  hosts: 20,
  intervalMs: 1000,
  anomalyShare: 0.05,
};

export interface TelemetryEvent {
  readonly host: string;
  readonly at: number;
  /** Percent. */
  readonly cpu: number;
  readonly memory: number;
  readonly requests: number;
}

export type Episode = 'well' | 'pegged' | 'leaking' | 'silent';

/** Reports of a host that belong to one episode. */
export const EPISODE_STEPS = 60;
const WALK_OCTAVES = 8;
const ILLS: readonly Episode[] = ['pegged', 'leaking', 'silent'];
const encoder = new TextEncoder();

export class TelemetryGenerator implements EventGenerator {
  readonly options: TelemetryOptions;
  readonly #draws: Draws;

  constructor(options: Partial<TelemetryOptions>) {
    this.options = { ...TELEMETRY_DEFAULTS, ...options };
    this.#draws = new Draws(this.options.seed);
  }

  timestamp(n: number): number {
    const { baseTimeMs, hosts, intervalMs } = this.options;
    return baseTimeMs + Math.floor((n * intervalMs) / hosts);
  }

  placeAt(timeMs: number): number {
    const { baseTimeMs, hosts, intervalMs } = this.options;
    return Math.max(0, Math.ceil(((timeMs - baseTimeMs) * hosts) / intervalMs));
  }

  /** What a host goes through at a report. */
  episode(host: number, step: number): Episode {
    this.#draws.begin(Math.floor(step / EPISODE_STEPS) * this.options.hosts + host, 1);
    if (this.#draws.unit() >= this.options.anomalyShare) return 'well';
    return ILLS[this.#draws.below(ILLS.length)] as Episode;
  }

  /** Null: the host is silent. */
  event(n: number): TelemetryEvent | null {
    const { hosts, intervalMs, seed } = this.options;
    const host = n % hosts;
    const step = Math.floor(n / hosts);
    const episode = this.episode(host, step);
    if (episode === 'silent') return null;
    this.#draws.begin(n);
    const hostSeed = mix32(seed ^ Math.imul(host + 1, 0x85ebca6b));
    const load = walkAt(hostSeed, step, WALK_OCTAVES);
    const within = (step % EPISODE_STEPS) / EPISODE_STEPS;
    const cpu = episode === 'pegged' ? 96 + 4 * this.#draws.unit() : 45 + 40 * load + 4 * (this.#draws.unit() - 0.5);
    const memory = 50 + 25 * walkAt(~hostSeed, step, WALK_OCTAVES + 2) + (episode === 'leaking' ? 45 * within : 0);
    return {
      host: `host-${String(host).padStart(3, '0')}`,
      // Reports are up to half an interval off: a little disorder between hosts.
      at: this.timestamp(n) + this.#draws.below(Math.max(1, intervalMs / 2)),
      cpu: percent(cpu),
      memory: percent(memory),
      requests: Math.max(0, Math.round(200 * (1 + load) + 20 * this.#draws.unit())),
    };
  }

  body(from: number, to: number): Uint8Array {
    return ndjson(from, to, (n) => this.event(n));
  }
}

export interface TickOptions {
  readonly seed: number;
  readonly baseTimeMs: number;
  readonly symbols: number;
  readonly ratePerS: number;
}

export const TICK_DEFAULTS: TickOptions = { seed: 1, baseTimeMs: 1_767_225_600_000, symbols: 50, ratePerS: 1000 };

export interface TickEvent {
  readonly symbol: string;
  readonly at: number;
  readonly price: number;
  readonly size: number;
}

const PRICE_OCTAVES = 16;
/** Steps of the price's walk per second of event time. */
const PRICE_STEPS_PER_S = 10;

export class TickGenerator implements EventGenerator {
  readonly options: TickOptions;
  readonly #draws: Draws;
  readonly #symbols: readonly string[];

  constructor(options: Partial<TickOptions>) {
    this.options = { ...TICK_DEFAULTS, ...options };
    this.#draws = new Draws(this.options.seed);
    this.#symbols = Array.from({ length: this.options.symbols }, (_, i) => symbolText(i));
  }

  timestamp(n: number): number {
    return this.options.baseTimeMs + Math.floor((n * 1000) / this.options.ratePerS);
  }

  placeAt(timeMs: number): number {
    return Math.max(0, Math.ceil(((timeMs - this.options.baseTimeMs) * this.options.ratePerS) / 1000));
  }

  event(n: number): TickEvent {
    const { baseTimeMs, seed, symbols } = this.options;
    const draws = this.#draws;
    draws.begin(n);
    // The square prefers the first symbols, as markets prefer few.
    const index = Math.floor(draws.unit() ** 2 * symbols);
    const at = this.timestamp(n);
    const step = Math.floor(((at - baseTimeMs) * PRICE_STEPS_PER_S) / 1000);
    const symbolSeed = mix32(seed ^ Math.imul(index + 1, 0xc2b2ae35));
    const base = 10 * (1 + (symbolSeed % 50));
    const price = base * Math.exp(0.2 * walkAt(symbolSeed, step, PRICE_OCTAVES) + 0.0005 * (draws.unit() - 0.5));
    return {
      symbol: this.#symbols[index] as string,
      at,
      price: Math.round(price * 100) / 100,
      size: 10 ** draws.below(4) * (1 + draws.below(9)),
    };
  }

  body(from: number, to: number): Uint8Array {
    return ndjson(from, to, (n) => this.event(n));
  }
}

/** AAA, AAB … */
function symbolText(index: number): string {
  let text = '';
  for (let rest = index, i = 0; i < 3; i++, rest = Math.floor(rest / 26)) {
    text = String.fromCharCode(65 + (rest % 26)) + text;
  }
  return text;
}

function percent(value: number): number {
  return Math.round(Math.min(100, Math.max(0, value)) * 10) / 10;
}

function ndjson(from: number, to: number, event: (n: number) => object | null): Uint8Array {
  let text = '';
  for (let n = from; n < to; n++) {
    const made = event(n);
    if (made !== null) text += `${JSON.stringify(made)}\n`;
  }
  return encoder.encode(text);
}
