/**
 * A catalogue with one of everything, for tests of what goes on the wire.
 */
import { type CatalogueSettings, createCatalogue, type MutableCatalogue } from '../../src/catalogue/compile.ts';
import { type Definition, definePrompt, defineResource, defineTool } from '../../src/catalogue/define.ts';
import type { SourcedDefinition } from '../../src/catalogue/entries.ts';
import { SharedSecret } from '../../src/protocol/shared-secret.ts';

export const SETTINGS: CatalogueSettings = {
  pageSize: 100,
  server: {
    name: 'sample',
    version: '1.2.3',
    title: 'Sample server',
    instructions: 'Ask nicely.',
  },
  listTtlMs: 5000,
  listCacheScope: 'public',
  capabilities: {
    tools: false,
    resources: false,
    prompts: false,
    listChanged: true,
    subscribe: true,
    logging: true,
    tasks: true,
  },
  secret: SharedSecret.of('test secret'),
};

const icons = [{ src: 'https://example.com/i.png', mimeType: 'image/png', sizes: ['16x16'] }];
const _meta = { 'example.com/x': 1 };

export const sampleTool = defineTool(
  {
    name: 'full',
    title: 'Full',
    description: 'Has everything.',
    input: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: { name: { $anchor: 'name', type: 'string' } },
      properties: { name: { $ref: '#name' }, kind: { const: 'a' } },
      if: { required: ['kind'] },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema.
      then: { required: ['name'] },
      additionalProperties: false,
    },
    output: { type: 'object', properties: { ok: { type: 'boolean' } } },
    annotations: { title: 'Full tool', readOnlyHint: true },
    icons,
    _meta,
  },
  () => ({ ok: true }),
);

export const listTool = defineTool(
  { name: 'list', description: 'Gives a list.', output: { type: 'array', items: { type: 'integer' } } },
  () => [1],
);

const annotations: { audience: ('user' | 'assistant')[]; priority: number; lastModified: string } = {
  audience: ['user'],
  priority: 0.5,
  lastModified: '2026-07-28T00:00:00Z',
};

export const SAMPLE: readonly Definition[] = [
  sampleTool,
  listTool,
  defineResource(
    {
      uri: 'sample://fixed',
      name: 'Fixed',
      title: 'T',
      description: 'D',
      mimeType: 'text/plain',
      size: 4,
      annotations,
      icons,
      _meta,
    },
    () => 'text',
  ),
  defineResource(
    {
      template: 'sample://{id}',
      name: 'Templated',
      title: 'T',
      description: 'D',
      mimeType: 'text/plain',
      annotations,
      icons,
      _meta,
      complete: { id: (value) => [`${value}1`] },
    },
    () => 'text',
  ),
  definePrompt(
    {
      name: 'ask',
      title: 'Ask',
      description: 'Asks.',
      arguments: [{ name: 'topic', title: 'Topic', description: 'About.', required: true, complete: () => ['x'] }],
      icons,
      _meta,
    },
    () => 'text',
  ),
];

/** As handed over in code: no module, so on the front-end thread. */
export const passed = (definition: Definition): SourcedDefinition => ({ definition, module: null });

export function catalogueOf(
  definitions: readonly Definition[],
  settings: Partial<CatalogueSettings> = {},
): MutableCatalogue {
  const catalogue = createCatalogue({ ...SETTINGS, ...settings });
  catalogue.replace(definitions.map(passed));
  return catalogue;
}
