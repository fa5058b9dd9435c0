/**
 * Makes entries of definitions: checks them, compiles their schemas once to refuse bad ones, and resolves defaults.
 *
 * Role: past this file nothing is optional and nothing can be wrong with a definition. One definition makes one entry,
 * and a second one of kind `completion` when it completes arguments.
 * Invariants: keys rise for the life of the process; a definition that is already in the catalogue keeps its entry
 * (see `snapshot.ts`), so its workers, statistics and jobs in flight are not disturbed by a reload of its neighbours.
 */
import { checkDefinition, nameOf } from './check-definition.ts';
import { completionOf } from './completion.ts';
import type { Definition, JsonSchema, ResourceDefinition, ToolDefinition } from './define.ts';
import { DefinitionError, excerpt, SchemaError } from './definition-error.ts';
import type { Entry, EntryKind, EntryModule, ParamHeader } from './entry.ts';
import { fileOf } from './import-module.ts';
import { compileParamHeaders } from './param-headers.ts';
import { compileValidator, listedSchema } from './schema.ts';
import { parseUriTemplate, type UriTemplate } from './uri-template.ts';

/** A definition and where workers find it. */
export interface SourcedDefinition {
  readonly definition: Definition;
  /** Null for a definition handed over as an object: it runs on the front-end thread. */
  readonly module: EntryModule | null;
  /** This node must not run it: its calls go to a node that does. */
  readonly remote?: true;
}

/** An entry with what only the front-end thread needs of it. */
export interface CompiledDefinition {
  readonly source: SourcedDefinition;
  readonly entry: Entry;
  readonly completion: Entry | null;
  /** As lists show them; null where the definition has none. */
  readonly inputSchema: JsonSchema | null;
  readonly outputSchema: JsonSchema | null;
  readonly template: UriTemplate | null;
}

const NO_ARGUMENTS: JsonSchema = Object.freeze({ type: 'object' });
const NO_HEADERS: readonly ParamHeader[] = Object.freeze([]);

// Entries of all catalogues of the process share one row of keys: a worker may serve several snapshots at once.
let lastKey = 0;

/** `passed to the runtime`, or the file and export a definition came from. */
export function originOf(source: SourcedDefinition): string {
  return source.module === null
    ? 'an object passed to the runtime'
    : `${fileOf(source.module.url)} (export ${source.module.exportName})`;
}

const compiledSources = new WeakMap<SourcedDefinition, CompiledDefinition>();

/**
 * The same source object always gives the same compiled definition: a folder checks what it loads, and the catalogue
 * takes it over without compiling again. Throws `DefinitionError`, which names the definition and its file.
 */
export function compileDefinition(source: SourcedDefinition): CompiledDefinition {
  const known = compiledSources.get(source);
  if (known !== undefined) return known;
  try {
    const compiled = compileChecked(source);
    compiledSources.set(source, compiled);
    return compiled;
  } catch (cause) {
    if (cause instanceof DefinitionError) throw new DefinitionError(`${cause.message} — in ${originOf(source)}`);
    throw cause;
  }
}

function compileChecked(source: SourcedDefinition): CompiledDefinition {
  const { definition } = source;
  checkDefinition(definition);
  const owner = nameOf(definition);
  const inputSchema = definition.kind === 'tool' ? checkedInput(definition, owner) : null;
  const outputSchema = definition.kind === 'tool' ? checkedOutput(definition, owner) : null;
  const template = definition.kind === 'resource' ? checkedTemplate(definition, owner) : null;
  const kind: EntryKind = template === null ? definition.kind : 'template';
  const name = kind === 'template' || kind === 'resource' ? uriOf(definition as ResourceDefinition) : definition.name;
  const run = runOf(source, owner);
  const paramHeaders = inputSchema === null ? NO_HEADERS : compileParamHeaders(inputSchema, `${owner}: input`);
  const entry = makeEntry(source, kind, name, run, paramHeaders, definition);
  const callback = completionOf(definition);
  const completion =
    callback === undefined
      ? null
      : makeEntry(source, 'completion', `${kind}:${name}`, run === 'inline' ? 'inline' : 'pool', NO_HEADERS, callback);
  return { source, entry, completion, inputSchema, outputSchema, template };
}

function makeEntry(
  source: SourcedDefinition,
  kind: EntryKind,
  name: string,
  run: Entry['run'],
  paramHeaders: readonly ParamHeader[],
  served: Entry['definition'],
): Entry {
  const tool = source.definition.kind === 'tool' ? source.definition : null;
  lastKey += 1;
  return Object.freeze({
    key: lastKey,
    kind,
    name,
    run,
    module: source.module,
    definition: served,
    concurrency: tool?.concurrency ?? Number.POSITIVE_INFINITY,
    timeoutMs: source.definition.timeoutMs ?? 0,
    // A call that asked for a thread of its own must not get the one that serves sockets.
    callerRuns: run !== 'isolated' && (tool?.callerRuns ?? true),
    repeatable: tool === null || tool.annotations?.readOnlyHint === true || tool.annotations?.idempotentHint === true,
    cacheTtlMs: tool?.cache?.ttlMs ?? 0,
    cacheScope: tool?.cache?.scope ?? 'private',
    paramHeaders,
    task: tool?.task ?? 'never',
  });
}

function uriOf(definition: ResourceDefinition): string {
  return definition.template ?? definition.uri ?? '';
}

/** A definition without a module cannot reach a worker: unless it says otherwise it runs where it is. */
function runOf(source: SourcedDefinition, owner: string): Entry['run'] {
  const { definition, module } = source;
  if (source.remote === true) return 'remote';
  if (module !== null) return definition.run ?? 'pool';
  if (definition.run === undefined || definition.run === 'inline') return 'inline';
  throw new DefinitionError(
    `${owner}: run "${definition.run}" needs a module that workers can import; pass the module's URL, or set run to "inline"`,
  );
}

function checkedInput(definition: ToolDefinition, owner: string): JsonSchema {
  if (definition.input === undefined) return NO_ARGUMENTS;
  const label = `${owner}: input`;
  const listed = listedSchema(definition.input, 'input', label);
  compileValidator(listed, 'arguments', label);
  if (listed['type'] !== 'object') {
    throw new SchemaError(`${label} must have "type": "object" at its root, got ${excerpt(listed['type'])}`);
  }
  return listed;
}

function checkedOutput(definition: ToolDefinition, owner: string): JsonSchema | null {
  if (definition.output === undefined) return null;
  const label = `${owner}: output`;
  const listed = listedSchema(definition.output, 'output', label);
  compileValidator(listed, 'structuredContent', label);
  return listed;
}

function checkedTemplate(definition: ResourceDefinition, owner: string): UriTemplate | null {
  if (definition.template === undefined) return null;
  const template = parseUriTemplate(definition.template);
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:/.test(definition.template)) {
    throw new DefinitionError(`${owner}: a template begins with a scheme, like notes://{id}`);
  }
  for (const name of Object.keys(definition.complete ?? {})) {
    if (!template.variables.includes(name)) {
      throw new DefinitionError(`${owner}: complete has "${name}", which is no variable of the template`);
    }
  }
  return template;
}
