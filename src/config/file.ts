/**
 * The configuration file: found, read, and turned into a plain tree.
 *
 * Role: the only reader of `millrace.config.*`. Code files are imported and must export the configuration as
 * `default`; data files are parsed. Whatever goes wrong is a problem in one line, never an exception. Relative paths
 * in a file start at the file's folder, so that a project can be started from anywhere.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, extname, isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { OPTIONS } from './options.ts';
import { modulesFrom } from './reducer-modules.ts';

export const FILE_EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.json', '.yaml', '.yml'] as const;

/** Whether it can be read, by its name. */
export const isConfigFile = (path: string): boolean => (FILE_EXTENSIONS as readonly string[]).includes(extname(path));

/** Imports a module, TypeScript included. */
export type ImportModule = (url: string) => Promise<Record<string, unknown>>;

/** A file asked for, and what asked: `--config`, `MILLRACE_CONFIG`. */
export interface NamedFile {
  readonly path: string;
  readonly by: string;
}

/** Absolute path of the file to read, or null for none. */
export function findConfigFile(cwd: string, named: NamedFile | null, problems: string[]): string | null {
  if (named !== null) {
    const path = resolve(cwd, named.path);
    if (!isConfigFile(path)) {
      problems.push(`${named.by} ${named.path}: must be a file that ends in ${FILE_EXTENSIONS.join(', ')}`);
      return null;
    }
    if (existsSync(path)) return path;
    problems.push(`${named.by} ${named.path}: there is no such file`);
    return null;
  }
  const found = FILE_EXTENSIONS.map((extension) => join(cwd, `millrace.config${extension}`)).filter(existsSync);
  if (found.length > 1) {
    problems.push(
      `${found.map((path) => basename(path)).join(', ')}: only one configuration file is allowed in a folder`,
    );
  }
  return found[0] ?? null;
}

/** A file to read, and what is said of it. */
export interface ReadableFile {
  readonly path: string;
  /** What it is called in problems. */
  readonly label: string;
  /** Completes "must export … as default". */
  readonly holds: string;
  /** What to do where YAML is in several documents: "expected one, …". */
  readonly instead: string;
}

/** The tree a file holds; undefined when it could not be read (then a problem was added). */
export async function readConfigFile(
  { holds, instead, label, path }: ReadableFile,
  importModule: ImportModule,
  problems: string[],
): Promise<unknown> {
  try {
    const extension = extname(path);
    if (extension === '.json') return JSON.parse(readFileSync(path, 'utf8')) as unknown;
    if (extension === '.yaml' || extension === '.yml') {
      const trees = await yamlTrees(readFileSync(path, 'utf8'));
      if (trees.length <= 1) return trees[0] ?? {};
      problems.push(`${label}: holds ${trees.length} YAML documents, expected one${instead}`);
      return undefined;
    }
    const module = await importModule(pathToFileURL(path).href);
    if (module['default'] !== undefined) return module['default'];
    problems.push(`${label}: must export ${holds} as default`);
  } catch (error) {
    problems.push(...reasonsOf(error).map((reason) => `${label}: cannot be read: ${reason}`));
  }
  return undefined;
}

/** One, but of definitions that a module makes by `defineStream` as many as are wrong with them. */
function reasonsOf(error: unknown): readonly string[] {
  if (!(error instanceof Error)) return [String(error)];
  // Of a module: what was thrown while it was imported. The file is named already.
  const { cause = error } = error;
  if (!(cause instanceof Error)) return [String(cause)];
  if ('lines' in cause && Array.isArray(cause.lines)) return cause.lines.map(String);
  const first = (cause.message.split('\n', 1)[0] ?? '').replace(/:$/, '');
  return [cause === error || cause.name === 'Error' ? first : `${cause.name}: ${first}`];
}

/** Of each document that holds anything. Throws where one cannot be parsed. */
async function yamlTrees(text: string): Promise<unknown[]> {
  const yaml = await import('yaml');
  const documents = yaml.parseAllDocuments(text);
  if ('empty' in documents) return [];
  return documents
    .map((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      return document.toJS() as unknown;
    })
    .filter((tree) => tree !== null);
}

/** Path options, and modules that streams name, made absolute, from the folder they were written in. */
export function fromFolder(values: ReadonlyMap<string, unknown>, folder: string): Map<string, unknown> {
  const absolute = (value: unknown): unknown =>
    typeof value === 'string' && value !== '' && !isAbsolute(value) ? resolve(folder, value) : value;
  const result = new Map(values);
  for (const option of OPTIONS) {
    const value = result.get(option.name);
    if (option.facts.isPath !== true || value === undefined) continue;
    result.set(option.name, Array.isArray(value) ? value.map(absolute) : absolute(value));
  }
  const streams = values.get('streams');
  if (Array.isArray(streams)) result.set('streams', modulesFrom(streams, folder));
  return result;
}
