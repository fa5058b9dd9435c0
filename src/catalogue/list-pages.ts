// HOT PATH
/**
 * The pages of one list, encoded: a request for a page looks bytes up.
 *
 * Role: items sorted by name, cut into pages, each page's result object encoded once per revision when it is first asked
 * for, and kept for the life of the snapshot. Sorting by name gives every node and every start the same order, which
 * the cursors ("after this name") need.
 * Invariants: the kept bytes are one encoding of the list per revision, no more: a cursor of an earlier snapshot can
 * point between today's pages, and such a page is encoded for that request alone.
 */
import { REVISIONS, type Revision } from '../protocol/revisions.ts';
import type { Cursors } from './cursor.ts';
import type { CompiledDefinition } from './entries.ts';
import type { ListName } from './entry.ts';
import { itemJson } from './list-items.ts';

/** Name of the array in the result. */
const MEMBERS: Readonly<Record<ListName, string>> = {
  tools: 'tools',
  resources: 'resources',
  templates: 'resourceTemplates',
  prompts: 'prompts',
};

export class ListPages {
  readonly #list: ListName;
  readonly #items: readonly CompiledDefinition[];
  readonly #pageSize: number;
  readonly #cursors: Cursors;
  readonly #stamp: string;
  readonly #pages: (Uint8Array | undefined)[][];

  /** `items` sorted by entry name; `stamp` as `stampJson` gives it. */
  constructor(list: ListName, items: readonly CompiledDefinition[], pageSize: number, cursors: Cursors, stamp: string) {
    this.#list = list;
    this.#items = items;
    this.#pageSize = pageSize;
    this.#cursors = cursors;
    this.#stamp = stamp;
    this.#pages = REVISIONS.map(() => []);
  }

  /** Null for a cursor that is not ours. */
  page(revision: Revision, cursor: string | undefined): Uint8Array | null {
    let start = 0;
    if (cursor !== undefined) {
      const after = this.#cursors.read(this.#list, cursor);
      if (after === null) return null;
      start = this.#firstAfter(after);
    }
    const row = this.#pages[revision.index];
    if (row === undefined || start % this.#pageSize !== 0 || start > this.#items.length)
      return this.#encode(revision, start);
    const index = start / this.#pageSize;
    let bytes = row[index];
    if (bytes === undefined) {
      bytes = this.#encode(revision, start);
      row[index] = bytes;
    }
    return bytes;
  }

  /** Whether a client would see the same list. The newest revision shows everything the others do. */
  sameAs(other: ListPages): boolean {
    const newest = REVISIONS[REVISIONS.length - 1] as Revision;
    if (this.#items.length !== other.#items.length) return false;
    for (let i = 0; i < this.#items.length; i += 1) {
      const mine = this.#items[i] as CompiledDefinition;
      const theirs = other.#items[i] as CompiledDefinition;
      if (mine !== theirs && itemJson(mine, newest) !== itemJson(theirs, newest)) return false;
    }
    return true;
  }

  /** Index of the first item whose name is greater; the length when there is none. */
  #firstAfter(name: string): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const item = this.#items[middle] as CompiledDefinition;
      if (item.entry.name > name) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #encode(revision: Revision, start: number): Uint8Array {
    const end = Math.min(start + this.#pageSize, this.#items.length);
    let json = `{"${MEMBERS[this.#list]}":[`;
    for (let i = start; i < end; i += 1) {
      if (i > start) json += ',';
      json += itemJson(this.#items[i] as CompiledDefinition, revision);
    }
    json += ']';
    const last = this.#items[end - 1];
    if (end < this.#items.length && last !== undefined) {
      json += `,"nextCursor":${JSON.stringify(this.#cursors.issue(this.#list, last.entry.name))}`;
    }
    if (revision.stampedResults) json += `,${this.#stamp}`;
    return Buffer.from(`${json}}`, 'utf8');
  }
}
