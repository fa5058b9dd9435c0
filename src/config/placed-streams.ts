/**
 * Stream definitions with the place each was read from, and what is wrong with them in the words of those places.
 *
 * Role: whoever compiles definitions numbers them through, `streams[2]`, whatever they were read from; people look for
 * `more.yaml: streams[0]`. Read by `serve` and by `check`, so that both name the same place.
 */
import { dirname, relative, resolve } from 'node:path';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { Settings } from './settings.ts';
import { readStreamFiles } from './stream-files.ts';

export interface PlacedStream {
  readonly definition: StreamDefinition;
  /** `millrace.config.ts: streams[0]` */
  readonly place: string;
  /** Where paths of its sources and sinks begin. */
  readonly folder: string;
}

/** Of the configuration, then of the files in their order. Rejects with `ConfigError`, naming each file that cannot be used. */
export async function placedStreams(
  {
    definitions,
    files,
    folder,
    listedAs,
  }: Pick<Settings['streaming'], 'definitions' | 'files' | 'folder' | 'listedAs'>,
  cwd: string,
): Promise<readonly PlacedStream[]> {
  const read = await readStreamFiles(files, cwd);
  return [
    ...placedIn(definitions, listedAs, resolve(cwd, folder)),
    ...read.flatMap(({ file, streams }) => placedIn(streams, `${relative(cwd, file)}: streams`, dirname(file))),
  ];
}

/** `list`: what the list of them is called. */
export const placedIn = (
  definitions: readonly StreamDefinition[],
  list: string,
  folder: string,
): readonly PlacedStream[] =>
  definitions.map((definition, index) => ({ definition, place: `${list}[${index}]`, folder }));

/** By name of the stream; the working directory for those that are not among them. */
export function foldersOf(placed: readonly PlacedStream[]): (stream: string) => string {
  const folders = new Map(placed.map(({ definition, folder }) => [definition.name, folder]));
  return (stream) => folders.get(stream) ?? '';
}

/** By name of the stream; the name itself for those that are not among them. */
export function placesOf(placed: readonly PlacedStream[]): (stream: string) => string {
  const places = new Map(placed.map(({ definition, place }) => [definition.name, place]));
  return (stream) => places.get(stream) ?? stream;
}

/** A problem as the compiler tells it; other definitions may be named in what was expected. */
export function toldInPlace<P extends { readonly path: string; readonly expected: string }>(
  problem: P,
  placed: readonly PlacedStream[],
): P {
  const told = (text: string): string =>
    text.replace(/\bstreams\[(\d+)\]/g, (all, index: string) => placed[Number(index)]?.place ?? all);
  return { ...problem, path: told(problem.path), expected: told(problem.expected) };
}
