/**
 * Results kept for queries: per operator the newest rows, as the lines they were emitted as.
 *
 * Role: what `window_query` and resources show of windows that have closed. Kept as chunks of bytes; lines are parsed
 * only when somebody asks. Part of the checkpoint, so that a restart does not forget what was closed before.
 * Bounds: `rowsMax` per operator (`retainRows`, 10,000 where nothing is declared), and as many bytes as rows of 1 KiB
 * would have, or `BYTES_MIN`, for keys may be as large as a body; whole chunks go, oldest first. Of which times some have gone is remembered, so that an answer that may lack them says so.
 */
import { lineMemory } from '../../lines/line-memory.ts';
import { linesOf } from '../../lines/lines-of.ts';
import type { OperatorPlan } from '../../plan.ts';
import type { ResultLine, WindowQuery } from '../port.ts';
import { ANSWER_CHARACTERS_MAX, type ResultChunk } from '../task.ts';

export const RETAINED_ROWS = 10_000;
const BYTES_PER_ROW = 1024;
const BYTES_MIN = 64 * 1024 * 1024;

interface Kept {
  readonly output: ResultChunk['output'];
  readonly start: number;
  readonly end: number;
  readonly count: number;
  readonly lines: Uint8Array;
}

type Range = Pick<WindowQuery, 'fromMs' | 'toMs'>;

export class Retained {
  #rowsMax: number;
  /** Windows end before their end; other results may be of one instant, and are in a range that begins with it. */
  readonly #hasInstants: boolean;
  #chunks: Kept[] = [];
  #rows = 0;
  #bytes = 0;
  /** Bounds of what has gone; empty at first. */
  #gone = { start: Number.POSITIVE_INFINITY, end: Number.NEGATIVE_INFINITY };

  constructor(operator: OperatorPlan) {
    this.#rowsMax = rowsMaxOf(operator);
    this.#hasInstants = operator.kind !== 'window';
  }

  /** The operator goes on under another plan, which may keep more or fewer. */
  use(operator: OperatorPlan): this {
    this.#rowsMax = rowsMaxOf(operator);
    this.#keepToLimit();
    return this;
  }

  add({ output, start, end, count, lines }: Kept): void {
    this.#chunks.push({ output, start, end, count, lines });
    lineMemory.hold(lines);
    this.#rows += count;
    this.#bytes += lines.byteLength;
    this.#keepToLimit();
  }

  #keepToLimit(): void {
    const bytesMax = Math.max(BYTES_MIN, this.#rowsMax * BYTES_PER_ROW);
    while ((this.#rows > this.#rowsMax || this.#bytes > bytesMax) && this.#chunks.length > 1) {
      const oldest = this.#chunks.shift() as Kept;
      this.#rows -= oldest.count;
      this.#bytes -= oldest.lines.byteLength;
      lineMemory.release(oldest.lines);
      const { end: goneEnd, start: goneStart } = this.#gone;
      this.#gone = { start: Math.min(goneStart, oldest.start), end: Math.max(goneEnd, oldest.end) };
    }
  }

  /**
   * Rows that match, newest first, unless they are to be ordered; at most one more than asked for, so that the caller sees
   * there are more. `isAll`: none that would be among them has gone. `isCut`: lines that no room was left for are missing;
   * those that are to be ordered are all there.
   */
  find(query: Pick<WindowQuery, 'key' | 'fromMs' | 'toMs' | 'limit' | 'by'>): {
    readonly rows: ResultLine[];
    readonly isAll: boolean;
    readonly characters: number;
    readonly isCut: boolean;
  } {
    const found: ResultLine[] = [];
    let characters = 0;
    let isCut = false;
    const wanted = query.by === '' ? query.limit + 1 : Number.POSITIVE_INFINITY;
    for (let i = this.#chunks.length - 1; i >= 0 && found.length < wanted && !isCut; i--) {
      const chunk = this.#chunks[i] as Kept;
      if (!this.#mayOverlap(chunk, query)) continue;
      const rows = linesOf(chunk.lines);
      for (let n = rows.length - 1; n >= 0 && found.length < wanted && !isCut; n--) {
        const text = rows[n] as string;
        const line = JSON.parse(text) as ResultLine;
        if (!matches(line, query)) continue;
        isCut = query.by === '' && characters + text.length > ANSWER_CHARACTERS_MAX;
        if (isCut) continue;
        characters += text.length;
        found.push(line);
      }
    }
    const mayLack = this.#gone.start <= this.#gone.end && this.#mayOverlap(this.#gone, query);
    return { rows: found, isAll: !mayLack || found.length >= wanted, characters, isCut };
  }

  /** Of results between `start` and `end` one may be in the range. */
  #mayOverlap({ end, start }: { start: number; end: number }, { fromMs, toMs }: Range): boolean {
    return start < toMs && (end > fromMs || start >= fromMs || (this.#hasInstants && end === fromMs));
  }

  /** For the checkpoint. */
  toBytes(): Uint8Array {
    const heads = this.#chunks.map(({ output, start, end, count, lines }) => ({
      output,
      start: finiteOrText(start),
      end: finiteOrText(end),
      count,
      bytes: lines.byteLength,
    }));
    const gone = [finiteOrText(this.#gone.start), finiteOrText(this.#gone.end)];
    return Buffer.concat([
      Buffer.from(`${JSON.stringify({ gone, heads })}\n`),
      ...this.#chunks.map(({ lines }) => lines),
    ]);
  }

  restore(bytes: Uint8Array): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const head = buffer.indexOf(10);
    let at = head + 1;
    const { gone, heads } = JSON.parse(buffer.toString('utf8', 0, head)) as {
      gone: [number | string, number | string];
      heads: (Omit<Kept, 'lines' | 'start' | 'end'> & {
        start: number | string;
        end: number | string;
        bytes: number;
      })[];
    };
    this.#gone = { start: Number(gone[0]), end: Number(gone[1]) };
    for (const { bytes: length, start, end, ...rest } of heads) {
      this.add({ ...rest, start: Number(start), end: Number(end), lines: buffer.subarray(at, at + length) });
      at += length;
    }
  }
}

const rowsMaxOf = (operator: OperatorPlan): number =>
  operator.kind === 'window' ? operator.retainRows : RETAINED_ROWS;

const finiteOrText = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

function matches(line: ResultLine, { key, fromMs, toMs }: Pick<WindowQuery, 'key' | 'fromMs' | 'toMs'>): boolean {
  const start = line.start ?? Number.NEGATIVE_INFINITY;
  const end = line.end ?? Number.POSITIVE_INFINITY;
  // A result of one instant (start = end) is inside when the instant is.
  if (!(start < toMs && (end > fromMs || start >= fromMs))) return false;
  if (key === null) return true;
  for (const name of Object.keys(key)) if (line.key[name] !== key[name]) return false;
  return true;
}
