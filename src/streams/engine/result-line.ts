/**
 * One result as a line of JSON: what sinks, derived streams, `window_query` and resources show.
 *
 * Members, in this order: `id` (the identity idempotent sinks use: `{stream}/{operator}/{key}/{start}/{end}/{pane}` of a
 * window, cumulating ones share their start; with the id of its first event before the pane where windows of a key may
 * have the same bounds, which is so of those by count; with the ids of the events in place of the pane where a key can
 * have many results of one time), `stream`, `name`, `key`, `start`, `end` (ms; null when unbounded), `pane`, `timing`, `final`,
 * `retraction` (only when true), `output` (only when not the main one), `values`, and `context` when there is evidence.
 */
import type { Evidence, Keys, ResultRow } from '../operator.ts';
import { LineBuffer } from './line-buffer.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytesOf = (text: string): Uint8Array => encoder.encode(text);

const SLASH = 47;
const CLOSE = 125;
const COMMA = 44;
const START = bytesOf(',"start":');
const END = bytesOf(',"end":');
const PANE = bytesOf(',"pane":');
const TIMING = bytesOf(',"timing":"');
const FINAL = bytesOf('","final":true');
const NOT_FINAL = bytesOf('","final":false');
const RETRACTION = bytesOf(',"retraction":true');
const VALUES = bytesOf(',"values":{');
const CONTEXT = bytesOf(',"context":{"events":[');
const TRACES = bytesOf('],"traces":[');
const CORRELATION_IDS = bytesOf('],"correlationIds":[');
const CONTEXT_END = bytesOf(']}');
const NO_KEY = '{}';

/** Constant parts of an operator's lines, made once, and those that all results of one firing have in common. */
export class LineWriter {
  readonly #idPrefix: Uint8Array;
  readonly #head: Uint8Array;
  readonly #members: readonly Uint8Array[];
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
  readonly #afterId = new LineBuffer();
  readonly #afterKey = new LineBuffer();

  /** `byEvents`: patterns, joins and views, of which the events are the identity. */
  constructor(stream: string, operator: string, columns: readonly string[], byEvents: boolean) {
    this.#byEvents = byEvents;
    this.#idPrefix = bytesOf(`{"id":${JSON.stringify(`${stream}/${operator}/`).slice(0, -1)}`);
    this.#head = bytesOf(`","stream":${JSON.stringify(stream)},"name":${JSON.stringify(operator)},"key":`);
    this.#members = columns.map((column, i) => bytesOf(`${i === 0 ? '' : ','}${JSON.stringify(column)}:`));
  }

  line(row: ResultRow, keys: Keys): string {
    const out = new LineBuffer();
    this.write(row, keys, out);
    return decoder.decode(out.bytes.subarray(0, out.at));
  }

  /** Without a line feed. */
  write(row: ResultRow, keys: Keys, out: LineBuffer): void {
    const key = row.keyId < 0 ? NO_KEY : keys.json(row.keyId);
    out.copy(this.#idPrefix);
    out.quoted(key);
    if (this.#byEvents) {
      this.#identity(row, row.evidence, out);
      out.text(key);
      this.#bounds(row, out);
    } else {
      if (!this.#isCommon(row)) this.#setCommon(row);
      out.append(this.#afterId);
      out.text(key);
      out.append(this.#afterKey);
    }
    const members = this.#members;
    for (let i = 0; i < members.length; i++) {
      const value = row.values[i];
      out.copy(members[i] as Uint8Array);
      if (typeof value === 'number') out.number(value);
      else if (typeof value === 'string') out.json(value);
      else out.text(JSON.stringify(value ?? null));
    }
    out.byte(CLOSE);
    if (row.evidence !== null) writeContext(row.evidence, out);
    out.byte(CLOSE);
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
    out.number(start);
    out.byte(SLASH);
    out.number(end);
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
    out.copy(this.#head);
  }

  /** From the key to the values. */
  #bounds({ end, final, output, pane, retraction, start, timing }: ResultRow, out: LineBuffer): void {
    out.copy(START);
    out.number(start);
    out.copy(END);
    out.number(end);
    out.copy(PANE);
    out.number(pane);
    out.copy(TIMING);
    out.text(timing);
    out.copy(final ? FINAL : NOT_FINAL);
    if (retraction) out.copy(RETRACTION);
    if (output !== '') out.text(`,"output":"${output}"`);
    out.copy(VALUES);
  }
}

function writeContext(evidence: Evidence, out: LineBuffer): void {
  out.copy(CONTEXT);
  if (evidence.writeEvents === undefined) writeTexts(evidence.events, out);
  else evidence.writeEvents(out);
  out.copy(TRACES);
  writeTexts(evidence.traces, out);
  out.copy(CORRELATION_IDS);
  writeTexts(evidence.correlationIds, out);
  out.copy(CONTEXT_END);
}

function writeTexts(texts: readonly string[], out: LineBuffer): void {
  for (let i = 0; i < texts.length; i++) {
    if (i > 0) out.byte(COMMA);
    out.json(texts[i] as string);
  }
}
