/**
 * One immutable state of the catalogue: look-ups by name and URI, encoded lists, and the manifest for workers.
 *
 * Role: what requests see. A request holds on to the snapshot it began with; a change makes another one beside it.
 * Invariants: built completely or not at all (a duplicate name throws before anything is swapped).
 * A URI is looked up exactly first, then among the templates, the one with most literal text first, so that
 * `notes://{id}/raw` wins over `notes://{+path}` whatever order their modules were loaded in.
 */
import type { Revision } from '../protocol/revisions.ts';
import type { Cursors } from './cursor.ts';
import { DefinitionError } from './definition-error.ts';
import { type CompiledDefinition, originOf } from './entries.ts';
import type {
  Catalogue,
  CatalogueHas,
  Entry,
  InitializeFacts,
  ListName,
  Manifest,
  ManifestEntry,
  ResultBytes,
} from './entry.ts';
import { ListPages } from './list-pages.ts';
import { type CapabilitySwitches, discoverJson, initializeFacts, type ServerInfo, stampJson } from './server-facts.ts';

/** Definitions in one catalogue. */
export const ENTRIES_MAX = 10_000;

export const LISTS: readonly ListName[] = ['tools', 'resources', 'templates', 'prompts'];

/** What a snapshot is built with, beside the definitions. */
export interface SnapshotSettings {
  readonly pageSize: number;
  readonly server: ServerInfo;
  readonly listTtlMs: number;
  readonly listCacheScope: 'public' | 'private';
  readonly capabilities: CapabilitySwitches;
}

const byName = (a: CompiledDefinition, b: CompiledDefinition): number =>
  a.entry.name < b.entry.name ? -1 : a.entry.name > b.entry.name ? 1 : 0;

const bySpecificity = (a: CompiledDefinition, b: CompiledDefinition): number =>
  (b.template?.literalChars ?? 0) - (a.template?.literalChars ?? 0) || byName(a, b);

export class Snapshot implements Catalogue {
  readonly epoch: number;
  readonly has: CatalogueHas;
  readonly manifest: Manifest;
  readonly entries: readonly Entry[];
  readonly compiled: readonly CompiledDefinition[];
  readonly #settings: SnapshotSettings;
  readonly #byKind: Readonly<Record<'tool' | 'resource' | 'prompt' | 'completion', Map<string, Entry>>>;
  readonly #templates: readonly CompiledDefinition[];
  readonly #pages: Readonly<Record<ListName, ListPages>>;
  #discover: Uint8Array | null = null;

  constructor(epoch: number, compiled: readonly CompiledDefinition[], settings: SnapshotSettings, cursors: Cursors) {
    refuseDuplicates(compiled);
    this.epoch = epoch;
    this.compiled = compiled;
    this.#settings = settings;
    this.entries = compiled.flatMap((c) => (c.completion === null ? [c.entry] : [c.entry, c.completion]));
    this.#byKind = {
      tool: this.#named('tool'),
      resource: this.#named('resource'),
      prompt: this.#named('prompt'),
      completion: this.#named('completion'),
    };
    this.#templates = compiled.filter((c) => c.template !== null).sort(bySpecificity);
    const stamp = stampJson(settings.server, settings.listTtlMs, settings.listCacheScope);
    const pages = (list: ListName, kind: Entry['kind']): ListPages =>
      new ListPages(
        list,
        compiled.filter((c) => c.entry.kind === kind).sort(byName),
        settings.pageSize,
        cursors,
        stamp,
      );
    this.#pages = {
      tools: pages('tools', 'tool'),
      resources: pages('resources', 'resource'),
      templates: pages('templates', 'template'),
      prompts: pages('prompts', 'prompt'),
    };
    this.has = {
      tools: settings.capabilities.tools || this.#byKind.tool.size > 0,
      resources: settings.capabilities.resources || this.#byKind.resource.size > 0 || this.#templates.length > 0,
      prompts: settings.capabilities.prompts || this.#byKind.prompt.size > 0,
      completions: this.#byKind.completion.size > 0,
    };
    this.manifest = { epoch, entries: this.entries.flatMap(manifestEntry) };
  }

  #named(kind: Entry['kind']): Map<string, Entry> {
    return new Map(this.entries.filter((entry) => entry.kind === kind).map((entry) => [entry.name, entry]));
  }

  tool(name: string): Entry | undefined {
    return this.#byKind.tool.get(name);
  }

  prompt(name: string): Entry | undefined {
    return this.#byKind.prompt.get(name);
  }

  resource(uri: string): Entry | undefined {
    const exact = this.#byKind.resource.get(uri);
    if (exact !== undefined) return exact;
    for (const { template, entry } of this.#templates) {
      if (template !== null && template.match(uri) !== null) return entry;
    }
    return undefined;
  }

  completion(ref: { type: string; name?: string; uri?: string }): Entry | undefined {
    const owner = ref.type === 'ref/prompt' ? ref.name : ref.type === 'ref/resource' ? ref.uri : undefined;
    if (owner === undefined) return undefined;
    return this.#byKind.completion.get(`${ref.type === 'ref/prompt' ? 'prompt' : 'template'}:${owner}`);
  }

  list(list: ListName, revision: Revision, cursor: string | undefined): ResultBytes | null {
    return this.#pages[list].page(revision, cursor);
  }

  discover(): ResultBytes {
    if (this.#discover === null) {
      const { server, capabilities, listTtlMs, listCacheScope } = this.#settings;
      const stamp = stampJson(server, listTtlMs, listCacheScope);
      this.#discover = Buffer.from(discoverJson(this.has, server, capabilities, stamp), 'utf8');
    }
    return this.#discover;
  }

  initializeResult(revision: Revision): InitializeFacts {
    return initializeFacts(this.has, this.#settings.server, this.#settings.capabilities, revision);
  }

  /** The lists that a client would find changed. */
  listsChangedSince(before: Snapshot): ListName[] {
    return LISTS.filter((list) => !this.#pages[list].sameAs(before.#pages[list]));
  }
}

function manifestEntry(entry: Entry): ManifestEntry[] {
  const { key, kind, name, module, paramHeaders, task } = entry;
  return module === null || entry.run === 'inline' || entry.run === 'remote'
    ? []
    : [{ key, kind, name, module, paramHeaders, task }];
}

/** Throws `DefinitionError` for more definitions than a catalogue holds. */
export function refuseTooMany(count: number): void {
  if (count > ENTRIES_MAX) throw new DefinitionError(`${count} tools, resources and prompts; at most ${ENTRIES_MAX}`);
}

function refuseDuplicates(compiled: readonly CompiledDefinition[]): void {
  const seen = new Map<string, CompiledDefinition>();
  for (const one of compiled) {
    const id = `${one.entry.kind} ${one.entry.name}`;
    const twin = seen.get(id);
    if (twin !== undefined) {
      throw new DefinitionError(
        `${one.entry.kind} "${one.entry.name}" is defined twice: in ${originOf(twin.source)} and in ${originOf(one.source)}`,
      );
    }
    seen.set(id, one);
  }
}
