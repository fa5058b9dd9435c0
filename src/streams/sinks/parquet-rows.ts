/**
 * Result lines as columns of a Parquet file.
 *
 * Role: a pure function from lines to bytes. Columns: `id`, `stream`, `name`, `start`, `end` (timestamps), `pane`,
 * `timing`, `final`, `retraction`, `output`, `failed` (JSON) if there is any, then `key_{member}` and `value_{name}`
 * for all that occur in the file, then `context` (JSON). A member that is a number in every line is DOUBLE, a boolean
 * BOOLEAN, anything else is text: lists and objects as JSON, and so is a member whose type differs between lines.
 * Each line is taken apart as soon as it is read: 100,000 row objects that live until the last line would be copied by
 * the collector again and again.
 */
import { type ColumnSource, parquetWriteBuffer } from 'hyparquet-writer';
import type { ResultLine } from '../engine/port.ts';

/** Of a `Date`, to either side of 1970. */
const DATE_MS_MAX = 8.64e15;

/** `notes`: names and texts of the file's own metadata. */
export function parquetOf(lines: readonly string[], notes: Readonly<Record<string, string>>): Uint8Array {
  const columns = new Columns(lines.length);
  for (const line of lines) columns.add(JSON.parse(line) as ResultLine);
  const kvMetadata = Object.entries(notes).map(([key, value]) => ({ key, value }));
  return new Uint8Array(parquetWriteBuffer({ columnData: columns.sources(), kvMetadata, createdBy: 'millrace' }));
}

/** What has been added so far, column by column. */
class Columns {
  readonly #id: string[] = [];
  readonly #stream: string[] = [];
  readonly #name: string[] = [];
  readonly #start: (bigint | null)[] = [];
  readonly #end: (bigint | null)[] = [];
  readonly #pane: number[] = [];
  readonly #timing: string[] = [];
  readonly #final: boolean[] = [];
  readonly #retraction: boolean[] = [];
  readonly #output: (string | null)[] = [];
  readonly #failed: (string | null)[] = [];
  readonly #key: Members;
  readonly #values: Members;
  readonly #context: (string | null)[] = [];

  constructor(rows: number) {
    this.#key = new Members('key_', rows);
    this.#values = new Members('value_', rows);
  }

  add(row: ResultLine): void {
    const at = this.#id.length;
    this.#id.push(row.id);
    this.#stream.push(row.stream);
    this.#name.push(row.name);
    this.#start.push(timeOf(row.start));
    this.#end.push(timeOf(row.end));
    this.#pane.push(row.pane);
    this.#timing.push(row.timing);
    this.#final.push(row.final);
    this.#retraction.push(row.retraction === true);
    this.#output.push(row.output ?? null);
    this.#failed.push(row.failed === undefined ? null : JSON.stringify(row.failed));
    this.#key.add(at, row.key);
    this.#values.add(at, row.values);
    this.#context.push(row.context === undefined ? null : JSON.stringify(row.context));
  }

  sources(): ColumnSource[] {
    return [
      texts('id', this.#id),
      texts('stream', this.#stream),
      texts('name', this.#name),
      { name: 'start', type: 'TIMESTAMP', nullable: true, data: this.#start },
      { name: 'end', type: 'TIMESTAMP', nullable: true, data: this.#end },
      { name: 'pane', type: 'DOUBLE', nullable: false, data: this.#pane },
      texts('timing', this.#timing),
      { name: 'final', type: 'BOOLEAN', nullable: false, data: this.#final },
      { name: 'retraction', type: 'BOOLEAN', nullable: false, data: this.#retraction },
      texts('output', this.#output),
      // Only where there is any: all other files are as they always were.
      ...(this.#failed.some((each) => each !== null) ? [texts('failed', this.#failed)] : []),
      ...this.#key.sources(),
      ...this.#values.sources(),
      texts('context', this.#context),
    ];
  }
}

interface Member {
  /** `null` where a row does not have it. */
  readonly data: unknown[];
  /** Of all values but `null`; `''` before the first one, `mixed` where they differ. */
  type: string;
}

/** The members of `key` or `values`, in the order in which they are first seen. */
class Members {
  readonly #prefix: string;
  readonly #rows: number;
  readonly #byName = new Map<string, Member>();

  constructor(prefix: string, rows: number) {
    this.#prefix = prefix;
    this.#rows = rows;
  }

  add(at: number, members: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(members)) {
      let member = this.#byName.get(name);
      if (member === undefined) {
        member = { data: new Array<unknown>(this.#rows).fill(null), type: '' };
        this.#byName.set(name, member);
      }
      const value = members[name] ?? null;
      if (value === null) continue;
      member.data[at] = value;
      if (member.type === '') member.type = typeof value;
      else if (member.type !== typeof value) member.type = 'mixed';
    }
  }

  sources(): ColumnSource[] {
    return [...this.#byName].map(([name, { data, type }]) => {
      const column = this.#prefix + name;
      if (type === 'number') return { name: column, type: 'DOUBLE', nullable: true, data };
      if (type === 'boolean') return { name: column, type: 'BOOLEAN', nullable: true, data };
      if (type === 'string') return texts(column, data as (string | null)[]);
      const asText = (value: unknown): string | null =>
        value === null || typeof value === 'string' ? value : JSON.stringify(value);
      return texts(column, data.map(asText));
    });
  }
}

function texts(name: string, data: (string | null)[]): ColumnSource {
  return { name, type: 'STRING', nullable: true, data };
}

/** A window at an end of all dates reaches beyond it, where there is none. */
function timeOf(ms: number | null): bigint | null {
  return ms === null ? null : BigInt(Math.trunc(Math.max(-DATE_MS_MAX, Math.min(DATE_MS_MAX, ms))));
}
