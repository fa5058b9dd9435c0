/**
 * The conformance fixture as a server: `PORT=N npm run conformance:server`, both eras at `http://127.0.0.1:N/mcp`.
 *
 * Only the public authoring API and `createRuntime` are used. Without `PORT` a free port is taken and printed.
 */
import { createRuntime } from '../../src/index.ts';

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

/** `port` 0 takes a free one. */
export async function serveFixture(port: number) {
  const runtime = await createRuntime({ modules: MODULES, host: '127.0.0.1', port, logLevel: 'warn' });
  await runtime.listen();
  return runtime;
}
