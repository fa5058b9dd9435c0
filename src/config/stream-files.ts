/**
 * Files of stream definitions: what `--streams` names.
 *
 * Role: the same formats as the configuration file; a file holds one definition, a list of them, or an object whose
 * `streams` is a list. Modules in it are named from the file's folder, and so are paths of sources and sinks
 * (`placed-streams.ts`). What a definition says is checked when the streams are opened.
 */
import { dirname } from 'node:path';
import { importModule } from '../catalogue/import-module.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import { readConfigFile } from './file.ts';
import { ConfigError } from './problem.ts';
import { modulesFrom } from './reducer-modules.ts';

export interface StreamFile {
  readonly file: string;
  readonly streams: readonly StreamDefinition[];
}

/** Rejects with `ConfigError`, naming each file that cannot be used. */
export async function readStreamFiles(files: readonly string[]): Promise<readonly StreamFile[]> {
  const problems: string[] = [];
  const read: StreamFile[] = [];
  for (const file of files) {
    const tree = await readConfigFile(file, importModule, problems);
    if (tree === undefined) continue;
    const listed = listedIn(tree);
    if (listed === null) problems.push(`${file}: must hold a stream definition, a list of them, or {streams: [...]}`);
    else read.push({ file, streams: modulesFrom(listed, dirname(file)) });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return read;
}

function listedIn(tree: unknown): readonly StreamDefinition[] | null {
  if (Array.isArray(tree)) return tree as readonly StreamDefinition[];
  if (typeof tree !== 'object' || tree === null) return null;
  if ('streams' in tree) return Array.isArray(tree.streams) ? (tree.streams as readonly StreamDefinition[]) : null;
  return 'name' in tree ? [tree as StreamDefinition] : null;
}
