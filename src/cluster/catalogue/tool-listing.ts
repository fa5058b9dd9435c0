/**
 * A tool as nodes tell each other of it: what its list item and its calls need, without the code.
 *
 * Role: from a definition that is run here to plain data, and from such data to a definition that is run elsewhere.
 * What another node says is checked like any definition when it is compiled; members this version does not know are
 * left out, so that nodes of two versions can live side by side.
 */
import type { ToolDefinition } from '../../catalogue/define.ts';
import { compileDefinition, type SourcedDefinition } from '../../catalogue/entries.ts';

/** Members of a definition that are data, in the order they are written. */
const MEMBERS = [
  'name',
  'title',
  'description',
  'annotations',
  'icons',
  'timeoutMs',
  'cache',
  'task',
  'taskOptions',
  'requires',
  '_meta',
] as const satisfies readonly (keyof ToolDefinition)[];

/** The tool as JSON; `''` for what is no tool. Throws `DefinitionError` when it cannot be compiled. */
export function listingOf(source: SourcedDefinition): string {
  const { definition } = source;
  if (definition.kind !== 'tool') return '';
  const { inputSchema, outputSchema } = compileDefinition(source);
  const listing: Record<string, unknown> = {};
  for (const member of MEMBERS) listing[member] = definition[member];
  return JSON.stringify({ ...listing, inputSchema, outputSchema: outputSchema ?? undefined });
}

/**
 * A definition that other nodes run. Throws `DefinitionError`, or `SyntaxError` for what is no JSON.
 */
export function remoteTool(listing: string): SourcedDefinition {
  const listed = JSON.parse(listing) as Record<string, unknown>;
  const { inputSchema, outputSchema } = listed;
  const members: Record<string, unknown> = {};
  for (const member of MEMBERS) if (listed[member] !== undefined) members[member] = listed[member];
  const definition = Object.freeze({
    ...members,
    ...(inputSchema === undefined ? {} : { input: inputSchema }),
    ...(outputSchema === undefined ? {} : { output: outputSchema }),
    kind: 'tool',
    handler: () => {
      throw new Error('a tool of another node was run here');
    },
  }) as unknown as ToolDefinition;
  const source: SourcedDefinition = { definition, module: null, remote: true };
  compileDefinition(source);
  return source;
}

/** `''` when the listing is none. */
export function nameOfListing(listing: string): string {
  try {
    const { name } = JSON.parse(listing) as { name?: unknown };
    return typeof name === 'string' ? name : '';
  } catch {
    // Said when it is to be compiled.
    return '';
  }
}
