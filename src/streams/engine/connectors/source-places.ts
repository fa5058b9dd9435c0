/**
 * Where a source goes on: the places of sources without a name of their own, whatever number they have in the list.
 *
 * Role: between positions, which the log keeps under a source's name and its partition, and a list that other sources
 * are added to and removed from. A kind that says what a declaration reads (`SourceKind.reads`) has a mark of that
 * behind its positions:
 *
 *     1767225600000-0 5f2b… @1a2b3c4d        position of the kind, then the mark
 *
 * Of several positions with one mark the furthest counts. Sources of one list that read the same can only be told apart
 * by number.
 */
import { crc32 } from 'node:zlib';
import type { SourceDefinition } from '../../define/definition.ts';
import { SOURCES_PER_STREAM_MAX } from '../../define/limits.ts';
import type { IncomingBatch, SourceKind } from '../../sources/port.ts';
import { type Connector, nameOf } from './connector-names.ts';

const MARK = / @[0-9a-f]{8}$/;

interface Placed extends Pick<IncomingBatch, 'partition' | 'position'> {
  readonly source: string;
}

/** Positions by partition, of a source by its name. */
export type PositionsOf = (name: string) => ReadonlyMap<string, string>;

/** Of an applied record. */
export function notePlace(positions: Map<string, string>, { partition, position, source }: Placed): void {
  const key = `${source}|${partition}`;
  const mark = markIn(position);
  // What a version without marks has left there is of this source, which has gone on from it.
  if (mark !== '') positions.delete(key);
  positions.set(`${key}${mark}`, position);
}

/** Behind every position of the source; `''` for one that has a name, or whose partition says what it reads. */
export function markOf(declaration: SourceDefinition, kind: SourceKind): string {
  if (typeof declaration['name'] === 'string' || kind.reads === undefined) return '';
  return ` @${crc32(kind.reads(declaration)).toString(16).padStart(8, '0')}`;
}

export const marked = (position: string, mark: string): string => (position === '' ? '' : `${position}${mark}`);

/** `n`: its number in the list of the stream's sources. */
export function placesOf(
  stream: string,
  sources: readonly SourceDefinition[],
  n: number,
  kind: SourceKind,
  positions: PositionsOf,
): ReadonlyMap<string, string> {
  const declaration = sources[n] as SourceDefinition;
  const own = nameOf(stream, declaration, n);
  const mark = markOf(declaration, kind);
  const isFound = mark !== '' || (kind.readsByPartition === true && typeof declaration['name'] !== 'string');
  if (!isFound) return furthest([positions(own)], '');
  const isOnlyOne = sources.filter((each) => each.type === kind.type && markOf(each, kind) === mark).length === 1;
  const names = isOnlyOne || mark === '' ? namesOf(stream, kind.type) : [own];
  const places = furthest(names.map(positions), mark);
  // Without a mark: of a version that had none.
  return places.size > 0 || mark === '' ? places : furthest([positions(own)], '');
}

const namesOf = (stream: string, type: string): readonly string[] =>
  Array.from({ length: SOURCES_PER_STREAM_MAX }, (_, n) => nameOf(stream, { type } satisfies Connector, n));

function furthest(all: readonly ReadonlyMap<string, string>[], mark: string): ReadonlyMap<string, string> {
  const places = new Map<string, string>();
  for (const [key, text] of all.flatMap((each) => [...each])) {
    if (markIn(text) !== mark) continue;
    const end = -mark.length || undefined;
    const [partition, position] = [key.slice(0, end), text.slice(0, end)];
    const known = places.get(partition);
    if (known === undefined || isFurther(position, known)) places.set(partition, position);
  }
  return places;
}

const markIn = (position: string): string => MARK.exec(position)?.[0] ?? '';

/** Positions begin with a number that grows; of a Redis stream with two. */
function isFurther(a: string, b: string): boolean {
  const [left, right] = [numbersIn(a), numbersIn(b)];
  return left[0] === right[0] ? left[1] > right[1] : left[0] > right[0];
}

function numbersIn(position: string): readonly [number, number] {
  const [, first = '0', second = '0'] = /^(\d+)(?:-(\d+))?/.exec(position) ?? [];
  return [Number(first), Number(second)];
}
