/**
 * One result as a line of JSON: what sinks, derived streams, `window_query` and resources show.
 *
 * Members, in this order:
 *
 *   id                   identity for idempotent sinks, see below
 *   stream, name, key
 *   start, end           ms; null when unbounded
 *   pane, timing, final
 *   retraction           only when true
 *   output               only when not the main one
 *   failed               only when values are null because a reducer threw: what it threw
 *   values
 *   context              only when there is evidence
 *
 * `id` is `{stream}/{operator}/{key}/{start}/{end}/{pane}`. Windows that may have the same bounds for one key, which
 * those by count do, have the id of their first event before the pane. Where a key can have many results of one time,
 * event ids stand in place of the pane: of patterns the newest and a digest; alerts on such results have the same.
 * Results that are one event each have their own writer, `event-lines.ts`.
 */
import { LineBuffer } from '../../lines/line-buffer.ts';
import { type LinePiece, pieceOf } from '../../lines/line-piece.ts';
import type { Evidence, Keys, ResultRow, ValueWriter } from '../../operator.ts';

const decoder = new TextDecoder();

const SLASH = 47;
const CLOSE = 125;
const COMMA = 44;
const START = pieceOf(',"start":');
const END = pieceOf(',"end":');
const PANE = pieceOf(',"pane":');
const TIMING = pieceOf(',"timing":"');
const FINAL = pieceOf('","final":true');
const NOT_FINAL = pieceOf('","final":false');
const RETRACTION = pieceOf(',"retraction":true');
const VALUES = pieceOf(',"values":{');
/** What most results have in front of that. */
const PLAIN = pieceOf(',"pane":0,"timing":"on-time","final":true');
const CONTEXT = pieceOf('},"context":{"events":[');
const TRACES = pieceOf('],"traces":[');
const NO_TEXTS = pieceOf('],"traces":[],"correlationIds":[]}}');
const CORRELATION_IDS = pieceOf('],"correlationIds":[');
const CONTEXT_END = pieceOf(']}}');
const NO_KEY = '{}';
const PART_BYTES = 240;
const NUMBER_BYTES = 32;

/** Parts of an operator's lines that are always the same. */
export interface LineParts {
  /** Up to the key in the id. */
  readonly idPrefix: LinePiece;
  /** From the end of the id to the key. */
  readonly head: LinePiece;
  /** In front of each value. */
  readonly members: readonly LinePiece[];
}

export function linePartsOf(stream: string, operator: string, columns: readonly string[]): LineParts {
  return {
    idPrefix: pieceOf(`{"id":${JSON.stringify(`${stream}/${operator}/`).slice(0, -1)}`),
    head: pieceOf(`","stream":${JSON.stringify(stream)},"name":${JSON.stringify(operator)},"key":`),
    members: columns.map((column, i) => pieceOf(`${i === 0 ? '' : ','}${JSON.stringify(column)}:`)),
  };
}

/** A key's JSON text, or as the content of a JSON string. */
export function writeKey(keyId: number, keys: Keys, quoted: boolean, out: LineBuffer): void {
  if (keyId >= 0 && keys.write !== undefined) keys.write(keyId, quoted, out);
  else {
    const json = keyId < 0 ? NO_KEY : keys.json(keyId);
    if (quoted) out.quoted(json);
    else out.text(json);
  }
}

/** A number that is written again and again: copying digits costs less than making them. */
class RepeatedNumber {
  readonly #digits = new LineBuffer(NUMBER_BYTES);
  #value = Number.NaN;

  write(value: number, out: LineBuffer): void {
    if (value !== this.#value) {
      this.#digits.at = 0;
      this.#digits.number(value);
      this.#value = value;
    }
    out.append(this.#digits);
  }
}

/** Writes lines of an operator; what all results of one firing have in common is made once. */
export class LineWriter {
  readonly #parts: LineParts;
  readonly #byEvents: boolean;
  /** What the parts in common were made of, and the parts: from the id's key to the key, and from there to the values. */
  readonly #common = {
    start: Number.NaN,
    end: 0,
    origin: '',
    pane: 0,
    timing: '',
    final: false,
    retraction: false,
    output: '',
  };
  readonly #start = new RepeatedNumber();
  readonly #end = new RepeatedNumber();
  readonly #afterId = new LineBuffer(PART_BYTES);
  readonly #afterKey = new LineBuffer(PART_BYTES);

  /** `byEvents`: patterns, joins and views, of which the events are the identity. */
  constructor(stream: string, operator: string, columns: readonly string[], byEvents: boolean) {
    this.#byEvents = byEvents;
    this.#parts = linePartsOf(stream, operator, columns);
  }

  line(row: ResultRow, keys: Keys): string {
    const out = new LineBuffer();
    this.write(row, keys, out);
    return decoder.decode(out.bytes.subarray(0, out.at));
  }

  /** Without a line feed. `values`: what writes the row's values; null: they are in it. */
  write(row: ResultRow, keys: Keys, out: LineBuffer, values: ValueWriter | null = null): void {
    const { idPrefix, members } = this.#parts;
    out.piece(idPrefix);
    writeKey(row.keyId, keys, true, out);
    if (this.#byEvents) {
      this.#identity(row, row.evidence, out);
      writeKey(row.keyId, keys, false, out);
      this.#bounds(row, out);
    } else {
      if (!this.#isCommon(row)) this.#setCommon(row);
      out.append(this.#afterId);
      writeKey(row.keyId, keys, false, out);
      out.append(this.#afterKey);
    }
    if (row.failed !== null) out.text(`,"failed":${JSON.stringify(row.failed)}`);
    out.piece(VALUES);
    for (let i = 0; i < members.length; i++) {
      out.piece(members[i] as LinePiece);
      if (values === null) out.value(row.values[i]);
      else values.writeValue(i, out);
    }
    if (row.evidence !== null) writeContext(row.evidence, out);
    else {
      out.byte(CLOSE);
      out.byte(CLOSE);
    }
  }

  #isCommon({ end, final, origin, output, pane, retraction, start, timing }: ResultRow): boolean {
    const common = this.#common;
    return (
      start === common.start &&
      end === common.end &&
      origin === common.origin &&
      pane === common.pane &&
      timing === common.timing &&
      final === common.final &&
      retraction === common.retraction &&
      output === common.output
    );
  }

  #setCommon(row: ResultRow): void {
    this.#afterId.at = 0;
    this.#identity(row, null, this.#afterId);
    this.#afterKey.at = 0;
    this.#bounds(row, this.#afterKey);
    const common = this.#common;
    common.start = row.start;
    common.end = row.end;
    common.origin = row.origin;
    common.pane = row.pane;
    common.timing = row.timing;
    common.final = row.final;
    common.retraction = row.retraction;
    common.output = row.output;
  }

  /** What follows the key in the id, and the members up to the key. */
  #identity(
    { end, origin, output, pane, retraction, start }: ResultRow,
    evidence: Evidence | null,
    out: LineBuffer,
  ): void {
    out.byte(SLASH);
    this.#start.write(start, out);
    out.byte(SLASH);
    this.#end.write(end, out);
    out.byte(SLASH);
    const isWritten = evidence?.writeIdentity !== undefined;
    const events = evidence === null || isWritten ? '' : evidence.events.join('+');
    if (isWritten) evidence.writeIdentity?.(out);
    else if (events !== '') out.quoted(events);
    else {
      if (origin !== '') out.text(`${origin}/`);
      out.number(pane);
    }
    if (output !== '') out.text(`.${output}`);
    if (retraction) out.text('/retraction');
    out.piece(this.#parts.head);
  }

  /** From the key to the values. */
  #bounds({ end, final, output, pane, retraction, start, timing }: ResultRow, out: LineBuffer): void {
    out.piece(START);
    this.#start.write(start, out);
    out.piece(END);
    this.#end.write(end, out);
    if (pane === 0 && timing === 'on-time' && final && !retraction && output === '') {
      out.piece(PLAIN);
      return;
    }
    out.piece(PANE);
    out.number(pane);
    out.piece(TIMING);
    out.text(timing);
    out.piece(final ? FINAL : NOT_FINAL);
    if (retraction) out.piece(RETRACTION);
    if (output !== '') out.text(`,"output":"${output}"`);
  }
}

/** From the end of the values to the end of the line. */
function writeContext(evidence: Evidence, out: LineBuffer): void {
  out.piece(CONTEXT);
  if (evidence.writeEvents === undefined) writeTexts(evidence.events, out);
  else evidence.writeEvents(out);
  if (evidence.hasTexts === false) out.piece(NO_TEXTS);
  else writeContextTexts(evidence, out);
}

/** From the end of the events to the end of the line. */
export function writeContextTexts({ correlationIds, traces }: Evidence, out: LineBuffer): void {
  if (traces.length === 0 && correlationIds.length === 0) {
    out.piece(NO_TEXTS);
    return;
  }
  out.piece(TRACES);
  writeTexts(traces, out);
  out.piece(CORRELATION_IDS);
  writeTexts(correlationIds, out);
  out.piece(CONTEXT_END);
}

function writeTexts(texts: readonly string[], out: LineBuffer): void {
  for (let i = 0; i < texts.length; i++) {
    if (i > 0) out.byte(COMMA);
    out.json(texts[i] as string);
  }
}
