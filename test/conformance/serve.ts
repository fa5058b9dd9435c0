/**
 * The conformance fixture as a server: `PORT=N npm run conformance:server`, both eras at `http://127.0.0.1:N/mcp`.
 *
 * Only `createRuntime` and the authoring API are used. The tests start it in their own process, on a free port.
 */
import { pathToFileURL } from 'node:url';
import { createRuntime, type Runtime } from '../../src/index.ts';

const DEFAULT_PORT = 3000;

/** Compiled or not, a fixture module ends as this one does. */
const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

const MODULES = [
  'content-tools',
  'schema-tools',
  'notifying-tools',
  'asking-tools',
  'round-tools',
  'task-tools',
  'resources',
  'prompts',
].map((name) => new URL(`./fixture/${name}${EXTENSION}`, import.meta.url));

/** Not listening yet. Some tools fail on purpose: tests want no log of it. */
export function createFixture(port: number, logLevel: 'silent' | 'info' = 'silent'): Promise<Runtime> {
  return createRuntime({ modules: MODULES, builtinTools: false, host: '127.0.0.1', port, logLevel });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const runtime = await createFixture(Number(process.env['PORT'] ?? DEFAULT_PORT), 'info');
  const { url } = await runtime.listen();
  process.stdout.write(`conformance fixture ready ${url}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void runtime.close());
}
