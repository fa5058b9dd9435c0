/**
 * Puts together the code of a window's aggregates: straight lines over one row, compiled once per definition.
 *
 * Role: columns (`flat-columns.ts`, `arena-columns.ts`) ask for doubles of the row and say what to do with them; this
 * orders it by condition and source, so that each condition and each value is looked at once per event.
 * The text consists of indexes, numbers of the plan and names made here; what is not code is handed in as a parameter.
 * Names in the code: `s` space, `r` its rows, `at` the row; `b` batch, `row` its row; `v` a value, or `t`, `n` offset and
 * length of a text; `ts` event time; `o`, `q`, `from` space, rows and row that are merged in; `arena`.
 */
import { ABSENT } from '../decode/event-batch.ts';
import type { ArenaPart } from './arena-part.ts';
import type { RowAggregates } from './port.ts';
import type { RowReader, Source } from './source.ts';

type Compiled = Pick<RowAggregates, 'init' | 'add' | 'addRows' | 'merge' | 'results' | 'free' | 'flush'>;

/**
 * By their text, programs that take nothing but functions: V8's optimised code outlives the definition it was made for.
 * The first ones stay, as definitions do.
 */
const kept = new Map<string, { readonly values: readonly unknown[]; readonly compiled: Compiled }>();
const PROGRAMS_KEPT_MAX = 256;

/** Statements for the events of one condition: for all of them, and for those that have a value of a source. */
interface Branch {
  readonly always: string[];
  readonly bySource: Map<string, { readonly open: string; readonly code: string[] }>;
}

/** A double of the row itself, and of the row merged into it. */
export const own = (index: number): string => (index === 0 ? 'r[at]' : `r[at + ${index}]`);
export const other = (index: number): string => (index === 0 ? 'q[from]' : `q[from + ${index}]`);

/** Number of the plan as code. */
export function literal(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError(`no literal for ${value}`);
  return value < 0 ? `(${value})` : `${value}`;
}

export class Program {
  doubles = 0;
  #parts = 0;
  readonly #known = new Map<string, unknown>();
  readonly #values = new Map<unknown, string>();
  readonly #hoisted = new Set<string>();
  readonly #branches = new Map<string, Branch>();
  readonly #init: string[] = [];
  readonly #merge: string[] = [];
  readonly #mergeCounts: string[] = [];
  readonly #results: string[] = [];
  readonly #free: string[] = [];
  readonly #flush: string[] = [];

  get flat(): boolean {
    return this.#parts === 0;
  }

  /** What `make` gave for this key before, or gives now: shared columns. */
  once<T>(key: string, make: () => T): T {
    if (!this.#known.has(key)) this.#known.set(key, make());
    return this.#known.get(key) as T;
  }

  /** Doubles of the row with these values at first; index of the first. */
  reserve(...initial: readonly string[]): number {
    const index = this.doubles;
    for (const value of initial) {
      this.#init.push(`${own(this.doubles)} = ${value};`);
      this.doubles += 1;
    }
    return index;
  }

  /** Name under which the code sees a value. */
  bind(value: unknown): string {
    let name = this.#values.get(value);
    if (name === undefined) {
      name = `k${this.#values.size}`;
      this.#values.set(value, name);
    }
    return name;
  }

  /** Code for each event for which the condition holds (null: all) and the source has a value (null: all). */
  onAdd(where: RowReader | null, source: Source | null, code: string): void {
    const branch = this.#branch(where);
    if (source === null) {
      branch.always.push(code);
      return;
    }
    const key = this.keyOf(source);
    let group = branch.bySource.get(key);
    if (group === undefined) {
      group = { open: this.#open(source), code: [] };
      branch.bySource.set(key, group);
    }
    group.code.push(code);
  }

  /** Same key: same values. */
  keyOf(source: Source | null): string {
    if (source === null) return '';
    return source.reader === null ? `f${source.field}` : `${source.form}:${this.bind(source.reader)}`;
  }

  whereKey(where: RowReader | null): string {
    return where === null ? '' : this.bind(where);
  }

  onMerge(code: string): void {
    this.#merge.push(code);
  }

  /** Runs after all `onMerge`, which may ask how many there were before. */
  onMergeCount(code: string): void {
    this.#mergeCounts.push(code);
  }

  /** Reserves the part's doubles; its name and the index of its first double. */
  part(part: ArenaPart): { readonly name: string; readonly at: string } {
    this.#parts += 1;
    const name = this.bind(part);
    const index = this.reserve(...Array.from({ length: part.doubles }, () => '0'));
    this.#merge.push(`${name}.merge(arena, r, at + ${index}, o.arena, q, from + ${index});`);
    this.#free.push(`${name}.free(arena, r, at + ${index});`);
    if (part.flush !== undefined) this.#flush.push(`${name}.flush(s.arena, s.rows);`);
    return { name, at: `at + ${index}` };
  }

  /** The next result. `prepare` runs before the first result that names it. */
  result(expression: string, prepare = ''): void {
    if (prepare !== '') this.once(`prepare ${prepare}`, () => this.#results.push(prepare));
    this.#results.push(`out[${this.once('results', () => ({ count: 0 })).count++}] = ${expression};`);
  }

  compile(): Compiled {
    const arena = this.flat ? '' : 'const arena = s.arena;';
    const rows = `const r = s.rows; ${arena}`;
    const each = [...this.#branches].map(([name, branch]) => branchCode(name, branch)).join('\n');
    const timed = /\bts\b/.test(each);
    if (timed) this.#hoisted.add('const times = b.ts;');
    const ts = timed ? 'const ts = times[row];' : '';
    const hoisted = [...this.#hoisted].join('\n');
    const text = `'use strict';
return {
init(s, at) { const r = s.rows; ${this.#init.join(' ')} },
add(s, at, b, row) { ${rows} ${hoisted}
${ts}
${each}
},
addRows(s, ats, b, rows, count) { ${rows} ${hoisted}
for (let i = 0; i < count; i++) { const at = ats[i], row = rows[i]; ${ts}
${each}
} },
merge(s, at, o, from) { ${rows} const q = o.rows;
${[...this.#merge, ...this.#mergeCounts].join('\n')}
},
results(s, at, spanMs, out) { ${rows}
${this.#results.join('\n')}
},
free(s, at) { ${rows} ${this.#free.join(' ')} },
flush(s) { ${this.#flush.join(' ')} },
};`;
    const values = [...this.#values.keys()];
    const known = kept.get(text);
    if (known?.values.every((value, i) => value === values[i])) return known.compiled;
    const compiled = new Function(...this.#values.values(), text)(...values) as Compiled;
    if (kept.size < PROGRAMS_KEPT_MAX && values.every((value) => typeof value === 'function')) {
      kept.set(text, { values, compiled });
    }
    return compiled;
  }

  #branch(where: RowReader | null): Branch {
    const name = where === null ? '' : this.bind(where);
    let branch = this.#branches.get(name);
    if (branch === undefined) {
      branch = { always: [], bySource: new Map() };
      this.#branches.set(name, branch);
    }
    return branch;
  }

  /** Reads a source and asks whether it has a value. */
  #open({ form, field, reader }: Source): string {
    if (form === 'text') {
      this.#hoisted.add('const bytes = b.bytes;');
      this.#hoisted.add(`const at${field} = b.at[${field}], length${field} = b.length[${field}];`);
      return `const t = at${field}[row], n = length${field}[row]; if (n !== ${ABSENT})`;
    }
    if (reader !== null && form === 'any') {
      return `const v = ${this.bind(reader)}.value(b, row); if (v !== null)`;
    }
    if (reader !== null) return `const v = ${this.bind(reader)}.number(b, row); if (v === v)`;
    this.#hoisted.add(`const values${field} = b.values[${field}];`);
    return `const v = values${field}[row]; if (v === v)`;
  }
}

function branchCode(name: string, { always, bySource }: Branch): string {
  const groups = [...bySource.values()].map(({ open, code }) => `{ ${open} {\n${code.join('\n')}\n} }`);
  const code = [...always, ...groups].join('\n');
  return name === '' ? code : `if (${name}.test(b, row)) {\n${code}\n}`;
}
