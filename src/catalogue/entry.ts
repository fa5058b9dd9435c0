/**
 * What the catalogue holds: entries (one callable thing each) and the immutable snapshot made of them.
 *
 * Role: the seam between authoring (`define.ts`, `load.ts`, `mount/`) and serving (protocol, dispatch, workers).
 * An entry's `key` is never used twice in a process, so a job in flight stays bound to the entry it was accepted for
 * while the catalogue is swapped around it.
 */
import type { Revision } from '../protocol/revisions.ts';
import type { CompleteCallback, PromptDefinition, ResourceDefinition, ToolDefinition } from './define.ts';

export type EntryKind = 'tool' | 'resource' | 'template' | 'prompt' | 'completion';

/** Where a worker finds the definition. Null: the definition exists on the front-end thread only (`run: 'inline'`). */
export interface EntryModule {
  /** Absolute `file:` URL, with a `?v=` query after a reload. */
  readonly url: string;
  /** Export that holds the definition, or the factory's name for a mounted server. */
  readonly exportName: string;
  /** `mcp-server`: the export is a factory that returns an SDK `McpServer`, built in the worker. */
  readonly form: 'definition' | 'mcp-server';
}

export interface Entry {
  /** Unique for the life of the process. */
  readonly key: number;
  readonly kind: EntryKind;
  /** Tool or prompt name, resource URI, URI template; completions: `prompt:name` or `template:uri`. */
  readonly name: string;
  /** `remote`: by another node; the definition is here for its schemas only. */
  readonly run: 'pool' | 'inline' | 'isolated' | 'remote';
  readonly module: EntryModule | null;
  readonly definition: ToolDefinition | ResourceDefinition | PromptDefinition | CompleteCallback;
  /** Calls of this entry that may run at once on this node; Infinity for no cap. */
  readonly concurrency: number;
  /** 0: the server's request timeout. */
  readonly timeoutMs: number;
  /** May run on the front-end thread when the queue is full. */
  readonly callerRuns: boolean;
  /** May be repeated after its worker was lost. */
  readonly repeatable: boolean;
  /** How long its results are kept for calls with the same arguments; 0: they are not. Tools only. */
  readonly cacheTtlMs: number;
  readonly cacheScope: 'public' | 'private';
  /** `x-mcp-header` parameters: lower-case header suffix → path of property names into the arguments. */
  readonly paramHeaders: readonly ParamHeader[];
  /** Tasks extension: `never`, `optional` (a task when the client can), `required`. Tools only. */
  readonly task: 'never' | 'optional' | 'required';
}

export interface ParamHeader {
  /** Lower-case, with the `mcp-param-` prefix. */
  readonly header: string;
  readonly path: readonly string[];
}

/** What a worker needs to know of the catalogue. Structured-clonable. */
export interface Manifest {
  readonly epoch: number;
  readonly entries: readonly ManifestEntry[];
}
export interface ManifestEntry {
  readonly key: number;
  readonly kind: EntryKind;
  readonly name: string;
  readonly module: EntryModule;
  readonly paramHeaders: readonly ParamHeader[];
  readonly task: Entry['task'];
}

export type ListName = 'tools' | 'resources' | 'templates' | 'prompts';

/** An encoded result object without its envelope: the caller writes `{"jsonrpc":"2.0","id":…,"result":` before it. */
export type ResultBytes = Uint8Array;

export interface CatalogueHas {
  readonly tools: boolean;
  readonly resources: boolean;
  readonly prompts: boolean;
  readonly completions: boolean;
}

/** What an `initialize` result says of the server. */
export interface InitializeFacts {
  readonly capabilities: object;
  readonly serverInfo: object;
  readonly instructions?: string;
}

/** An immutable snapshot. A change makes a new one. */
export interface Catalogue {
  /** Grows with each snapshot. */
  readonly epoch: number;
  tool(name: string): Entry | undefined;
  prompt(name: string): Entry | undefined;
  /** Exact resource, else the first template that matches. Linear in the length of the URI. */
  resource(uri: string): Entry | undefined;
  /** The completion of a prompt argument or template variable, if its definition has one. */
  completion(ref: { type: string; name?: string; uri?: string }): Entry | undefined;
  /** Encoded page of a list, or null for a cursor this server did not make. `cursor` undefined: the first page. */
  list(list: ListName, revision: Revision, cursor: string | undefined): ResultBytes | null;
  /** Encoded `server/discover` result. */
  discover(): ResultBytes;
  /** `capabilities`, `serverInfo`, `instructions` of an `initialize` result for a session revision. */
  initializeResult(revision: Revision): InitializeFacts;
  readonly has: CatalogueHas;
  readonly manifest: Manifest;
  readonly entries: readonly Entry[];
}

/** The mutable holder of the current snapshot. */
export interface CatalogueHolder {
  readonly current: Catalogue;
  /** Called after a swap with the lists that changed. Returns the way to stop listening. */
  onChange(listener: (changed: readonly ListName[]) => void): () => void;
}
