/**
 * The secret that request state and cursors are sealed with, where every thread of this process reads it.
 *
 *   Int32  0  version   secrets there have been
 *   bytes  4  2 × 32    SHA-256 of secret n at n mod 2
 *
 * Role: a node that starts without Redis has a secret of its own, and takes that of all nodes when Redis is there: what
 * worker threads seal from then on opens on every node. The one before still opens what clients hold of it.
 * Invariants: one thread writes; a reader has a whole secret, since the next one is written beside it.
 */
import { createHash } from 'node:crypto';

const VERSION_BYTES = 4;
const DIGEST_BYTES = 32;
const PLACES = 2;

export class SharedSecret {
  readonly shared: SharedArrayBuffer;
  readonly #version: Int32Array;
  readonly #places: Uint8Array;
  #seenVersion = 0;
  #inForce: readonly Uint8Array[] = [];

  /** Of another thread's. Throws `RangeError` when it is not one. */
  constructor(shared: SharedArrayBuffer) {
    this.shared = shared;
    this.#version = new Int32Array(shared, 0, 1);
    this.#places = new Uint8Array(shared, VERSION_BYTES, PLACES * DIGEST_BYTES);
  }

  /** Throws `RangeError` when it is empty. */
  static of(secret: string): SharedSecret {
    const made = new SharedSecret(new SharedArrayBuffer(VERSION_BYTES + PLACES * DIGEST_BYTES));
    made.use(secret);
    return made;
  }

  /** From now on. Throws `RangeError` when it is empty. */
  use(secret: string): void {
    if (secret === '') throw new RangeError('the secret that seals request state and cursors must not be empty');
    const version = Atomics.load(this.#version, 0) + 1;
    this.#places.set(createHash('sha256').update(secret).digest(), placeOf(version));
    Atomics.store(this.#version, 0, version);
  }

  /** What seals, then what sealed before, if there was another. The same list until it changes. */
  get inForce(): readonly Uint8Array[] {
    for (;;) {
      const version = Atomics.load(this.#version, 0);
      if (version === this.#seenVersion) return this.#inForce;
      const before = version > 1 ? [this.#copy(version - 1)] : [];
      this.#inForce = [this.#copy(version), ...before];
      this.#seenVersion = version;
    }
  }

  #copy(version: number): Uint8Array {
    return this.#places.slice(placeOf(version), placeOf(version) + DIGEST_BYTES);
  }
}

const placeOf = (version: number): number => (version % PLACES) * DIGEST_BYTES;
