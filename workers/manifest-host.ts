/**
 * The entries a worker can call: modules named by the manifest, imported on first use and kept.
 *
 * Role: a worker learns of a new catalogue with the first batch that needs it. Keys are never used twice, so entries
 * of an older catalogue stay callable for jobs accepted under it until the next manifest drops them.
 */

import { completionOf } from '../src/catalogue/completion.ts';
import type { CompleteCallback, Definition, PromptDefinition, ResourceDefinition } from '../src/catalogue/define.ts';
import type { Manifest, ManifestEntry } from '../src/catalogue/entry.ts';
import { fileOf, importModule } from '../src/catalogue/import-module.ts';
import { type LoadedEntry, loadEntry } from './load-entry.ts';
import type { EntryHost } from './port.ts';

export class ManifestHost implements EntryHost {
  #named = new Map<number, ManifestEntry>();
  readonly #loaded = new Map<number, LoadedEntry | Error>();
  readonly #loading = new Map<number, Promise<LoadedEntry | Error>>();
  readonly #mounted = new Map<string, Promise<Definition[]>>();
  #previous = new Map<number, ManifestEntry>();

  accept(manifest: Manifest): void {
    this.#previous = this.#named;
    this.#named = new Map(manifest.entries.map((entry) => [entry.key, entry]));
    for (const key of this.#loaded.keys()) {
      if (!this.#named.has(key) && !this.#previous.has(key)) this.#loaded.delete(key);
    }
  }

  find(key: number): LoadedEntry | Promise<LoadedEntry | Error> | Error {
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    let loading = this.#loading.get(key);
    if (loading === undefined) {
      loading = this.#load(key);
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #load(key: number): Promise<LoadedEntry | Error> {
    const entry = this.#named.get(key) ?? this.#previous.get(key);
    if (entry === undefined) return new Error('this tool was removed');
    let loaded: LoadedEntry | Error;
    try {
      loaded = loadEntry(entry, await this.#definition(entry));
    } catch (cause) {
      // The cause names files: for the log only.
      loaded = new Error(`${entry.kind} ${entry.name} could not be loaded`, { cause });
    }
    this.#loaded.set(key, loaded);
    this.#loading.delete(key);
    return loaded;
  }

  async #definition(entry: ManifestEntry): Promise<Definition | CompleteCallback> {
    const definitions = await this.#definitionsOf(entry);
    if (entry.kind === 'completion') return completerOf(definitions, entry.name);
    const found = definitions.find((candidate) => isEntry(candidate, entry));
    if (found === undefined) throw new Error(`its module no longer has it (export ${entry.module.exportName})`);
    return found;
  }

  async #definitionsOf(entry: ManifestEntry): Promise<Definition[]> {
    const exported = (await importModule(entry.module.url))[entry.module.exportName];
    if (entry.module.form === 'definition') return (Array.isArray(exported) ? exported : [exported]) as Definition[];
    return this.#mount(`${entry.module.url}#${entry.module.exportName}`, exported);
  }

  /** The SDK is only loaded by workers that serve a mounted server. */
  async #mount(key: string, factory: unknown): Promise<Definition[]> {
    const known = this.#mounted.get(key);
    if (known !== undefined) return known;
    const { mountMcpServer } = await import('../src/mount/mount-mcp-server.ts');
    const mounting: Promise<Definition[]> = mountMcpServer(factory as Parameters<typeof mountMcpServer>[0]);
    this.#mounted.set(key, mounting);
    return mounting;
  }

  /**
   * Who left a stray error behind: of the entries whose module stands in the stack trace the one that ran last, or -1.
   * Exact where a module holds one tool.
   */
  keyInStack(stack: string): number {
    let latest: LoadedEntry | null = null;
    for (const loaded of this.#loaded.values()) {
      if (loaded instanceof Error) continue;
      const url = this.#named.get(loaded.key)?.module.url;
      if (url === undefined || !stack.includes(fileOf(url))) continue;
      if (latest === null || loaded.lastRan > latest.lastRan) latest = loaded;
    }
    return latest === null ? -1 : latest.key;
  }
}

function isEntry(definition: Definition, entry: ManifestEntry): boolean {
  if (definition.kind === 'tool' || definition.kind === 'prompt')
    return definition.kind === entry.kind && definition.name === entry.name;
  return entry.kind === 'template' ? definition.template === entry.name : definition.uri === entry.name;
}

/** Entry names of completions are `prompt:name` and `template:uri`. */
function completerOf(definitions: readonly Definition[], name: string): CompleteCallback {
  const at = name.indexOf(':');
  const owner = name.slice(at + 1);
  const found = definitions.find((definition) =>
    definition.kind === 'prompt'
      ? definition.name === owner
      : definition.kind === 'resource' && definition.template === owner,
  ) as PromptDefinition | ResourceDefinition | undefined;
  const callback = found === undefined ? undefined : completionOf(found);
  if (callback === undefined) throw new Error('its module no longer has it');
  return callback;
}
