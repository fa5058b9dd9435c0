// HOT PATH
/**
 * Buckets by budget and share, the one used longest ago forgotten first.
 *
 * Role: the bound of both implementations. Whoever is forgotten begins with a full bucket again, which is what an idle
 * one would have anyway.
 */

/** Of one budget. */
export const BUCKETS_MAX = 50_000;

export class BucketMap<Bucket> {
  readonly #buckets = new Map<string, Bucket>();

  get(share: string): Bucket | undefined {
    const bucket = this.#buckets.get(share);
    if (bucket === undefined) return undefined;
    this.#buckets.delete(share);
    this.#buckets.set(share, bucket);
    return bucket;
  }

  add(share: string, bucket: Bucket): Bucket {
    if (this.#buckets.size >= BUCKETS_MAX) this.#buckets.delete(this.#buckets.keys().next().value as string);
    this.#buckets.set(share, bucket);
    return bucket;
  }
}
