/**
 * What each shard said last of the windows of a ranking that may fire again.
 *
 * Role: the memory of `rankings.ts`: which rows stand, how many panes were given out, and what the newest one said.
 * Bounds: `ROWS_MAX` rows; beyond, the oldest windows go, and what these still say is ranked among itself.
 */
import type { ResultLine } from '../port.ts';

const ROWS_MAX = 1_000_000;

export interface Row {
  readonly text: string;
  readonly line: ResultLine;
  readonly value: number;
  readonly key: string;
}

/** Of one window. */
export interface KeptRanking {
  readonly end: number;
  panes: number;
  /** The newest pane, as it was given out; of `retracting` windows. */
  said: readonly string[];
  readonly byShard: Map<number, readonly Row[]>;
}

/** Of one operator. */
export class KeptRankings {
  /** By bounds, oldest first. */
  readonly #windows = new Map<string, KeptRanking>();
  #rows = 0;

  get(name: string): KeptRanking | undefined {
    return this.#windows.get(name);
  }

  entries(): IterableIterator<[string, KeptRanking]> {
    return this.#windows.entries();
  }

  /** Takes rows of a shard in place of those before. */
  put(name: string, kept: KeptRanking, shard: number, rows: readonly Row[]): void {
    this.#windows.set(name, kept);
    this.#rows += rows.length - (kept.byShard.get(shard)?.length ?? 0);
    kept.byShard.set(shard, rows);
  }

  clear(kept: KeptRanking): void {
    this.#rows -= rowsOf(kept);
    kept.byShard.clear();
  }

  delete(name: string): void {
    const kept = this.#windows.get(name);
    if (kept === undefined) return;
    this.#rows -= rowsOf(kept);
    this.#windows.delete(name);
  }

  /** Windows that end at `end` or before cannot fire again. */
  forgetExpired(end: number): void {
    for (const [name, kept] of this.#windows) {
      if (kept.end > end) return;
      this.delete(name);
    }
  }

  /** The newest window stays. */
  keepToLimit(): void {
    for (const name of this.#windows.keys()) {
      if (this.#rows <= ROWS_MAX || this.#windows.size === 1) return;
      this.delete(name);
    }
  }
}

function rowsOf({ byShard }: KeptRanking): number {
  let rows = 0;
  for (const each of byShard.values()) rows += each.length;
  return rows;
}
