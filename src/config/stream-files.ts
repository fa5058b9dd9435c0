/**
 * Files of stream definitions: what `--streams` names.
 *
 * Role: the same formats as the configuration file; a file holds one definition, a list of them, or an object whose
 * `streams` is a list and that has nothing else. Modules in it are named from the file's folder, and so are paths of sources and sinks
 * (`placed-streams.ts`). What a definition says is checked when the streams are opened.
 */
import { dirname, relative } from 'node:path';
import { importModule } from '../catalogue/import-module.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import { readConfigFile } from './file.ts';
import { nearest } from './nearest.ts';
import { ConfigError } from './problem.ts';
import { modulesFrom } from './reducer-modules.ts';

export interface StreamFile {
  readonly file: string;
  readonly streams: readonly StreamDefinition[];
}

const EXPECTED = 'must hold a stream definition, a list of them, or {streams: [...]}';
/** Every definition has them: an object without any is none. */
const DEFINITION_MEMBERS = ['name', 'schema'];
const INSTEAD = ': put the definitions of all of them into one list';

/** Files are told as they are named from `cwd`. Rejects with `ConfigError`, naming each one that cannot be used. */
export async function readStreamFiles(files: readonly string[], cwd: string): Promise<readonly StreamFile[]> {
  const problems: string[] = [];
  const read: StreamFile[] = [];
  for (const file of files) {
    const label = relative(cwd, file);
    const readable = { path: file, label, holds: 'stream definitions', instead: INSTEAD };
    const tree = await readConfigFile(readable, importModule, problems);
    if (tree === undefined) continue;
    const listed = listedIn(tree, label, problems);
    if (listed !== null) read.push({ file, streams: modulesFrom(listed, dirname(file)) });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return read;
}

/** Null when it holds none (then problems were added). */
function listedIn(tree: unknown, label: string, problems: string[]): readonly StreamDefinition[] | null {
  if (Array.isArray(tree)) return tree as readonly StreamDefinition[];
  if (typeof tree !== 'object' || tree === null) {
    problems.push(`${label}: ${EXPECTED}`);
    return null;
  }
  if (!('streams' in tree) && DEFINITION_MEMBERS.some((member) => member in tree)) return [tree as StreamDefinition];
  problems.push(...problemsIn(tree).map((problem) => `${label}: ${problem}`));
  return 'streams' in tree && Array.isArray(tree.streams) ? (tree.streams as readonly StreamDefinition[]) : null;
}

/** Of an object that is no definition. */
function problemsIn(tree: object): readonly string[] {
  const others = Object.keys(tree).filter((member) => member !== 'streams');
  if ('streams' in tree) {
    const form = Array.isArray(tree.streams) ? [] : ['streams: must be a list of stream definitions'];
    return [...form, ...others.map((member) => `${member}: unknown member beside streams`)];
  }
  const meant = others.flatMap((member) => {
    const suggestion = nearest(member, ['streams', ...DEFINITION_MEMBERS]);
    return suggestion === null ? [] : [`${member}: unknown member, did you mean ${suggestion}?`];
  });
  return meant.length > 0 ? meant : [EXPECTED];
}
