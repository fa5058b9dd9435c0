// HOT PATH
/**
 * Rows of doubles by (unit, key) in shared memory; a unit is a slice or a window, a run of time.
 *
 * Role: finds the row of an event in about one cache miss, goes over the rows of one unit without looking at others, and
 * forgets a whole unit at once. Knows nothing of what the rows mean; it is the `AggregateSpace` of its rows.
 * Layout (four buffers of the memory from `base`):
 *   base      rows of `stride` doubles; row 0 is nobody's and serves for scratch. Words of a row:
 *               0 key   1 next row of the unit, or next free row   2 events, or what its owner counts   3 flags
 *             then, from double ROW_HEAD, what its owner puts there
 *   base + 1  words 0…7: units · oldest · newest · first free record · records given · rows given · first free row · rows
 *             then records of 10 words, numbered from 1 (0 is none):
 *               0–1 number of the unit (a double)   2 older   3 newer   4 first row   5 last row   6 rows
 *               7 its table in the arena            8 log2 of the table's slots     9 1 for a direct one
 *   base + 2  arena of tables (`unit-table.ts`)
 *   base + 3  arena of the rows' owners
 * Invariants: a key has at most one row in a unit; rows of a unit are linked in order of creation and units in order of
 * their number, so going over them depends on nothing else.
 */
import type { AggregateSpace } from '../aggregates/port.ts';
import { ARENA_BYTES_AT_START, Arena } from '../state/arena.ts';
import type { ShardMemory } from '../state/memory.ts';
import { shapeFor, type TableShape, UnitTable } from './unit-table.ts';

/** Doubles of a row before its owner's. */
export const ROW_HEAD = 2;
export const ROW_KEY = 0;
export const ROW_NEXT = 1;
export const ROW_EVENTS = 2;
export const ROW_FLAGS = 3;

const ROWS_AT_START = 16;
const RECORDS_AT_START = 8;
const RECENT = 64;
/** Of which nothing is known. */
const KEY_MAX = 2 ** 32 - 1;

const UNITS = 0;
const OLDEST = 1;
const NEWEST = 2;
const FREE_RECORD = 3;
const RECORDS = 4;
const ROWS = 5;
const FREE_ROW = 6;
const LIVE_ROWS = 7;

const RECORD_WORDS = 10;
const OLDER = 2;
const NEWER = 3;
const FIRST = 4;
const LAST = 5;
const COUNT = 6;
const TABLE = 7;
const LOG2 = 8;
const DIRECT = 9;

/** Sizes for `ShardMemory.create`. */
export function rowStoreBytes(stride: number): readonly number[] {
  return [
    ROWS_AT_START * stride * 8,
    32 + (RECORDS_AT_START + 1) * RECORD_WORDS * 4,
    ARENA_BYTES_AT_START,
    ARENA_BYTES_AT_START,
  ];
}

export class RowStore implements AggregateSpace {
  readonly stride: number;
  /** Words of a row. */
  readonly step: number;
  readonly arena: Arena;
  rows!: Float64Array;
  words!: Uint32Array;
  readonly #memory: ShardMemory;
  readonly #base: number;
  readonly #tables: Arena;
  #units!: Uint32Array;
  #numbers!: Float64Array;
  /** The selected record, and its table. */
  #record = 0;
  readonly #table: UnitTable;
  /** Records by number of their unit, as the memory has them: a cache, with the recently asked in front. */
  readonly #byNumber = new Map<number, number>();
  readonly #recentNumbers = new Float64Array(RECENT).fill(Number.NaN);
  readonly #recentRecords = new Uint32Array(RECENT);

  constructor(memory: ShardMemory, base: number, stride: number) {
    this.#memory = memory;
    this.#base = base;
    this.stride = stride;
    this.step = stride * 2;
    this.#viewRows();
    this.#viewUnits();
    this.#tables = new Arena(memory, base + 2);
    this.#table = new UnitTable(this.#tables);
    this.arena = new Arena(memory, base + 3);
    if (this.#units[ROWS] === 0) {
      this.#units[ROWS] = 1;
      this.#units[RECORDS] = 1;
    }
    for (let record = this.oldest; record !== 0; record = this.newer(record)) {
      this.#byNumber.set(this.numberOf(record), record);
    }
  }

  #viewRows(): void {
    const buffer = this.#memory.buffer(this.#base);
    this.rows = new Float64Array(buffer);
    this.words = new Uint32Array(buffer);
  }

  #viewUnits(): void {
    const buffer = this.#memory.buffer(this.#base + 1);
    this.#units = new Uint32Array(buffer);
    this.#numbers = new Float64Array(buffer);
  }

  /** Rows in units, and loose ones. */
  get liveRows(): number {
    return this.#units[LIVE_ROWS] as number;
  }

  /** In use. */
  get byteLength(): number {
    return this.liveRows * this.stride * 8 + this.#tables.liveBytes + this.arena.liveBytes;
  }

  /** Record of the unit with the lowest number; 0 for none. */
  get oldest(): number {
    return this.#units[OLDEST] as number;
  }

  get newest(): number {
    return this.#units[NEWEST] as number;
  }

  #at(record: number): number {
    return 8 + record * RECORD_WORDS;
  }

  newer(record: number): number {
    return this.#units[this.#at(record) + NEWER] as number;
  }

  older(record: number): number {
    return this.#units[this.#at(record) + OLDER] as number;
  }

  numberOf(record: number): number {
    return this.#numbers[this.#at(record) / 2] as number;
  }

  countOf(record: number): number {
    return this.#units[this.#at(record) + COUNT] as number;
  }

  /** First row of a unit; the next one is in word ROW_NEXT; 0 ends. */
  firstRow(record: number): number {
    return this.#units[this.#at(record) + FIRST] as number;
  }

  nextRow(row: number): number {
    return this.words[row * this.step + ROW_NEXT] as number;
  }

  keyOf(row: number): number {
    return this.words[row * this.step + ROW_KEY] as number;
  }

  /** Record of a unit; 0 when there is none. */
  recordOf(unit: number): number {
    const recent = unit & (RECENT - 1);
    if (this.#recentNumbers[recent] === unit) return this.#recentRecords[recent] as number;
    const record = this.#byNumber.get(unit) ?? 0;
    if (record !== 0) {
      this.#recentNumbers[recent] = unit;
      this.#recentRecords[recent] = record;
    }
    return record;
  }

  /** Record of a unit, made when there is none. */
  open(unit: number): number {
    const known = this.recordOf(unit);
    if (known !== 0) return known;
    const like = this.newest;
    const count = like === 0 ? 0 : this.countOf(like);
    const record = this.#takeRecord();
    const at = this.#at(record);
    this.#numbers[at / 2] = unit;
    this.#link(record, unit);
    this.#units[at + FIRST] = 0;
    this.#units[at + LAST] = 0;
    this.#units[at + COUNT] = 0;
    // As many rows as the unit before, of such keys: mostly right, and a table that is too small only grows.
    const direct = like !== 0 && this.#units[this.#at(like) + DIRECT] === 1;
    const keyMax = direct ? 2 ** (this.#units[this.#at(like) + LOG2] as number) - 1 : KEY_MAX;
    this.#makeTable(record, shapeFor(count, keyMax));
    this.#byNumber.set(unit, record);
    return record;
  }

  #takeRecord(): number {
    const units = this.#units;
    const free = units[FREE_RECORD] as number;
    units[UNITS] = (units[UNITS] as number) + 1;
    if (free !== 0) {
      units[FREE_RECORD] = units[this.#at(free) + NEWER] as number;
      return free;
    }
    const record = units[RECORDS] as number;
    units[RECORDS] = record + 1;
    if (this.#at(record + 1) > units.length) {
      this.#memory.grow(this.#base + 1, units.length * 8);
      this.#viewUnits();
    }
    return record;
  }

  #link(record: number, unit: number): void {
    const units = this.#units;
    let older = units[NEWEST] as number;
    while (older !== 0 && this.numberOf(older) > unit) older = this.older(older);
    const newer = older === 0 ? (units[OLDEST] as number) : this.newer(older);
    units[this.#at(record) + OLDER] = older;
    units[this.#at(record) + NEWER] = newer;
    units[older === 0 ? OLDEST : this.#at(older) + NEWER] = record;
    units[newer === 0 ? NEWEST : this.#at(newer) + OLDER] = record;
  }

  #makeTable(record: number, shape: TableShape): void {
    const at = this.#at(record);
    this.#units[at + TABLE] = this.#table.make(shape);
    this.#units[at + LOG2] = shape.log2;
    this.#units[at + DIRECT] = shape.direct ? 1 : 0;
  }

  /** `find`, `insert` and `table` mean this record from here on. */
  select(record: number): void {
    if (record !== this.#record) this.#turn(record);
  }

  #turn(record: number): void {
    const at = this.#at(record);
    const units = this.#units;
    this.#record = record;
    this.#table.use(units[at + TABLE] as number, units[at + LOG2] as number, units[at + DIRECT] === 1);
  }

  /** Where the slots of the tables are, for `WindowEvents`' first look. */
  get slots(): Uint32Array {
    return this.#tables.words;
  }

  /** Of the selected record. Read it again after whatever may insert. */
  get table(): UnitTable {
    return this.#table;
  }

  /** Row of a key in the selected unit; 0 for none. */
  find(key: number): number {
    return this.#table.find(key, this.words, this.step);
  }

  /** A row for a key that has none in the selected unit. Its owner's doubles are undefined. */
  insert(key: number): number {
    const row = this.take();
    const units = this.#units;
    const words = this.words;
    const at = this.#at(this.#record);
    words[row * this.step + ROW_KEY] = key;
    words[row * this.step + ROW_NEXT] = 0;
    const last = units[at + LAST] as number;
    if (last === 0) units[at + FIRST] = row;
    else words[last * this.step + ROW_NEXT] = row;
    units[at + LAST] = row;
    const count = (units[at + COUNT] as number) + 1;
    units[at + COUNT] = count;
    if (this.#table.takes(count, key)) this.#table.place(row, key);
    else this.#growTable(count);
    return row;
  }

  #growTable(count: number): void {
    const record = this.#record;
    let keyMax = 0;
    for (let row = this.firstRow(record); row !== 0; row = this.nextRow(row)) {
      if (this.keyOf(row) > keyMax) keyMax = this.keyOf(row);
    }
    this.#tables.free(this.#units[this.#at(record) + TABLE] as number);
    this.#makeTable(record, shapeFor(count, keyMax));
    this.#fillTable(record);
  }

  #fillTable(record: number): void {
    this.#turn(record);
    for (let row = this.firstRow(record); row !== 0; row = this.nextRow(row)) this.#table.place(row, this.keyOf(row));
  }

  /** A row in no unit; without events and flags. */
  take(): number {
    const units = this.#units;
    units[LIVE_ROWS] = (units[LIVE_ROWS] as number) + 1;
    let row = units[FREE_ROW] as number;
    if (row !== 0) units[FREE_ROW] = this.nextRow(row);
    else {
      row = units[ROWS] as number;
      units[ROWS] = row + 1;
      if ((row + 1) * this.stride > this.rows.length) {
        this.#memory.grow(this.#base, this.rows.byteLength * 2);
        this.#viewRows();
      }
    }
    this.words[row * this.step + ROW_EVENTS] = 0;
    this.words[row * this.step + ROW_FLAGS] = 0;
    return row;
  }

  /** Gives back a row that `take` gave. */
  give(row: number): void {
    this.words[row * this.step + ROW_NEXT] = this.#units[FREE_ROW] as number;
    this.#units[FREE_ROW] = row;
    this.#units[LIVE_ROWS] = (this.#units[LIVE_ROWS] as number) - 1;
  }

  /** Forgets a unit and all its rows, whose owner has freed what they hold. */
  retire(record: number): void {
    const units = this.#units;
    const at = this.#at(record);
    const unit = this.numberOf(record);
    const first = units[at + FIRST] as number;
    if (first !== 0) {
      this.words[(units[at + LAST] as number) * this.step + ROW_NEXT] = units[FREE_ROW] as number;
      units[FREE_ROW] = first;
      units[LIVE_ROWS] = (units[LIVE_ROWS] as number) - (units[at + COUNT] as number);
    }
    this.#tables.free(units[at + TABLE] as number);
    const older = units[at + OLDER] as number;
    const newer = units[at + NEWER] as number;
    units[older === 0 ? OLDEST : this.#at(older) + NEWER] = newer;
    units[newer === 0 ? NEWEST : this.#at(newer) + OLDER] = older;
    units[at + NEWER] = units[FREE_RECORD] as number;
    units[FREE_RECORD] = record;
    units[UNITS] = (units[UNITS] as number) - 1;
    if (record === this.#record) this.#record = 0;
    this.#byNumber.delete(unit);
    if (this.#recentNumbers[unit & (RECENT - 1)] === unit) this.#recentNumbers[unit & (RECENT - 1)] = Number.NaN;
  }

  /** Takes out of a unit the rows of these keys, after `freed` was told each of them. */
  without(record: number, keys: ReadonlySet<number>, freed: (row: number) => void): void {
    const units = this.#units;
    const at = this.#at(record);
    let row = this.firstRow(record);
    let last = 0;
    let count = 0;
    units[at + FIRST] = 0;
    while (row !== 0) {
      const next = this.nextRow(row);
      if (keys.has(this.keyOf(row))) {
        freed(row);
        this.give(row);
      } else {
        this.words[row * this.step + ROW_NEXT] = 0;
        if (last === 0) units[at + FIRST] = row;
        else this.words[last * this.step + ROW_NEXT] = row;
        last = row;
        count += 1;
      }
      row = next;
    }
    units[at + LAST] = last;
    units[at + COUNT] = count;
    this.select(record);
    this.#table.clear();
    this.#fillTable(record);
  }
}
