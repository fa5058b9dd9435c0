/**
 * FastMCP (npm) as its documentation has it, over HTTP, stateless, answering in JSON. It picks no port of its own, so a
 * free one is found first.
 */
import { createServer } from 'node:net';
import { FastMCP } from 'fastmcp';
import { readArguments, sayReady } from './arguments.ts';
import { toolset } from './toolsets.ts';

const silent = (): void => undefined;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => void probe.listen(0, '127.0.0.1', () => resolve()));
  const address = probe.address();
  await new Promise<void>((resolve) => void probe.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

const server = new FastMCP({
  name: 'fastmcp',
  version: '1.0.0',
  logger: { debug: silent, error: silent, info: silent, log: silent, warn: silent },
});
for (const { name, description, input, run } of toolset(readArguments())) {
  server.addTool({ name, description, parameters: input, execute: async (given) => run(given) });
}
const port = await freePort();
await server.start({
  transportType: 'httpStream',
  httpStream: { host: '127.0.0.1', port, stateless: true, enableJsonResponse: true },
});
sayReady(port);
