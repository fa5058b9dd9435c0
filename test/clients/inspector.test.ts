/**
 * The MCP Inspector's command line, in both eras: lists the tools and calls the five built-in ones.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { callFiveTools, FIVE_TOOLS, textOf } from './five-tools.ts';
import { FRONT_ENDS, type Served, serve } from './serve.ts';

const run = promisify(execFile);
const RUN_MS_MAX = 240_000;
/** Each call is a process of its own that takes seconds to start: all five in each era, one where both differ. */
const FIVE_CALLED: Readonly<Record<string, string>> = { legacy: 'node', modern: FRONT_ENDS[0] ?? 'node' };

/** The package exports nothing; its manifest says where the command is. */
function inspectorScript(): string {
  const { resolve } = createRequire(import.meta.url);
  const manifest = resolve('@modelcontextprotocol/inspector/package.json');
  const { bin } = createRequire(import.meta.url)(manifest) as { readonly bin: Readonly<Record<string, string>> };
  return join(dirname(manifest), bin['inspector'] ?? '');
}

async function inspect(url: string, era: string, parameters: readonly string[]): Promise<Record<string, unknown>> {
  const args = ['--cli', '--server-url', url, '--transport', 'http', '--protocol-era', era, '--format', 'json'];
  const { stdout } = await run(process.execPath, [inspectorScript(), ...args, ...parameters], { timeout: RUN_MS_MAX });
  return (JSON.parse(stdout) as { readonly result: Record<string, unknown> }).result;
}

for (const frontend of FRONT_ENDS) {
  describe(`MCP Inspector on ${frontend}`, { concurrency: true }, () => {
    let served: Served;
    before(async () => {
      served = await serve(frontend, { workers: 1 });
    });
    after(() => served.close());

    for (const era of ['legacy', 'modern']) {
      const calls = FIVE_CALLED[era] === frontend ? 'calls the five' : 'calls one';
      test(`${era}: lists the tools, strictly, and ${calls}`, async () => {
        const listed = await inspect(served.url, era, ['--method', 'tools/list', '--strict']);
        const names = (listed['tools'] as { readonly name: string }[]).map((tool) => tool.name);
        assert.deepEqual(names.sort(), [...FIVE_TOOLS]);
        const call = (name: string, args: Record<string, unknown>): Promise<object> => {
          const given = ['--tool-name', name, '--tool-args-json', JSON.stringify(args)];
          return inspect(served.url, era, ['--method', 'tools/call', ...given]);
        };
        if (calls === 'calls the five') await callFiveTools(call);
        else assert.equal(textOf(await call('echo', { text: 'grüße \u2028' })), 'grüße \u2028');
      });
    }
  });
}
