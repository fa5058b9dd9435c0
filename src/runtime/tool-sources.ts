/**
 * Where definitions come from: built-in tools, folders, modules, objects and mounted servers, together one catalogue.
 *
 * Role: keeps what each source gave last, so that a change of one (a watched folder, a server that says its list
 * changed) swaps the catalogue as a whole and leaves the others' entries as they are.
 */
import type { MutableCatalogue } from '../catalogue/compile.ts';
import type { Definition, ToolDefinition } from '../catalogue/define.ts';
import type { SourcedDefinition } from '../catalogue/entries.ts';
import { BUILTIN_TOOLS_DIR, type FolderContents, loadModule, ToolFolder } from '../catalogue/load.ts';
import { type FolderWatch, watchFolder } from '../catalogue/watch.ts';
import type { Log } from '../observe/port.ts';

export interface ToolSourcesOptions {
  readonly catalogue: MutableCatalogue;
  readonly builtinTools: boolean;
  readonly toolDirs: readonly string[];
  /** `file:` URLs of modules that export definitions. */
  readonly modules: readonly string[];
  /** They run on the front-end thread: an object cannot be sent to a worker. */
  readonly definitions: readonly Definition[];
  readonly watch: boolean;
  readonly log: Log;
  /** Whether this node runs a tool; other nodes are asked to run the rest. */
  readonly runs: (tool: ToolDefinition) => boolean;
  /** Called with the tools this node runs, whenever the catalogue was swapped. */
  readonly swapped: (own: readonly SourcedDefinition[]) => void;
}

const DEFINES_NOTHING =
  'nothing is defined here: what defineTool, defineResource and definePrompt return is to be exported';

export class ToolSources {
  readonly #options: ToolSourcesOptions;
  readonly #given = new Map<string, readonly SourcedDefinition[]>();
  readonly #watches: FolderWatch[] = [];
  /** Tools of other nodes. */
  #learnt: readonly SourcedDefinition[] = [];
  #own: readonly SourcedDefinition[] = [];
  /** By the source that this node does not run itself: the same one each time, so that its entry stays. */
  readonly #notHere = new WeakMap<SourcedDefinition, SourcedDefinition>();

  constructor(options: ToolSourcesOptions) {
    this.#options = options;
  }

  /** Throws when two sources define the same thing, or when a folder or module cannot be read. */
  async load(): Promise<void> {
    const { builtinTools, definitions, modules, toolDirs } = this.#options;
    if (builtinTools) await this.#loadFolder(BUILTIN_TOOLS_DIR, false);
    for (const dir of toolDirs) await this.#loadFolder(dir, this.#options.watch);
    for (const url of modules) {
      const found = await loadModule(url);
      if (found.length === 0) this.#options.log.warn({ module: url }, DEFINES_NOTHING);
      this.#given.set(url, found);
    }
    this.#given.set(
      'objects',
      definitions.map((definition) => ({ definition, module: null })),
    );
    this.#swap();
  }

  async #loadFolder(dir: string, watch: boolean): Promise<void> {
    const { log } = this.#options;
    const folder = new ToolFolder(dir);
    const contents = await folder.load();
    const [problem] = contents.problems;
    if (problem !== undefined && !watch) {
      const { file, message } = problem;
      throw new Error(message.includes(file) ? message : `${file}: ${message}`);
    }
    this.#take(dir, contents);
    if (!watch) return;
    const onChange = (changed: FolderContents): void => this.#reload(dir, changed);
    this.#watches.push(
      watchFolder(folder, onChange, (error) => log.error({ err: error, dir }, 'the tool folder cannot be watched')),
    );
  }

  #take(source: string, contents: FolderContents): void {
    const { log } = this.#options;
    for (const { file, message, earlierServes } of contents.problems) {
      log.error({ file, cause: message, earlierServes }, 'a tool file could not be loaded');
    }
    const { definitions, filesWithout, problems } = contents;
    for (const file of filesWithout) log.debug({ file }, 'no definition in this file');
    if (definitions.length === 0 && problems.length === 0) {
      log.warn({ dir: source, files: filesWithout.length }, DEFINES_NOTHING);
    }
    this.#given.set(source, contents.definitions);
  }

  #reload(dir: string, contents: FolderContents): void {
    if (!contents.changed) return;
    const before = this.#given.get(dir) ?? [];
    this.#take(dir, contents);
    try {
      this.#swap();
      this.#options.log.info({ dir, definitions: contents.definitions.length }, 'tools reloaded');
    } catch (error) {
      this.#given.set(dir, before);
      this.#options.log.error({ err: error, dir }, 'the changed tools are not usable together: the earlier ones stay');
    }
  }

  /** Replaces what one source gives; used by mounted servers whose lists change. */
  give(source: string, definitions: readonly SourcedDefinition[]): void {
    this.#given.set(source, definitions);
    this.#swap();
  }

  /** The tools this node runs. */
  get own(): readonly SourcedDefinition[] {
    return this.#own;
  }

  /** Takes what other nodes run. A name that is defined here stays as it is defined here. */
  learn(definitions: readonly SourcedDefinition[]): void {
    const before = this.#learnt;
    this.#learnt = definitions;
    try {
      this.#swap();
    } catch (error) {
      this.#learnt = before;
      this.#options.log.error({ err: error }, 'the tools of other nodes are not usable here: the earlier ones stay');
    }
  }

  #swap(): void {
    const { catalogue, runs, swapped } = this.#options;
    const given = [...this.#given.values()].flat();
    const names = new Set<string>();
    const own: SourcedDefinition[] = [];
    const all = given.map((source) => {
      const { definition } = source;
      if (definition.kind !== 'tool') return source;
      names.add(definition.name);
      if (!runs(definition)) return this.#asRemote(source);
      own.push(source);
      return source;
    });
    catalogue.replace([...all, ...this.#learnt.filter(({ definition }) => !names.has(definition.name))]);
    this.#own = own;
    swapped(own);
  }

  #asRemote(source: SourcedDefinition): SourcedDefinition {
    let remote = this.#notHere.get(source);
    if (remote === undefined) {
      remote = { definition: source.definition, module: source.module, remote: true };
      this.#notHere.set(source, remote);
    }
    return remote;
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }
}
