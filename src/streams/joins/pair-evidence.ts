// HOT PATH
/**
 * The evidence of one result of a join: its one or two events.
 *
 * Role: read from rows where they stand, and written as bytes without texts in between; `events` makes texts for those
 * that ask. Made to be read before the next result: it is used again.
 */
import { distinctTexts } from '../event-context.ts';
import type { Evidence } from '../operator.ts';
import { NO_ROW, type SideRows } from './side-rows.ts';

/** What evidence is written to. */
type Out = Parameters<NonNullable<Evidence['writeEvents']>>[0];

const NONE: readonly string[] = [];
const QUOTE = 34;
const PLUS = 43;
const COMMA = 44;
const COLON = 58;

export class PairEvidence implements Evidence {
  traces: readonly string[] = NONE;
  correlationIds: readonly string[] = NONE;
  readonly #leftRows: SideRows;
  readonly #rightRows: SideRows;
  #left = NO_ROW;
  #right = NO_ROW;

  constructor(leftRows: SideRows, rightRows: SideRows) {
    this.#leftRows = leftRows;
    this.#rightRows = rightRows;
  }

  /** `right` may be NO_ROW. */
  use(left: number, right: number): void {
    this.#left = left;
    this.#right = right;
    const hasContext = this.#leftRows.hasContext(left) || (right !== NO_ROW && this.#rightRows.hasContext(right));
    if (hasContext) this.#readContexts();
    else {
      this.traces = NONE;
      this.correlationIds = NONE;
    }
  }

  #readContexts(): void {
    const contexts = [this.#leftRows.context(this.#left)];
    if (this.#right !== NO_ROW) contexts.push(this.#rightRows.context(this.#right));
    this.traces = distinctTexts(contexts.map(({ traceparent }) => traceparent));
    this.correlationIds = distinctTexts(contexts.map(({ correlationId }) => correlationId));
  }

  get events(): readonly string[] {
    const left = idOf(this.#leftRows, this.#left);
    return this.#right === NO_ROW ? [left] : [left, idOf(this.#rightRows, this.#right)];
  }

  writeEvents(out: Out): void {
    out.byte(QUOTE);
    writeId(this.#leftRows, this.#left, out);
    out.byte(QUOTE);
    if (this.#right === NO_ROW) return;
    out.byte(COMMA);
    out.byte(QUOTE);
    writeId(this.#rightRows, this.#right, out);
    out.byte(QUOTE);
  }

  writeIdentity(out: Out): void {
    writeId(this.#leftRows, this.#left, out);
    if (this.#right === NO_ROW) return;
    out.byte(PLUS);
    writeId(this.#rightRows, this.#right, out);
  }
}

const idOf = (rows: SideRows, row: number): string => `${rows.seq(row)}:${rows.rowInBatch(row)}`;

function writeId(rows: SideRows, row: number, out: Out): void {
  const seq = rows.seq(row);
  if (Number.isSafeInteger(seq)) out.integer(seq);
  else writeAscii(`${seq}`, out);
  out.byte(COLON);
  out.integer(rows.rowInBatch(row));
}

/** Of derived events, whose records stand between two of the log. */
function writeAscii(text: string, out: Out): void {
  for (let i = 0; i < text.length; i++) out.byte(text.charCodeAt(i));
}
