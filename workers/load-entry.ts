/**
 * Makes a catalogue entry callable: its handler beside the validators compiled from its schemas, once per thread.
 *
 * Role: the step from a definition (what an author wrote) to what the runner calls. Nothing here runs per request.
 */
import type {
  AnySchema,
  CompleteCallback,
  Definition,
  PromptDefinition,
  ResourceDefinition,
  ToolDefinition,
} from '../src/catalogue/define.ts';
import type { Entry, EntryKind, ParamHeader } from '../src/catalogue/entry.ts';
import { compileValidator, type Validator } from '../src/catalogue/schema.ts';
import { parseUriTemplate, type UriTemplate } from '../src/catalogue/uri-template.ts';
import type { StatelessHeaders } from '../src/protocol/envelope-check.ts';
import { REVISION_2026_07_28 } from '../src/protocol/revisions.ts';

/** JSON-RPC method that each kind of entry answers. */
export const METHOD_OF_KIND = {
  tool: 'tools/call',
  resource: 'resources/read',
  template: 'resources/read',
  prompt: 'prompts/get',
  completion: 'completion/complete',
} as const satisfies Record<EntryKind, string>;

export interface LoadedEntry {
  readonly key: number;
  readonly name: string;
  readonly method: string;
  /** Headers a 2026-07-28 request for this entry must agree with. */
  readonly headers: StatelessHeaders;
  readonly paramHeaders: readonly ParamHeader[];
  readonly tool: ToolDefinition | null;
  readonly resource: ResourceDefinition | null;
  readonly prompt: PromptDefinition | null;
  readonly complete: CompleteCallback | null;
  readonly validateInput: Validator | null;
  readonly validateOutput: Validator | null;
  readonly template: UriTemplate | null;
  /** Grows with each run on this thread: which of a module's tools ran last. */
  lastRan: number;
}

type EntryFacts = Pick<Entry, 'key' | 'kind' | 'name' | 'paramHeaders'>;

/** Whoever made the entry has compiled the schema before. */
const validatorOf = (schema: AnySchema | undefined, subject: string, owner: string): Validator | null =>
  schema === undefined ? null : compileValidator(schema, subject, owner, true);

/** `definition` is what the entry's module exports; completions pass the definition that holds the callback. */
export function loadEntry(facts: EntryFacts, definition: Definition | CompleteCallback): LoadedEntry {
  const method = METHOD_OF_KIND[facts.kind];
  const callback = typeof definition === 'function' ? definition : null;
  const tool = callback === null && (definition as Definition).kind === 'tool' ? (definition as ToolDefinition) : null;
  const resource =
    callback === null && (definition as Definition).kind === 'resource' ? (definition as ResourceDefinition) : null;
  const prompt =
    callback === null && (definition as Definition).kind === 'prompt' ? (definition as PromptDefinition) : null;
  return {
    key: facts.key,
    name: facts.name,
    method,
    headers: {
      protocolVersion: REVISION_2026_07_28.name,
      method,
      name: facts.kind === 'completion' ? null : facts.name,
    },
    paramHeaders: facts.paramHeaders,
    tool,
    resource,
    prompt,
    complete: callback,
    validateInput: validatorOf(tool?.input, 'arguments', facts.name),
    validateOutput: validatorOf(tool?.output, 'structuredContent', facts.name),
    template: facts.kind === 'template' ? parseUriTemplate(facts.name) : null,
    lastRan: 0,
  };
}
