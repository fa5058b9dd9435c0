/**
 * What operators emit in a shard: gathered as lines per step, operator and output, and handed on to the operators fed.
 *
 * Role: the emitters behind `Shard`. A chunk begins with the first result of its step and is closed by the next step, so
 * that its sequence number says which log record it follows from.
 */
import type { Failed } from '../../aggregates/failed-result.ts';
import type { LineBuffer } from '../../lines/line-buffer.ts';
import { LineSpace } from '../../lines/line-memory.ts';
import type { Emitter, EventResults, Keys, ResultRow, ShardOperator, StateQuery, ValueWriter } from '../../operator.ts';
import type { OperatorPlan, Plan, StreamPlan } from '../../plan.ts';
import { rankOf } from '../../rank.ts';
import type { FailedCount, ResultChunk } from '../task.ts';
import { EventLines } from './event-lines.ts';
import { LineWriter, linePartsOf } from './result-line.ts';

const LINE_FEED = 10;
/** A chunk is closed when it is that long, so that its bytes are written and copied while they are in a cache. */
const CHUNK_BYTES = 4 * 1024 * 1024;
/** Events that are written between two looks at that. */
const EVENTS_AT_ONCE = 256;
type Closed = Omit<ResultChunk, 'shard'>;

interface OpenChunk {
  readonly operator: number;
  readonly output: ResultRow['output'];
  readonly seq: number;
  readonly lines: LineBuffer;
  /** It is closed then. */
  readonly bytesMax: number;
  count: number;
  start: number;
  end: number;
}

export class Gathering {
  #seq = 0;
  /** Of chunks that were cut since `bound`, and how many there may be. */
  #cutBytes = 0;
  #cutBytesMax = Number.POSITIVE_INFINITY;
  readonly #closed: Closed[] = [];
  readonly #open = new Map<string, OpenChunk>();
  /** The chunk the last result went to. */
  #latest: OpenChunk | null = null;
  #space = new LineSpace([]);
  #isRead = true;
  /** By operator: results with values that could not be had. */
  readonly #failed = new Map<number, { count: number; readonly why: string }>();

  /** Where lines go until the next `take`; without it, to memory of their own. Not `isRead`: nowhere. */
  use(space: LineSpace, isRead: boolean): void {
    this.#space = space;
    this.#isRead = isRead;
  }

  /** What comes may have so many bytes of results, as far as that is looked at: beyond that `Emitter`s throw. */
  bound(bytesMax: number): void {
    this.#cutBytes = 0;
    this.#cutBytesMax = bytesMax;
  }

  begin(seq: number): void {
    if (seq === this.#seq) return;
    this.#close();
    this.#seq = seq;
  }

  output(operator: OperatorPlan, plan: Plan, columns: readonly string[], keys: Keys): OperatorOutput {
    return new OperatorOutput(this, plan, operator, columns, keys);
  }

  /** `values`: what writes the row's values; null: they are in it. */
  add(operator: number, row: ResultRow, writer: LineWriter, keys: Keys, values: ValueWriter | null): void {
    const chunk = this.#chunkOf(operator, row.output, row.start, row.end);
    writer.write(row, keys, chunk.lines, values);
    chunk.lines.byte(LINE_FEED);
    chunk.count += 1;
    if (row.start < chunk.start) chunk.start = row.start;
    if (row.end > chunk.end) chunk.end = row.end;
    if (chunk.lines.at >= chunk.bytesMax) this.#cut(chunk);
  }

  addEvents(operator: number, results: EventResults, writer: EventLines, keys: Keys): void {
    const { count, rows } = results;
    const { ts } = results.batch;
    writer.begin(results);
    for (let from = 0; from < count; from += EVENTS_AT_ONCE) {
      const first = ts[rows[from] as number] as number;
      const chunk = this.#chunkOf(operator, '', first, first);
      const to = Math.min(count, from + EVENTS_AT_ONCE);
      writer.write(results, from, to, keys, chunk.lines);
      chunk.count += to - from;
      for (let i = from; i < to; i++) {
        const time = ts[rows[i] as number] as number;
        if (time < chunk.start) chunk.start = time;
        if (time > chunk.end) chunk.end = time;
      }
      if (chunk.lines.at >= chunk.bytesMax) this.#cut(chunk);
    }
  }

  #chunkOf(operator: number, output: ResultRow['output'], start: number, end: number): OpenChunk {
    const latest = this.#latest;
    if (latest !== null && latest.operator === operator && latest.output === output) return latest;
    const name = `${operator}${output}`;
    let chunk = this.#open.get(name);
    if (chunk === undefined) {
      const lines = this.#space.lines();
      const bytesMax = Math.min(CHUNK_BYTES, this.#space.endOf(lines));
      chunk = { operator, output, seq: this.#seq, lines, bytesMax, count: 0, start, end };
      this.#open.set(name, chunk);
    }
    this.#latest = chunk;
    return chunk;
  }

  /** Closes a chunk that is long. The next result of the operator begins another one. */
  #cut(chunk: OpenChunk): void {
    this.#cutBytes += chunk.lines.at;
    if (this.#cutBytes > this.#cutBytesMax) {
      throw new Error(`its results have more than ${this.#cutBytesMax} bytes, of the keys of one shard`);
    }
    this.#latest = null;
    this.#open.delete(`${chunk.operator}${chunk.output}`);
    this.#end(chunk);
  }

  #close(): void {
    this.#latest = null;
    for (const chunk of this.#open.values()) this.#end(chunk);
    this.#open.clear();
  }

  #end(chunk: OpenChunk): void {
    if (this.#isRead) this.#closed.push(closedOf(chunk, this.#space));
    else this.#space.drop(chunk.lines);
  }

  fail(operator: number, failed: Failed): void {
    const known = this.#failed.get(operator);
    if (known === undefined) this.#failed.set(operator, { count: 1, why: Object.values(failed)[0] ?? '' });
    else known.count += 1;
  }

  takeFailed(): FailedCount[] {
    const failed = [...this.#failed].map(([operator, each]) => ({ kind: 'failed', operator, ...each }) as const);
    this.#failed.clear();
    return failed;
  }

  take(shard: number): ResultChunk[] {
    this.#close();
    this.#space = new LineSpace([]);
    this.#isRead = true;
    return this.#closed.splice(0).map((chunk) => ({ ...chunk, shard }));
  }
}

function closedOf({ count, end, lines, operator, output, seq, start }: OpenChunk, space: LineSpace): Closed {
  return { operator, output, seq, lines: space.put(lines), count, start, end };
}

export class OperatorOutput implements Emitter {
  readonly #gathering: Gathering;
  readonly #plan: OperatorPlan;
  readonly #writer: LineWriter;
  readonly #stream: StreamPlan;
  /** Of events that came too late, which have the values of events. Made when it is needed. */
  #late: LineWriter | null = null;
  /** Made when it is needed: of most operators, it never is. */
  #events: EventLines | null = null;
  readonly #columns: readonly string[];
  readonly #keys: Keys;
  readonly #fed: { readonly operator: ShardOperator; readonly output: OperatorOutput }[] = [];

  constructor(gathering: Gathering, plan: Plan, operator: OperatorPlan, columns: readonly string[], keys: Keys) {
    this.#gathering = gathering;
    this.#plan = operator;
    this.#writer = lineWriterFor(plan, operator, columns);
    this.#stream = plan.streams[operator.stream] as StreamPlan;
    this.#columns = columns;
    this.#keys = keys;
  }

  feed(operator: ShardOperator, output: OperatorOutput): void {
    this.#fed.push({ operator, output });
  }

  emit(row: ResultRow): void {
    const writer = row.output === 'late' ? this.#lateWriter() : this.#writer;
    this.#gathering.add(this.#plan.index, row, writer, this.#keys, null);
    if (row.failed !== null && this.#plan.kind === 'window') this.#gathering.fail(this.#plan.index, row.failed);
    for (const { operator, output } of this.#fed) operator.result?.(row, this.#columns, output);
  }

  emitWritten(row: ResultRow, values: ValueWriter): boolean {
    if (this.#fed.length > 0) return false;
    this.#gathering.add(this.#plan.index, row, this.#writer, this.#keys, values);
    return true;
  }

  #lateWriter(): LineWriter {
    const { fields, name } = this.#stream;
    this.#late ??= new LineWriter(
      name,
      this.#plan.name,
      fields.map((field) => field.name),
      false,
    );
    return this.#late;
  }

  emitEvents(results: EventResults): boolean {
    if (this.#fed.length > 0) return false;
    this.#events ??= new EventLines(linePartsOf(this.#stream.name, this.#plan.name, this.#columns));
    this.#gathering.addEvents(this.#plan.index, results, this.#events, this.#keys);
    return true;
  }
}

/** Collects the rows one shard gives to a query. */
export class QueryAnswer implements Emitter {
  readonly lines: string[] = [];
  readonly order: number[] = [];
  /** Of all lines. */
  characters = 0;
  isCut = false;
  readonly #charactersMax: number;
  readonly #writer: LineWriter;
  readonly #keys: Keys;
  readonly #by: number;
  readonly #limit: number;
  readonly #match: [string, string | number | boolean | null][] | null;

  constructor(
    plan: Plan,
    operator: OperatorPlan,
    columns: readonly string[],
    keys: Keys,
    query: StateQuery,
    charactersMax: number,
  ) {
    this.#writer = lineWriterFor(plan, operator, columns);
    this.#keys = keys;
    this.#charactersMax = charactersMax;
    this.#by = query.by === '' ? -1 : columns.indexOf(query.by);
    this.#limit = query.limit;
    this.#match = query.match === null ? null : Object.entries(query.match);
  }

  emit(row: ResultRow): void {
    if (this.isCut || this.lines.length >= this.#limit || !this.#isOfKey(row.keyId)) return;
    const line = this.#writer.line(row, this.#keys);
    this.isCut = this.characters + line.length > this.#charactersMax;
    if (this.isCut) return;
    this.characters += line.length;
    this.lines.push(line);
    this.order.push(this.#by < 0 ? 0 : rankOf(row.values[this.#by]));
  }

  #isOfKey(keyId: number): boolean {
    if (this.#match === null) return true;
    const key = JSON.parse(this.#keys.json(keyId)) as Record<string, unknown>;
    for (const [name, value] of this.#match) if (key[name] !== value) return false;
    return true;
  }
}

function lineWriterFor(plan: Plan, operator: OperatorPlan, columns: readonly string[]): LineWriter {
  const stream = plan.streams[operator.stream] as StreamPlan;
  return new LineWriter(stream.name, operator.name, columns, isByEvents(plan, operator));
}

/** A key may have many results of one time; an alert has as many as what it watches. */
function isByEvents(plan: Plan, operator: OperatorPlan): boolean {
  const { kind } = operator.kind === 'alert' ? (plan.operators[operator.source] as OperatorPlan) : operator;
  return kind === 'pattern' || kind === 'join' || kind === 'view';
}
