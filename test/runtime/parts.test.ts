import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRuntime, defineTool, type RuntimeOptions } from '../../src/index.ts';

describe('what a program gives beside the options', () => {
  const tool = defineTool({ name: 't' }, () => 1);
  const refused: readonly (readonly [given: object, problems: readonly string[]])[] = [
    [{ definitions: tool }, ['definitions = an object: must be a list']],
    [
      { modules: './tools.js', liveStreams: 5, mcpServers: null },
      [
        'modules = "./tools.js": must be a list',
        'liveStreams = 5: must be a list',
        'mcpServers = null: must be a list',
      ],
    ],
    [
      { definitions: [tool, {}, null] },
      [
        'definitions[1] = an object: must be made by defineTool, defineResource or definePrompt',
        'definitions[2] = null: must be made by defineTool, defineResource or definePrompt',
      ],
    ],
    [{ modules: ['./tools.js', {}] }, ['modules[1] = an object: must be a path or a file: URL']],
    [
      { mcpServers: [null, './server.js', { module: './server.js' }] },
      [0, 1, 2].map((i) => {
        const given = ['null', '"./server.js"', 'an object'][i];
        const expected =
          'an McpServer of @modelcontextprotocol/sdk, a function that returns one, or { module, exportName }';
        return `mcpServers[${i}] = ${given}: must be ${expected}`;
      }),
    ],
    [{ liveStreams: [null] }, ['liveStreams[0] = null: must be an object, as for defineStream']],
    [{ liveStreams: new Array(1) }, ['liveStreams[0] = nothing: must be an object, as for defineStream']],
  ];
  for (const [given, problems] of refused) {
    test(`is refused at once: ${problems[0]}`, async () => {
      const options = { port: 0, logLevel: 'silent', ...given } as RuntimeOptions;
      await assert.rejects(createRuntime(options), { name: 'ConfigError', problems });
    });
  }
});
