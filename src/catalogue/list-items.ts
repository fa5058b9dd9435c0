/**
 * One entry of a list, as JSON, with exactly the members that a revision's schema has.
 *
 * Role: the projection from definitions to the wire. Encoded once per entry and revision and kept with the entry, so
 * that a change of one tool in ten thousand encodes one item. Schemas are written as their author wrote them.
 */
import type { Revision } from '../protocol/revisions.ts';
import { REVISIONS } from '../protocol/revisions.ts';
import type { JsonSchema, PromptDefinition, ResourceDefinition, ToolDefinition } from './define.ts';
import type { CompiledDefinition } from './entries.ts';

const encoded = new WeakMap<CompiledDefinition, (string | undefined)[]>();

/** The item's JSON. Kept for the life of the compiled definition. */
export function itemJson(compiled: CompiledDefinition, revision: Revision): string {
  let row = encoded.get(compiled);
  if (row === undefined) {
    row = new Array<string | undefined>(REVISIONS.length).fill(undefined);
    encoded.set(compiled, row);
  }
  let json = row[revision.index];
  if (json === undefined) {
    json = JSON.stringify(itemOf(compiled, revision));
    row[revision.index] = json;
  }
  return json;
}

function itemOf(compiled: CompiledDefinition, revision: Revision): object {
  const { definition } = compiled.source;
  switch (definition.kind) {
    case 'tool':
      return toolItem(definition, compiled, revision);
    case 'resource':
      return resourceItem(definition, revision);
    case 'prompt':
      return promptItem(definition, revision);
  }
}

/** Whether a revision knows this output schema; without it there is no structuredContent either. */
function outputSchemaShown(schema: JsonSchema | null, revision: Revision): boolean {
  if (schema === null || revision.structuredContent === 'none') return false;
  return revision.structuredContent === 'any' || schema['type'] === 'object';
}

// `JSON.stringify` leaves out members that are undefined: that is how absent ones stay absent below.

function toolItem(definition: ToolDefinition, compiled: CompiledDefinition, revision: Revision): object {
  return {
    name: definition.name,
    title: revision.titles ? definition.title : undefined,
    description: definition.description,
    icons: revision.icons ? definition.icons : undefined,
    inputSchema: compiled.inputSchema,
    outputSchema: outputSchemaShown(compiled.outputSchema, revision) ? compiled.outputSchema : undefined,
    annotations: revision.annotations ? definition.annotations : undefined,
    // `_meta` on listed things came with titles.
    _meta: revision.titles ? definition._meta : undefined,
  };
}

function resourceItem(definition: ResourceDefinition, revision: Revision): object {
  const { annotations } = definition;
  return {
    uri: definition.uri,
    uriTemplate: definition.template,
    name: definition.name,
    title: revision.titles ? definition.title : undefined,
    description: definition.description,
    icons: revision.icons ? definition.icons : undefined,
    mimeType: definition.mimeType,
    size: definition.uri === undefined ? undefined : definition.size,
    annotations:
      annotations === undefined || revision.titles
        ? annotations
        : { audience: annotations.audience, priority: annotations.priority },
    _meta: revision.titles ? definition._meta : undefined,
  };
}

function promptItem(definition: PromptDefinition, revision: Revision): object {
  return {
    name: definition.name,
    title: revision.titles ? definition.title : undefined,
    description: definition.description,
    icons: revision.icons ? definition.icons : undefined,
    arguments: definition.arguments?.map((argument) => ({
      name: argument.name,
      title: revision.titles ? argument.title : undefined,
      description: argument.description,
      required: argument.required,
    })),
    _meta: revision.titles ? definition._meta : undefined,
  };
}
