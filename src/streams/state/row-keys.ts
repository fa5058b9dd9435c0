// HOT PATH
/**
 * Ids of the keys that a shard's rows of a batch have.
 *
 * Role: between a batch's key columns (`decode/key-columns.ts`) and the key table, which is asked once for each different
 * key where the batch has numbers for them, and for every row where it has none.
 * Invariant: keys are interned in the order of their first rows either way, so that ids do not depend on which it was.
 */
import type { EventBatch, KeyColumns } from '../decode/event-batch.ts';
import { FIRST_OF_KEY, KEY_NUMBER } from '../decode/key-columns.ts';
import type { KeyTable } from './key-table.ts';

const ROWS_AT_START = 1024;

export class RowKeys {
  /** By place in the rows that were given last. */
  ids = new Uint32Array(ROWS_AT_START);
  #firsts = new Uint32Array(ROWS_AT_START);
  #firstIds = new Uint32Array(ROWS_AT_START);
  /** By number of the key in the batch. */
  #byNumber = new Uint32Array(ROWS_AT_START);

  rows(batch: EventBatch, k: number, fields: readonly number[], rows: Uint32Array, keys: KeyTable): void {
    const count = rows.length;
    const hashes = batch.hashes[k] as Uint32Array;
    const { numbers } = batch.keys[k] as KeyColumns;
    const different = batch.differentKeys(k);
    this.#makeRoom(count, different);
    if (different === 0) {
      keys.internRows(batch, fields, hashes, rows, count, this.ids);
      return;
    }
    const { ids } = this;
    const firsts = this.#firsts;
    let found = 0;
    for (let i = 0; i < count; i++) {
      const row = rows[i] as number;
      firsts[found] = row;
      found += (numbers[row] as number) >>> 31;
    }
    const firstIds = this.#firstIds;
    keys.internRows(batch, fields, hashes, firsts, found, firstIds);
    const byNumber = this.#byNumber;
    for (let i = 0; i < found; i++) {
      byNumber[(numbers[firsts[i] as number] as number) - FIRST_OF_KEY] = firstIds[i] as number;
    }
    for (let i = 0; i < count; i++) ids[i] = byNumber[(numbers[rows[i] as number] as number) & KEY_NUMBER] as number;
  }

  #makeRoom(rows: number, numbers: number): void {
    if (this.ids.length < rows) {
      const room = 2 ** Math.ceil(Math.log2(rows));
      this.ids = new Uint32Array(room);
      this.#firsts = new Uint32Array(room);
      this.#firstIds = new Uint32Array(room);
    }
    if (this.#byNumber.length < numbers) this.#byNumber = new Uint32Array(2 ** Math.ceil(Math.log2(numbers)));
  }
}
