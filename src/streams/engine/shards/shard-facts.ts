/**
 * What shards say of themselves after a task, and the sums over all of them.
 *
 * Role: beside `ShardSet`, which is asked for them with every batch: they go on by what changed in a shard.
 */
import type { Plan } from '../../plan.ts';
import type { Held, ShardReport } from '../task.ts';

type Facts = Pick<ShardReport, 'bytes' | 'dropped' | 'held'>;

export class ShardFacts {
  readonly #shards: Facts[];
  /** Of all shards, by stream. */
  readonly #held: { keys: number; bytes: number }[];
  #bytes = 0;

  constructor({ shards, streams }: Pick<Plan, 'shards' | 'streams'>) {
    this.#shards = Array.from({ length: shards }, () => ({ bytes: 0, held: [], dropped: [] }));
    this.#held = streams.map(() => ({ keys: 0, bytes: 0 }));
  }

  /** State of all streams, in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** State of a stream. */
  held(stream: number): Held {
    return this.#held[stream] as Held;
  }

  /** State of the streams in one shard. */
  heldBy(shard: number): readonly Held[] {
    return (this.#shards[shard] as Facts).held;
  }

  /** Partial matches an operator has given up. */
  dropped(operator: number): number {
    return this.#shards.reduce((sum, { dropped }) => sum + (dropped[operator] ?? 0), 0);
  }

  note(shard: number, { bytes, dropped, held }: Facts): void {
    const before = this.#shards[shard] as Facts;
    this.#bytes += bytes - before.bytes;
    for (let stream = 0; stream < held.length; stream++) {
      const sum = this.#held[stream] as { keys: number; bytes: number };
      const of = held[stream] as Held;
      sum.keys += of.keys - (before.held[stream]?.keys ?? 0);
      sum.bytes += of.bytes - (before.held[stream]?.bytes ?? 0);
    }
    this.#shards[shard] = { bytes, dropped, held };
  }
}
