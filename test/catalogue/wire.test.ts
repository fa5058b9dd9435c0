/**
 * What the catalogue puts on the wire, per revision: pinned as literals, and checked against the official schemas.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ListName } from '../../src/catalogue/entry.ts';
import {
  REVISION_2024_11_05,
  REVISION_2025_03_26,
  REVISION_2025_06_18,
  REVISION_2025_11_25,
  REVISION_2026_07_28,
  REVISIONS,
  type Revision,
} from '../../src/protocol/revisions.ts';
import { officialProblems } from './official-schema.ts';
import { catalogueOf, SAMPLE } from './sample-catalogue.ts';

const catalogue = catalogueOf(SAMPLE);

const SHAPES: Readonly<Record<ListName, string>> = {
  tools: 'ListToolsResult',
  resources: 'ListResourcesResult',
  templates: 'ListResourceTemplatesResult',
  prompts: 'ListPromptsResult',
};

function listText(list: ListName, revision: Revision, of = catalogue): string {
  const bytes = of.current.list(list, revision, undefined);
  assert.ok(bytes !== null);
  return Buffer.from(bytes).toString('utf8');
}

const STAMP =
  '"resultType":"complete","ttlMs":5000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"sample","version":"1.2.3","title":"Sample server"}}';
const INPUT =
  '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","$defs":{"name":{"$anchor":"name","type":"string"}},"properties":{"name":{"$ref":"#name"},"kind":{"const":"a"}},"if":{"required":["kind"]},"then":{"required":["name"]},"additionalProperties":false}';
const ICONS = '[{"src":"https://example.com/i.png","mimeType":"image/png","sizes":["16x16"]}]';
const OUTPUT = '{"type":"object","properties":{"ok":{"type":"boolean"}}}';
const HINTS = '{"title":"Full tool","readOnlyHint":true}';
const META = '{"example.com/x":1}';

describe('tools/list, byte for byte', () => {
  const pins: readonly (readonly [revision: Revision, bytes: string])[] = [
    [
      REVISION_2024_11_05,
      `{"tools":[{"name":"full","description":"Has everything.","inputSchema":${INPUT}},{"name":"list","description":"Gives a list.","inputSchema":{"type":"object"}}]}`,
    ],
    [
      REVISION_2025_03_26,
      `{"tools":[{"name":"full","description":"Has everything.","inputSchema":${INPUT},"annotations":${HINTS}},{"name":"list","description":"Gives a list.","inputSchema":{"type":"object"}}]}`,
    ],
    [
      REVISION_2025_06_18,
      `{"tools":[{"name":"full","title":"Full","description":"Has everything.","inputSchema":${INPUT},"outputSchema":${OUTPUT},"annotations":${HINTS},"_meta":${META}},{"name":"list","description":"Gives a list.","inputSchema":{"type":"object"}}]}`,
    ],
    [
      REVISION_2025_11_25,
      `{"tools":[{"name":"full","title":"Full","description":"Has everything.","icons":${ICONS},"inputSchema":${INPUT},"outputSchema":${OUTPUT},"annotations":${HINTS},"_meta":${META}},{"name":"list","description":"Gives a list.","inputSchema":{"type":"object"}}]}`,
    ],
    [
      REVISION_2026_07_28,
      `{"tools":[{"name":"full","title":"Full","description":"Has everything.","icons":${ICONS},"inputSchema":${INPUT},"outputSchema":${OUTPUT},"annotations":${HINTS},"_meta":${META}},{"name":"list","description":"Gives a list.","inputSchema":{"type":"object"},"outputSchema":{"type":"array","items":{"type":"integer"}}}],${STAMP}}`,
    ],
  ];
  for (const [revision, bytes] of pins) {
    test(revision.name, () => assert.equal(listText('tools', revision), bytes));
  }
});

describe('other lists, byte for byte, oldest and newest', () => {
  const pins: readonly (readonly [list: ListName, revision: Revision, bytes: string])[] = [
    [
      'resources',
      REVISION_2024_11_05,
      '{"resources":[{"uri":"sample://fixed","name":"Fixed","description":"D","mimeType":"text/plain","size":4,"annotations":{"audience":["user"],"priority":0.5}}]}',
    ],
    [
      'resources',
      REVISION_2026_07_28,
      `{"resources":[{"uri":"sample://fixed","name":"Fixed","title":"T","description":"D","icons":${ICONS},"mimeType":"text/plain","size":4,"annotations":{"audience":["user"],"priority":0.5,"lastModified":"2026-07-28T00:00:00Z"},"_meta":${META}}],${STAMP}}`,
    ],
    [
      'templates',
      REVISION_2024_11_05,
      '{"resourceTemplates":[{"uriTemplate":"sample://{id}","name":"Templated","description":"D","mimeType":"text/plain","annotations":{"audience":["user"],"priority":0.5}}]}',
    ],
    [
      'prompts',
      REVISION_2024_11_05,
      '{"prompts":[{"name":"ask","description":"Asks.","arguments":[{"name":"topic","description":"About.","required":true}]}]}',
    ],
    [
      'prompts',
      REVISION_2025_11_25,
      `{"prompts":[{"name":"ask","title":"Ask","description":"Asks.","icons":${ICONS},"arguments":[{"name":"topic","title":"Topic","description":"About.","required":true}],"_meta":${META}}]}`,
    ],
  ];
  for (const [list, revision, bytes] of pins) {
    test(`${list} ${revision.name}`, () => assert.equal(listText(list, revision), bytes));
  }
});

describe('the official schemas accept', () => {
  for (const revision of REVISIONS) {
    for (const list of Object.keys(SHAPES) as ListName[]) {
      test(`${list} of ${revision.name}, full and empty`, () => {
        const empty = catalogueOf([]);
        assert.equal(officialProblems(revision, SHAPES[list], JSON.parse(listText(list, revision))), '');
        assert.equal(officialProblems(revision, SHAPES[list], JSON.parse(listText(list, revision, empty))), '');
      });
    }
    if (revision.era !== 'session') continue;
    test(`the initialize result of ${revision.name}`, () => {
      const result = { protocolVersion: revision.name, ...catalogue.current.initializeResult(revision) };
      assert.equal(officialProblems(revision, 'InitializeResult', result), '');
    });
  }

  test('the discover result of 2026-07-28', () => {
    const result: unknown = JSON.parse(Buffer.from(catalogue.current.discover()).toString());
    assert.equal(officialProblems(REVISION_2026_07_28, 'DiscoverResult', result), '');
  });

  test('and would not accept a list without its array', () => {
    assert.notEqual(officialProblems(REVISION_2026_07_28, 'ListToolsResult', { resultType: 'complete' }), '');
  });
});

describe('what the server says of itself', () => {
  test('discover, byte for byte', () => {
    assert.equal(
      Buffer.from(catalogue.current.discover()).toString(),
      `{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true,"listChanged":true},"prompts":{"listChanged":true},"logging":{},"completions":{},"extensions":{"io.modelcontextprotocol/tasks":{}}},"instructions":"Ask nicely.",${STAMP}}`,
    );
  });

  test('initialize says what each revision knows', () => {
    const lists = {
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      prompts: { listChanged: true },
    };
    const say = (revision: Revision) => catalogue.current.initializeResult(revision);
    assert.deepEqual(say(REVISION_2024_11_05), {
      capabilities: { ...lists, logging: {} },
      serverInfo: { name: 'sample', version: '1.2.3' },
      instructions: 'Ask nicely.',
    });
    assert.deepEqual(say(REVISION_2025_03_26).capabilities, { ...lists, logging: {}, completions: {} });
    assert.deepEqual(say(REVISION_2025_06_18).serverInfo, { name: 'sample', version: '1.2.3', title: 'Sample server' });
    assert.deepEqual(say(REVISION_2025_11_25), {
      capabilities: { ...lists, logging: {}, completions: {} },
      serverInfo: { name: 'sample', version: '1.2.3', title: 'Sample server' },
      instructions: 'Ask nicely.',
    });
  });

  test('an empty catalogue declares only what is switched on', () => {
    const bare = { listChanged: false, subscribe: false, logging: false, tasks: false, tools: false, resources: false };
    const empty = catalogueOf([], { capabilities: { ...bare, prompts: true } });
    assert.deepEqual(empty.current.initializeResult(REVISION_2025_11_25).capabilities, {
      prompts: { listChanged: false },
    });
    assert.deepEqual(empty.current.has, { tools: false, resources: false, prompts: true, completions: false });
  });

  test('bytes are built once', () => {
    const { current } = catalogue;
    assert.equal(current.discover(), current.discover());
    assert.equal(
      current.list('tools', REVISION_2026_07_28, undefined),
      current.list('tools', REVISION_2026_07_28, undefined),
    );
  });
});
