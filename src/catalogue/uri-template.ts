/**
 * Matches URIs against one URI template, in time linear in the URI.
 *
 * Role: finds the template of a `resources/read` and, in the worker, the variables of it. No regular expression and no
 * backtracking: one pass from the end marks where the rest of the template can still match, one pass from the start
 * picks values, the first variable as long as it can be.
 *
 *   rows:   canFinish[step][position], one byte each, steps + 1 rows over URI length + 1 positions
 *   cost:   (steps + literal matching by Knuth–Morris–Pratt) × URI length, both bounded
 *
 * Values are percent-decoded; a value that is not valid percent-encoded UTF-8 matches nothing. Characters a client
 * should have encoded are taken as they stand, except the delimiters named in `VALUE_CLASS`. Variables that are absent
 * from the URI are absent from the result. Decoded values are untrusted: `..` and `/` may be in them.
 */
import { readTemplate, type Step, type TemplateSyntax, VALUE_CLASS } from './uri-template-syntax.ts';

/** A longer URI matches nothing. */
export const URI_CHARS_MAX = 8192;

export class UriTemplate {
  readonly variables: readonly string[];
  readonly literalChars: number;
  readonly #syntax: TemplateSyntax;

  constructor(template: string) {
    this.#syntax = readTemplate(template);
    this.variables = this.#syntax.variables;
    this.literalChars = this.#syntax.literalChars;
  }

  /** The variables of a URI, decoded, on an object without prototype; null when the URI is not of this template. */
  match(uri: string): Record<string, string> | null {
    if (uri.length > URI_CHARS_MAX) return null;
    return matchUnbounded(this.#syntax, uri);
  }
}

/** Throws `DefinitionError` for a template that cannot be served. */
export function parseUriTemplate(template: string): UriTemplate {
  return new UriTemplate(template);
}

/** Without the limit on the URI's length; exported for the proof that time is linear. */
export function matchUnbounded(syntax: TemplateSyntax, uri: string): Record<string, string> | null {
  const { steps } = syntax;
  const first = steps[0];
  // Most URIs are some other template's: the cheap refusal comes first.
  if (first !== undefined && first.skipTo < 0 && !uri.startsWith(first.prefix)) return null;
  const fragmentAt = syntax.queryFragment === '' ? -1 : uri.indexOf('#');
  const end = fragmentAt < 0 ? uri.length : fragmentAt;
  // With its query first: a `{+path}` before it would otherwise take the query for its own.
  const queryRow = queryStartRow(syntax, uri, end);
  let rows = queryRow === null ? null : finishRows(steps, queryRow, uri, end);
  if (rows === null || rows[0]?.[0] !== 1) {
    const endRow = new Uint8Array(end + 1);
    endRow[end] = 1;
    rows = finishRows(steps, endRow, uri, end);
    if (rows[0]?.[0] !== 1) return null;
  }
  const variables: Record<string, string> = Object.create(null);
  const pathEnd = takeSteps(steps, rows, uri, end, variables);
  if (pathEnd < 0) return null;
  if (pathEnd < end && !takeQuery(uri.slice(pathEnd + 1, end), variables)) return null;
  if (fragmentAt >= 0 && !take(variables, syntax.queryFragment, uri.slice(fragmentAt + 1))) return null;
  return variables;
}

/** `rows[s][p]` is 1 when steps `s…` can match the URI from `p` to a position that `last` marks. */
function finishRows(steps: readonly Step[], last: Uint8Array, uri: string, end: number): Uint8Array[] {
  const rows: Uint8Array[] = new Array(steps.length + 1);
  rows[steps.length] = last;
  for (let s = steps.length - 1; s >= 0; s -= 1) {
    const step = steps[s] as Step;
    const row = step.skipTo < 0 ? new Uint8Array(end + 1) : (rows[step.skipTo] as Uint8Array).slice();
    markStep(step, rows[s + 1] as Uint8Array, row, uri, end);
    rows[s] = row;
  }
  return rows;
}

function markStep(step: Step, after: Uint8Array, row: Uint8Array, uri: string, end: number): void {
  const valueRow = step.cls === 0 ? after : valueStartRow(step, after, uri, end);
  const length = step.prefix.length;
  if (length === 0) {
    for (let p = 0; p <= end; p += 1) if (valueRow[p] === 1) row[p] = 1;
    return;
  }
  eachOccurrence(step.prefix, uri, end, (p) => {
    const v = p + length;
    if (valueRow[v] === 1) row[p] = 1;
  });
}

/** Where a value (with its `=`, if the step has one) may start so that the rest can match. */
function valueStartRow(step: Step, after: Uint8Array, uri: string, end: number): Uint8Array {
  const starts = new Uint8Array(end + 1);
  // 1 while some end of the value to the right can be reached through characters of its class.
  let reachable = 0;
  for (let p = end; p >= 0; p -= 1) {
    const extends_ = p < end && inClass(uri.charCodeAt(p), step.cls) ? reachable : 0;
    starts[p] = extends_ === 1 || (step.mayBeEmpty && after[p] === 1) ? 1 : 0;
    reachable = extends_ === 1 || after[p] === 1 ? 1 : 0;
  }
  if (!step.equals) return starts;
  const withEquals = after.slice();
  for (let p = 0; p < end; p += 1) if (uri.charCodeAt(p) === EQUALS && starts[p + 1] === 1) withEquals[p] = 1;
  return withEquals;
}

/** Walks forward over the rows, the value of each step as long as the rest allows. -1: a value does not decode. */
function takeSteps(
  steps: readonly Step[],
  rows: readonly Uint8Array[],
  uri: string,
  end: number,
  variables: Record<string, string>,
): number {
  let p = 0;
  let s = 0;
  while (s < steps.length) {
    const step = steps[s] as Step;
    const after = rows[s + 1] as Uint8Array;
    const stop = uri.startsWith(step.prefix, p) ? valueEnd(step, after, uri, p + step.prefix.length, end) : -1;
    if (stop < 0) {
      s = step.skipTo;
      continue;
    }
    if (step.cls !== 0) {
      let from = p + step.prefix.length;
      if (step.equals && from < stop) from += 1;
      if (!take(variables, step.name, uri.slice(from, stop))) return -1;
    }
    p = stop;
    s += 1;
  }
  return p;
}

/** The furthest end of a step whose prefix ends at `from`; -1 when it cannot be there. */
function valueEnd(step: Step, after: Uint8Array, uri: string, from: number, end: number): number {
  if (from > end) return -1;
  if (step.cls === 0) return after[from] === 1 ? from : -1;
  let stop = step.mayBeEmpty && after[from] === 1 ? from : -1;
  let p = from;
  if (step.equals) {
    if (uri.charCodeAt(p) !== EQUALS || p >= end) return stop;
    p += 1;
    if (after[p] === 1) stop = p;
  }
  while (p < end && inClass(uri.charCodeAt(p), step.cls)) {
    p += 1;
    if (after[p] === 1) stop = p;
  }
  return stop;
}

const EQUALS = 0x3d;
const AMPERSAND = 0x26;
const QUESTION = 0x3f;

function inClass(code: number, cls: number): boolean {
  if (cls === VALUE_CLASS.any) return true;
  switch (code) {
    case QUESTION:
    case 0x23: // #
      return false;
    case 0x2f: // /
      return cls === VALUE_CLASS.segments;
    case 0x2c: // ,
      return cls !== VALUE_CLASS.listed && cls !== VALUE_CLASS.parameter;
    case 0x2e: // .
      return cls !== VALUE_CLASS.label;
    case 0x3b: // ;
      return cls !== VALUE_CLASS.parameter;
    default:
      return true;
  }
}

/**
 * Where a valid query may start: before every run of known, single parameters that reaches the end; null for nowhere.
 * Read from the right, one parameter after the other, so each character is looked at a bounded number of times.
 */
function queryStartRow(syntax: TemplateSyntax, uri: string, end: number): Uint8Array | null {
  if (syntax.query.length === 0) return null;
  let row: Uint8Array | null = null;
  const left = new Set(syntax.query);
  let equalsAt = end;
  for (let p = end - 1; p >= 0 && left.size > 0; p -= 1) {
    const code = uri.charCodeAt(p);
    if (code === EQUALS) equalsAt = p;
    if (code !== AMPERSAND && code !== QUESTION) continue;
    // Names are short: a long run before the `=` is not one, and must not be copied for every `?` in it.
    const nameChars = equalsAt - p - 1;
    const name = nameChars > 0 && nameChars <= NAME_CHARS_MAX ? uri.slice(p + 1, equalsAt) : '';
    const known = left.has(name);
    if (known && syntax.queryStarts.includes(uri.charAt(p))) {
      row ??= new Uint8Array(end + 1);
      row[p] = 1;
    }
    if (code === QUESTION) continue;
    if (!known) break;
    left.delete(name);
    equalsAt = p;
  }
  return row;
}

const NAME_CHARS_MAX = 128;

function takeQuery(query: string, variables: Record<string, string>): boolean {
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const name = equals < 0 ? pair : pair.slice(0, equals);
    if (!take(variables, name, equals < 0 ? '' : pair.slice(equals + 1))) return false;
  }
  return true;
}

function take(variables: Record<string, string>, name: string, raw: string): boolean {
  try {
    variables[name] = raw.includes('%') ? decodeURIComponent(raw) : raw;
    return true;
  } catch {
    // Malformed percent-encoding is the client's: the URI is of no template.
    return false;
  }
}

/** Calls `found` with each start of `text` in `uri` before `end`; linear in both (Knuth, Morris and Pratt). */
function eachOccurrence(text: string, uri: string, end: number, found: (start: number) => void): void {
  const fallback = fallbackTable(text);
  let matched = 0;
  for (let p = 0; p < end; p += 1) {
    const code = uri.charCodeAt(p);
    while (matched > 0 && text.charCodeAt(matched) !== code) matched = fallback[matched - 1] as number;
    if (text.charCodeAt(matched) === code) matched += 1;
    if (matched === text.length) {
      found(p - matched + 1);
      matched = fallback[matched - 1] as number;
    }
  }
}

function fallbackTable(text: string): Uint16Array {
  const table = new Uint16Array(text.length);
  let matched = 0;
  for (let p = 1; p < text.length; p += 1) {
    while (matched > 0 && text.charCodeAt(matched) !== text.charCodeAt(p)) matched = table[matched - 1] as number;
    if (text.charCodeAt(matched) === text.charCodeAt(p)) matched += 1;
    table[p] = matched;
  }
  return table;
}
