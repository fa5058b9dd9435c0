/**
 * The files of a new project, as `millrace init` writes them.
 *
 * Kept as text beside the code that writes it: the package then holds nothing that a compiler did not put there.
 * A test type-checks what stands here and runs the generated project's own test.
 */
import { MACHINE_STREAM, STREAM_FILE, STREAM_TEST } from './project-streams.ts';

export interface ProjectFacts {
  /** Name for package.json. */
  readonly name: string;
  /** What package.json asks npm for under `millrace`. */
  readonly millrace: string;
  /** With a live stream. */
  readonly streams: boolean;
}

/** Relative path → text. */
export function projectFiles(facts: ProjectFacts): ReadonlyMap<string, string> {
  return new Map([
    ['package.json', packageJson(facts)],
    ['tsconfig.json', TSCONFIG],
    ['.gitignore', facts.streams ? 'node_modules/\n.millrace/\n' : 'node_modules/\n'],
    ['millrace.config.ts', config(facts.streams)],
    ['tools/greet.ts', TOOL],
    ['test/greet.test.ts', TEST],
    ...(facts.streams ? STREAM_FILES : []),
    ['README.md', readme(facts)],
  ]);
}

const STREAM_FILES: readonly (readonly [path: string, text: string])[] = [
  [STREAM_FILE, MACHINE_STREAM],
  ['test/machine.test.ts', STREAM_TEST],
];

function packageJson({ name, millrace }: ProjectFacts): string {
  const manifest = {
    name,
    version: '0.1.0',
    private: true,
    type: 'module',
    engines: { node: '>=20.19' },
    scripts: {
      start: 'millrace serve',
      dev: 'millrace serve --watch',
      check: 'tsc && millrace check',
      test: 'node --import tsx --test test/*.test.ts',
    },
    dependencies: { millrace, zod: '^4.0.0' },
    devDependencies: { '@types/node': '^20.19.0', tsx: '^4.20.0', typescript: '^5.9.0' },
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

const TSCONFIG = `${JSON.stringify(
  {
    compilerOptions: {
      target: 'ES2023',
      module: 'NodeNext',
      strict: true,
      noEmit: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      types: ['node'],
    },
    include: ['*.ts', 'tools', 'test'],
  },
  null,
  2,
)}\n`;

function config(streams: boolean): string {
  return `import { defineConfig } from 'millrace';

// Every option: npx millrace serve --help
export default defineConfig({
  tools: ['tools'],${streams ? `\n  streamFiles: ['${STREAM_FILE}'],` : ''}
  builtinTools: false,
});
`;
}

const TOOL = `import { defineTool } from 'millrace';
import { z } from 'zod';

// Runs on a worker thread: it may compute for as long as its timeout allows without holding anybody else up.
export const greet = defineTool(
  {
    name: 'greet',
    description: 'Greets someone by name.',
    input: z.object({ name: z.string().min(1).describe('Who is greeted') }),
    output: z.object({ greeting: z.string() }),
    annotations: { readOnlyHint: true },
  },
  ({ name }) => ({ greeting: \`Hello, \${name}!\` }),
);
`;

const TEST = `import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createRuntime, type Runtime } from 'millrace';

const VERSION = '2026-07-28';

interface Answer {
  result?: { isError?: boolean; structuredContent?: unknown };
  error?: { code: number; message: string };
}

describe('greet', () => {
  let runtime: Runtime;
  let url = '';

  before(async () => {
    runtime = await createRuntime({ port: 0, tools: ['tools'], builtinTools: false, workers: 1, logLevel: 'warn' });
    url = (await runtime.listen()).url;
  });
  after(() => runtime.close(0));

  async function call(name: string, args: unknown): Promise<Answer> {
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': VERSION,
      'io.modelcontextprotocol/clientInfo': { name: 'test', version: '1' },
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': VERSION,
        'mcp-method': 'tools/call',
        'mcp-name': name,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args, _meta } }),
    });
    return (await response.json()) as Answer;
  }

  test('greets by name', async () => {
    const { result } = await call('greet', { name: 'Ada' });
    assert.deepEqual(result?.structuredContent, { greeting: 'Hello, Ada!' });
  });

  test('refuses an empty name', async () => {
    const { result, error } = await call('greet', { name: '' });
    assert.ok(result?.isError === true || error !== undefined);
  });
});
`;

function readme({ name, streams }: ProjectFacts): string {
  return `# ${name}

An MCP server on millrace.

\`\`\`sh
npm install
npm test       # runs the tool through a real server
npm start      # serves http://127.0.0.1:8080/mcp
npm run dev    # the same, and reloads tools when they change
npm run check  # types and configuration
\`\`\`

Tools live in \`tools/\`: every exported \`defineTool(…)\` is served. Options stand in \`millrace.config.ts\`.
${streams ? ABOUT_STREAMS : ''}`;
}

const ABOUT_STREAMS = `
\`${STREAM_FILE}\` declares a live stream of this machine's counters. Ask for it with the tools \`stream_describe\`,
\`window_query\` and \`alert_list\`, or subscribe to \`stream://machine/alerts/busy_core\`. Events of your own streams are
sent to \`POST /streams/{stream}/events\`; those that could not be taken are listed by
\`npx millrace streams dlq list STREAM\`.
`;
