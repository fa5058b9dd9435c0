/**
 * Imports one tool module by URL, TypeScript included, in the front-end thread and in workers alike.
 *
 * Role: the one place that knows how a `.ts` file becomes importable. Node from 22.18 on strips types itself; on
 * earlier releases tsx is registered, once per thread and only when the first TypeScript file is met (about 0.1 s).
 * There a `.ts` file must be an ES module by its package (`"type": "module"`) or be called `.mts`: as CommonJS its
 * exports could not be told, and it could not be reloaded.
 * A URL with a new `?v=` is a new module: that is how `--watch` reloads. A CommonJS file is known by its path alone, so
 * what is kept under that goes first. What the module itself imports is not loaded again, and the earlier version of an
 * ES module stays in memory, as none is ever unloaded.
 */
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atMost } from '../waiting.ts';

const TYPESCRIPT = /\.m?ts$/;
/** CommonJS modules of this thread, by path. */
const commonJs = createRequire(import.meta.url).cache;

let registered: Promise<void> | null = null;

async function prepareTypeScript(file: string): Promise<void> {
  if (!file.endsWith('.mts') && !(await isModulePackage(dirname(file)))) {
    throw new Error(
      'before Node 22.18 a .ts file needs "type": "module" in the nearest package.json, or the name extension .mts',
    );
  }
  await registerTypeScript();
}

/** Whether the nearest package.json says that its files are ES modules. */
async function isModulePackage(dir: string): Promise<boolean> {
  for (let at = dir; ; at = dirname(at)) {
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(absent);
    if (text !== null) return (JSON.parse(text) as { type?: unknown }).type === 'module';
    if (at === dirname(at)) return false;
  }
}

function absent(cause: NodeJS.ErrnoException): null {
  if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') return null;
  throw cause;
}

function registerTypeScript(): Promise<void> {
  registered ??= import('tsx/esm/api').then(({ register }) => {
    register();
  });
  return registered;
}

/** True where Node strips types by itself. The typings of Node 20 do not know the member. */
const stripsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

/** How long a module may take, whatever it awaits at its top level. Those of a start have come in a second. */
const LOAD_MS_MAX = 30_000;

/**
 * The namespace of a module. Rejects with an error that names the file; its `cause` is what the import threw.
 * A URL whose import failed fails again: Node remembers. Use another `?v=`.
 */
export async function importModule(url: string, loadMsMax = LOAD_MS_MAX): Promise<Record<string, unknown>> {
  try {
    const { pathname, search } = new URL(url);
    // Before the first attempt: a file that was once refused for its extension stays refused.
    if (!stripsTypes && TYPESCRIPT.test(pathname)) await prepareTypeScript(fileURLToPath(url));
    if (search !== '') delete commonJs[fileURLToPath(url)];
    let namespace: Record<string, unknown> | null = null;
    const loading = import(url).then((loaded: Record<string, unknown>) => {
      namespace = loaded;
    });
    await atMost(loading, loadMsMax);
    if (namespace === null) throw new Error(`not loaded after ${loadMsMax} ms: what does it await at its top level?`);
    return namespace;
  } catch (cause) {
    throw new Error(
      `cannot load ${fileOf(url)}: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : cause}`,
      {
        cause,
      },
    );
  }
}

/** The path of a module, for messages. */
export function fileOf(url: string): string {
  return url.startsWith('file:') ? fileURLToPath(url) : url;
}
