/**
 * Keys of a group for tests: counts how often each key is retained, and refuses what a key table must never see.
 */
import type { Keys } from '../../../src/streams/operator.ts';

export class KeyRegistry implements Keys {
  readonly #retained = new Map<number, number>();
  readonly byteLength = 0;

  get size(): number {
    return this.#retained.size;
  }

  /** Retains of a key that were not released. */
  retained(keyId: number): number {
    return this.#retained.get(keyId) ?? 0;
  }

  json(keyId: number): string {
    return `{"k":${keyId}}`;
  }

  values(keyId: number): readonly number[] {
    return [keyId];
  }

  find(values: readonly (string | number | boolean | null)[]): number {
    const [keyId] = values;
    return typeof keyId === 'number' && values.length === 1 ? keyId : -1;
  }

  retain(keyId: number): void {
    this.#retained.set(keyId, this.retained(keyId) + 1);
  }

  release(keyId: number): void {
    const left = this.retained(keyId) - 1;
    if (left < 0) throw new Error(`key ${keyId} is released more often than retained`);
    if (left === 0) this.#retained.delete(keyId);
    else this.#retained.set(keyId, left);
  }
}
