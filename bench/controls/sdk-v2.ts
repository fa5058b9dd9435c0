/**
 * The official SDK, version 2, as its documentation has it: `createMcpHandler` with a factory, under `node:http`.
 *
 * It makes a server per request. The schemas are made once, outside the factory, which is the fastest its API allows.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { readArguments, sayReady } from './arguments.ts';
import { toolset } from './toolsets.ts';

const tools = toolset(readArguments());

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'sdk-v2', version: '1.0.0' });
  for (const { name, title, description, input, run } of tools) {
    server.registerTool(name, { title, description, inputSchema: input }, async (given) => ({
      content: [{ type: 'text', text: await run(given) }],
    }));
  }
  return server;
});

const serve = toNodeHandler(handler);
const listener = createServer((req, res) => void serve(req, res));
listener.listen(0, '127.0.0.1', () => sayReady((listener.address() as AddressInfo).port));
