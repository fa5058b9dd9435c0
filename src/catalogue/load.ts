/**
 * Finds definitions in modules: every tool file of a folder, or modules named one by one.
 *
 * Role: from `--tools DIR` to sourced definitions. A file is `.js`, `.mjs`, `.ts` or `.mts`, not `.d.ts`, not
 * `*.test.*`, not hidden, directly in the folder; every export that is a definition, or an array of them, counts.
 * Invariants: one bad file does not hide the others. It becomes a problem that names the file and the cause; if an
 * earlier version of it was good, that version stays. A file that has not changed keeps its definitions, the very
 * objects, so that its entries stay as they are.
 * A file that changed is imported again under `?v=N`; what it imports itself is not (see `import-module.ts`). A file
 * that this process had imported before, under its plain URL, is taken as it was then.
 */
import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { isDefinition } from './check-definition.ts';
import type { Definition } from './define.ts';
import { DefinitionError } from './definition-error.ts';
import { compileDefinition, type SourcedDefinition } from './entries.ts';
import { importModule } from './import-module.ts';

/** Tool files in one folder. */
export const FOLDER_FILES_MAX = 2000;

/** Where the built-in tools are. */
export const BUILTIN_TOOLS_DIR = fileURLToPath(new URL('../builtin-tools/', import.meta.url));

export interface FolderProblem {
  readonly file: string;
  readonly message: string;
  /** Whether an earlier version of the file goes on serving. */
  readonly earlierServes: boolean;
}

export interface FolderContents {
  readonly definitions: readonly SourcedDefinition[];
  readonly problems: readonly FolderProblem[];
  /** Files without a definition: shared code, or a forgotten export. */
  readonly filesWithout: readonly string[];
  /** False when nothing differs from the load before. */
  readonly changed: boolean;
}

interface LoadedFile {
  readonly signature: string;
  readonly version: number;
  readonly definitions: readonly SourcedDefinition[];
  readonly problem: FolderProblem | null;
}

/** The definitions of one module. Rejects with an error that names the file. */
export async function loadModule(url: string): Promise<SourcedDefinition[]> {
  const namespace = await importModule(url);
  const sources: SourcedDefinition[] = [];
  const seen = new Set<Definition>();
  for (const [exportName, exported] of Object.entries(namespace)) {
    const listed: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
    if (!listed.some(isDefinition)) continue;
    for (const definition of listed) {
      if (!isDefinition(definition)) {
        throw new DefinitionError(`export ${exportName} of ${url} mixes definitions with other values`);
      }
      // The same object under two names (a default export, say) is one definition.
      if (seen.has(definition)) continue;
      seen.add(definition);
      sources.push({ definition, module: { url, exportName, form: 'definition' } });
    }
  }
  for (const source of sources) compileDefinition(source);
  return sources;
}

/** A folder of tool files, loaded as often as wanted. */
export class ToolFolder {
  readonly dir: string;
  #files = new Map<string, LoadedFile>();

  constructor(dir: string) {
    this.dir = resolve(dir);
  }

  /** Rejects when the folder cannot be read; a bad file is a problem in the contents. */
  async load(): Promise<FolderContents> {
    const before = this.#files;
    const files = new Map<string, LoadedFile>();
    let changed = false;
    for (const file of await this.#toolFiles()) {
      const earlier = before.get(file);
      const loaded = await loadFile(file, earlier);
      if (loaded === null) continue;
      changed ||= loaded !== earlier;
      files.set(file, loaded);
    }
    for (const file of before.keys()) changed ||= !files.has(file);
    this.#files = files;
    return contentsOf(files, changed);
  }

  async #toolFiles(): Promise<string[]> {
    const names = (await readdir(this.dir)).filter(isToolFile).sort();
    if (names.length > FOLDER_FILES_MAX) {
      throw new Error(`${this.dir} holds ${names.length} tool files; at most ${FOLDER_FILES_MAX}`);
    }
    return names.map((name) => join(this.dir, name));
  }
}

function isToolFile(name: string): boolean {
  return /\.m?[jt]s$/.test(name) && !/\.d\.m?ts$/.test(name) && !name.includes('.test.') && !name.startsWith('.');
}

function contentsOf(files: ReadonlyMap<string, LoadedFile>, changed: boolean): FolderContents {
  const definitions: SourcedDefinition[] = [];
  const problems: FolderProblem[] = [];
  const filesWithout: string[] = [];
  for (const [file, loaded] of files) {
    definitions.push(...loaded.definitions);
    if (loaded.problem !== null) problems.push(loaded.problem);
    else if (loaded.definitions.length === 0) filesWithout.push(file);
  }
  return { definitions, problems, filesWithout, changed };
}

/** Null when the file has gone meanwhile, or is a folder. The earlier object itself when it has not changed. */
async function loadFile(file: string, earlier: LoadedFile | undefined): Promise<LoadedFile | null> {
  const signature = await signatureOf(file);
  if (signature === null) return null;
  if (earlier?.signature === signature) return earlier;
  const version = earlier === undefined ? 0 : earlier.version + 1;
  const url = pathToFileURL(file).href + (version === 0 ? '' : `?v=${version}`);
  try {
    return { signature, version, definitions: await loadModule(url), problem: null };
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const definitions = earlier?.definitions ?? [];
    return { signature, version, definitions, problem: { file, message, earlierServes: definitions.length > 0 } };
  }
}

async function signatureOf(file: string): Promise<string | null> {
  try {
    const facts = await stat(file, { bigint: true });
    return facts.isFile() ? `${facts.mtimeNs}/${facts.ctimeNs}/${facts.size}/${facts.ino}` : null;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return null;
    throw cause;
  }
}
