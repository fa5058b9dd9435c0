/**
 * What operators emit in a shard: gathered as lines per step, operator and output, and handed on to the operators fed.
 *
 * Role: the emitters behind `Shard`. A chunk begins with the first result of its step and is closed by the next step, so
 * that its sequence number says which log record it follows from.
 */
import type { Emitter, Keys, ResultRow, ShardOperator, StateQuery } from '../operator.ts';
import type { OperatorPlan } from '../plan.ts';
import { LineBuffer } from './line-buffer.ts';
import { LineWriter } from './result-line.ts';
import type { ResultChunk } from './task.ts';

const LINE_FEED = 10;

interface OpenChunk {
  readonly operator: number;
  readonly output: ResultRow['output'];
  readonly seq: number;
  readonly lines: LineBuffer;
  count: number;
  start: number;
  end: number;
}

export class Gathering {
  #seq = 0;
  readonly #closed: OpenChunk[] = [];
  readonly #open = new Map<string, OpenChunk>();
  /** The chunk the last result went to. */
  #latest: OpenChunk | null = null;

  begin(seq: number): void {
    if (seq === this.#seq) return;
    this.#close();
    this.#seq = seq;
  }

  output(plan: OperatorPlan, stream: string, columns: readonly string[], keys: Keys): OperatorOutput {
    return new OperatorOutput(this, plan, lineWriterFor(stream, plan, columns), columns, keys);
  }

  add(operator: number, row: ResultRow, writer: LineWriter, keys: Keys): void {
    let chunk = this.#latest;
    if (chunk === null || chunk.operator !== operator || chunk.output !== row.output) {
      chunk = this.#chunk(operator, row);
      this.#latest = chunk;
    }
    writer.write(row, keys, chunk.lines);
    chunk.lines.byte(LINE_FEED);
    chunk.count += 1;
    if (row.start < chunk.start) chunk.start = row.start;
    if (row.end > chunk.end) chunk.end = row.end;
  }

  #chunk(operator: number, row: ResultRow): OpenChunk {
    const name = `${operator}${row.output}`;
    let chunk = this.#open.get(name);
    if (chunk === undefined) {
      const lines = new LineBuffer();
      chunk = { operator, output: row.output, seq: this.#seq, lines, count: 0, start: row.start, end: row.end };
      this.#open.set(name, chunk);
    }
    return chunk;
  }

  #close(): void {
    this.#latest = null;
    for (const chunk of this.#open.values()) this.#closed.push(chunk);
    this.#open.clear();
  }

  take(shard: number): ResultChunk[] {
    this.#close();
    return this.#closed.splice(0).map(({ lines, ...chunk }) => ({ ...chunk, shard, lines: lines.take() }));
  }
}

export class OperatorOutput implements Emitter {
  readonly #gathering: Gathering;
  readonly #plan: OperatorPlan;
  readonly #writer: LineWriter;
  readonly #columns: readonly string[];
  readonly #keys: Keys;
  readonly #fed: { readonly operator: ShardOperator; readonly output: OperatorOutput }[] = [];

  constructor(gathering: Gathering, plan: OperatorPlan, writer: LineWriter, columns: readonly string[], keys: Keys) {
    this.#gathering = gathering;
    this.#plan = plan;
    this.#writer = writer;
    this.#columns = columns;
    this.#keys = keys;
  }

  feed(operator: ShardOperator, output: OperatorOutput): void {
    this.#fed.push({ operator, output });
  }

  emit(row: ResultRow): void {
    this.#gathering.add(this.#plan.index, row, this.#writer, this.#keys);
    for (const { operator, output } of this.#fed) operator.result?.(row, this.#columns, output);
  }
}

/** Collects the rows one shard gives to a query. */
export class QueryAnswer implements Emitter {
  readonly lines: string[] = [];
  readonly order: number[] = [];
  readonly #writer: LineWriter;
  readonly #keys: Keys;
  readonly #by: number;
  readonly #limit: number;

  constructor(stream: string, plan: OperatorPlan, columns: readonly string[], keys: Keys, query: StateQuery) {
    this.#writer = lineWriterFor(stream, plan, columns);
    this.#keys = keys;
    this.#by = query.by === '' ? -1 : columns.indexOf(query.by);
    this.#limit = query.limit;
  }

  emit(row: ResultRow): void {
    if (this.lines.length >= this.#limit) return;
    const value = this.#by < 0 ? 0 : row.values[this.#by];
    this.lines.push(this.#writer.line(row, this.#keys));
    this.order.push(typeof value === 'number' ? value : Number.NEGATIVE_INFINITY);
  }
}

function lineWriterFor(stream: string, { kind, name }: OperatorPlan, columns: readonly string[]): LineWriter {
  return new LineWriter(stream, name, columns, kind === 'pattern' || kind === 'join' || kind === 'view');
}
