/**
 * A result as an event of another stream: bounds, pane and kind of the result, then the members of its key and its
 * values side by side.
 *
 * Role: what `derivations.ts` makes of each line. A line has all that as text, in that order but for the key, so most
 * events are cut out of their line: parsing and writing JSON would be most of what a derived event costs. Lines that
 * need more care are parsed: those with contexts, retractions, other outputs, or names of which the later of two must
 * win. The marks that are searched for cannot be inside of a text, where quotes are escaped; the context, behind values
 * that may be objects themselves, is searched for from the end.
 */
import { contextOfResult, NO_CONTEXT, type OwnContext } from '../../event-context.ts';
import { linesOf } from '../../lines/lines-of.ts';
import type { ResultLine } from '../port.ts';
import type { ResultChunk } from '../task.ts';
import type { DerivedEvents } from './derived-body.ts';

/** What a stream's events can say of a result. */
export interface Wants {
  readonly takesRetractions: boolean;
  readonly takesOutputs: boolean;
}

const KEY = ',"key":{';
const START = '},"start":';
const VALUES = ',"values":{';
const CONTEXT = '},"context":{"events":[';
const NO_TEXTS = '],"traces":[],"correlationIds":[]}}';
const RETRACTION = ',"retraction":';
const FAILED = ',"failed":';
const OWN_NAMES = ['start', 'end', 'pane', 'timing', 'final'] as const;

/** Adds the events that the results of a chunk are. Gives how many had no room, which is in bytes. */
export function collectInto(
  events: DerivedEvents,
  { lines, operator, output }: ResultChunk,
  wants: Wants,
  room: number,
): number {
  const texts = linesOf(lines);
  const isPlain = output === '' && !wants.takesRetractions && !wants.takesOutputs && namesDiffer(texts[0] ?? '');
  const made: string[] = [];
  const contexts: OwnContext[] = [];
  for (const text of texts) {
    let event = isPlain ? cutEvent(text) : '';
    let context = NO_CONTEXT;
    if (event === '') {
      const result = JSON.parse(text) as ResultLine;
      if (result.retraction === true && !(wants.takesRetractions && isOfResult('retraction', result))) continue;
      event = readEvent(result, wants);
      context = contextIn(result);
    }
    made.push(event);
    contexts.push(context);
  }
  events.begin(operator);
  return events.add(made, contexts, room);
}

const contextIn = ({ context }: ResultLine): OwnContext =>
  context === undefined ? NO_CONTEXT : contextOfResult(context);

/** A value or a member of the key of that name would stand in its place. */
const isOfResult = (name: string, { key, values }: ResultLine): boolean => !(name in key) && !(name in values);

/** Lines of an operator all have the same members: those of one line tell. */
function namesDiffer(text: string): boolean {
  if (text === '') return false;
  const { key, values } = JSON.parse(text) as ResultLine;
  const names = [...OWN_NAMES, ...Object.keys(key), ...Object.keys(values)];
  return new Set(names).size === names.length;
}

/** `''` where the line has to be read. */
export function cutEvent(line: string): string {
  if (!line.endsWith(NO_TEXTS)) return '';
  const key = line.indexOf(KEY);
  const start = line.indexOf(START, key);
  const values = line.indexOf(VALUES, start);
  const context = line.lastIndexOf(CONTEXT);
  if (key < 0 || start < 0 || values < 0 || context < values) return '';
  const facts = line.slice(start + 2, values);
  if (facts.includes(RETRACTION) || facts.includes(FAILED)) return '';
  const members = start > key + KEY.length ? `,${line.slice(key + KEY.length, start)}` : '';
  const told = context > values + VALUES.length ? `,${line.slice(values + VALUES.length, context)}` : '';
  return `{${facts}${members}${told}}`;
}

/** The same of a result that was read. */
export function readEvent(result: ResultLine, { takesOutputs, takesRetractions }: Wants): string {
  const { end, final, key, output = '', pane, retraction = false, start, timing, values } = result;
  const kinds = { ...(takesRetractions ? { retraction } : {}), ...(takesOutputs ? { output } : {}) };
  return JSON.stringify({ start, end, pane, timing, final, ...kinds, ...key, ...values });
}
