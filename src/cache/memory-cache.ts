/**
 * The result cache in the memory of this node: the whole of it without Redis, its first level with it.
 *
 * Role: bounds. At most `resultsMax` results of at most `bytesMax` together; the one used longest ago makes room. A
 * result is dropped when it is read after its time or is the oldest. Clocks are monotonic milliseconds.
 */
import { type CachedResult, RESULT_TTL_MS_MAX, type ResultCache } from './port.ts';

/** Tools that were invalidated, remembered with their generations. */
export const GENERATIONS_MAX = 10_000;

export interface MemoryCacheOptions {
  readonly resultsMax: number;
  readonly bytesMax: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

interface Kept {
  readonly resultJson: string;
  readonly tool: string;
  readonly bytes: number;
  readonly endsAtMs: number;
}

export class MemoryResultCache implements ResultCache {
  readonly #options: MemoryCacheOptions;
  /** Oldest use first. */
  readonly #kept = new Map<string, Kept>();
  readonly #generations = new Map<string, number>();
  #bytes = 0;
  /** Of every tool that is not in `#generations`; rises when that has to forget some. */
  #floor = 0;

  constructor(options: MemoryCacheOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#kept.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(_tool: string, key: string): CachedResult | undefined {
    const kept = this.#kept.get(key);
    if (kept === undefined) return undefined;
    const ttlMs = kept.endsAtMs - this.#options.now();
    this.#drop(key, kept);
    if (ttlMs <= 0) return undefined;
    this.#keep(key, kept);
    return { resultJson: kept.resultJson, ttlMs };
  }

  generation(tool: string): number {
    return this.#generations.get(tool) ?? this.#floor;
  }

  set(tool: string, key: string, resultJson: string, ttlMs: number, generation: number): void {
    const { bytesMax, now, resultsMax } = this.#options;
    // Two bytes a character, the most a string takes.
    const bytes = 2 * (key.length + resultJson.length);
    if (ttlMs <= 0 || bytes > bytesMax || resultsMax === 0 || generation !== this.generation(tool)) return;
    const before = this.#kept.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#keep(key, { resultJson, tool, bytes, endsAtMs: now() + Math.min(ttlMs, RESULT_TTL_MS_MAX) });
    while (this.#kept.size > resultsMax || this.#bytes > bytesMax) {
      const [oldest, kept] = this.#kept.entries().next().value as [string, Kept];
      this.#drop(oldest, kept);
    }
  }

  /** There is nobody else to lead it. */
  release(): void {
    return;
  }

  invalidate(tool: string): void {
    this.enter(tool, this.generation(tool) + 1);
  }

  /** The tool has this generation now: results of another one are forgotten. */
  enter(tool: string, generation: number): void {
    if (this.generation(tool) === generation) return;
    if (this.#generations.size >= GENERATIONS_MAX && !this.#generations.has(tool)) {
      this.clear();
      return;
    }
    this.#generations.set(tool, generation);
    for (const [key, kept] of this.#kept) if (kept.tool === tool) this.#drop(key, kept);
  }

  /** Forgets every result; calls that began before do not store theirs. */
  clear(): void {
    for (const generation of this.#generations.values()) this.#floor = Math.max(this.#floor, generation);
    this.#floor += 1;
    this.#generations.clear();
    this.#kept.clear();
    this.#bytes = 0;
  }

  close(): void {
    this.clear();
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.set(key, kept);
    this.#bytes += kept.bytes;
  }

  #drop(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#bytes -= kept.bytes;
  }
}
