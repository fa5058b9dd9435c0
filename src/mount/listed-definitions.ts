/**
 * Turns what a mounted SDK server lists into definitions whose handlers forward to it.
 *
 * Invariants: schemas, descriptions, icons and `_meta` stand as the server listed them; members that a definition does
 * not have are left out. What the server completes it is asked for: it alone knows which arguments have completions.
 */
import type { Prompt, Resource, ResourceTemplate, Tool } from '@modelcontextprotocol/sdk/types.js';
import type {
  CallToolResult,
  CompleteCallback,
  ContentBlock,
  HandlerContext,
  PromptDefinition,
  PromptMessage,
  ResourceContents,
  ResourceDefinition,
  ResourceReturn,
  ToolDefinition,
} from '../catalogue/define.ts';
import { ProtocolError } from '../catalogue/define.ts';
import { parseUriTemplate } from '../catalogue/uri-template.ts';
import { type Forwarding, forward, forwardBare } from './forward.ts';

/** Where the definitions run: beside the mounted server, or in workers that mount one of their own. */
export type MountedRun = 'inline' | 'pool';

const RESOURCE_NOT_FOUND = -32002;
const URL_ELICITATION_REQUIRED = -32042;

export function toolDefinition(tool: Tool, run: MountedRun, to: Forwarding): ToolDefinition {
  const asTask = tool.execution?.taskSupport === 'required';
  return Object.freeze({
    kind: 'tool',
    name: tool.name,
    title: tool.title,
    description: tool.description,
    input: tool.inputSchema,
    output: tool.outputSchema,
    annotations: tool.annotations,
    icons: tool.icons,
    run,
    _meta: tool._meta,
    handler: (args: Record<string, unknown>, context: HandlerContext) => callTool(to, tool.name, args, context, asTask),
  } satisfies ToolDefinition);
}

export function resourceDefinition(resource: Resource, run: MountedRun, to: Forwarding): ResourceDefinition {
  return Object.freeze({
    kind: 'resource',
    uri: resource.uri,
    ...resourceFacts(resource),
    size: typeof resource.size === 'number' ? resource.size : undefined,
    run,
    handler: (uri, _variables, context) => readResource(to, uri, context),
  } satisfies ResourceDefinition);
}

export function templateDefinition(
  template: ResourceTemplate,
  run: MountedRun,
  to: Forwarding,
  completes: boolean,
): ResourceDefinition {
  const ref = { type: 'ref/resource', uri: template.uriTemplate };
  const variables = completes ? parseUriTemplate(template.uriTemplate).variables : [];
  return Object.freeze({
    kind: 'resource',
    template: template.uriTemplate,
    ...resourceFacts(template),
    run,
    complete: completes ? Object.fromEntries(variables.map((name) => [name, completion(to, ref)])) : undefined,
    handler: (uri, _variables, context) => readResource(to, uri, context),
  } satisfies ResourceDefinition);
}

export function promptDefinition(
  prompt: Prompt,
  run: MountedRun,
  to: Forwarding,
  completes: boolean,
): PromptDefinition {
  const ref = { type: 'ref/prompt', name: prompt.name };
  return Object.freeze({
    kind: 'prompt',
    name: prompt.name,
    title: prompt.title,
    description: prompt.description,
    arguments: prompt.arguments?.map(({ name, description, required }) => ({
      name,
      description,
      required,
      complete: completes ? completion(to, ref) : undefined,
    })),
    icons: prompt.icons,
    run,
    _meta: prompt._meta,
    handler: async (args, context) => {
      const result = await forward(to, context, 'prompts/get', { name: prompt.name, arguments: args });
      const messages = result['messages'] as PromptMessage[];
      return typeof result['description'] === 'string'
        ? { description: result['description'], messages }
        : { messages };
    },
  } satisfies PromptDefinition);
}

function resourceFacts(listed: Resource | ResourceTemplate) {
  const { name, title, description, mimeType, annotations, icons, _meta } = listed;
  return { name, title, description, mimeType, annotations, icons, _meta };
}

/**
 * A tool that wants a URL opened first fails with -32042, a code the newest revision does not have. The user is asked
 * through the context, as every revision can, and the tool is called once more.
 */
async function callTool(
  to: Forwarding,
  name: string,
  args: Record<string, unknown>,
  context: HandlerContext,
  asTask: boolean,
): Promise<CallToolResult> {
  const params = { name, arguments: args };
  try {
    return (await forward(to, context, 'tools/call', params, asTask)) as unknown as CallToolResult;
  } catch (error) {
    if (!needsUrl(error)) throw error;
    for (const { message, url } of urlsOf(error)) {
      const { action } = await context.elicit({ message, url });
      if (action !== 'accept') return toolError(`not done: the user did not open ${url}`);
    }
  }
  try {
    return (await forward(to, context, 'tools/call', params, asTask)) as unknown as CallToolResult;
  } catch (error) {
    if (needsUrl(error)) return toolError(`not done yet: ${error.message}`);
    throw error;
  }
}

function needsUrl(error: unknown): error is ProtocolError {
  return error instanceof ProtocolError && error.code === URL_ELICITATION_REQUIRED;
}

function urlsOf(error: ProtocolError): { message: string; url: string }[] {
  const listed = (error.data as { elicitations?: unknown } | undefined)?.elicitations;
  if (!Array.isArray(listed)) return [];
  return listed.filter((each) => typeof each?.url === 'string' && typeof each.message === 'string');
}

function toolError(text: string): CallToolResult {
  return { content: [{ type: 'text', text } satisfies ContentBlock], isError: true };
}

async function readResource(to: Forwarding, uri: string, context: HandlerContext): Promise<ResourceReturn> {
  try {
    const result = await forward(to, context, 'resources/read', { uri });
    return { contents: result['contents'] as ResourceContents[] };
  } catch (error) {
    // "Not found" has another code in each era; the runtime knows which.
    if (error instanceof ProtocolError && error.code === RESOURCE_NOT_FOUND) return undefined;
    throw error;
  }
}

function completion(to: Forwarding, ref: Record<string, string>): CompleteCallback {
  return async (value, context) => {
    const params = { ref, argument: { name: context.argument, value }, context: { arguments: context.arguments } };
    const result = await forwardBare(to, 'completion/complete', params);
    return result['completion'] as { values: string[]; total?: number; hasMore?: boolean };
  };
}
