/**
 * The official SDK, version 1, as its examples have it: `McpServer` and `StreamableHTTPServerTransport` under Express.
 *
 * Stateless: a server and a transport per request. With sessions: one of each per session. Both answer in JSON, which
 * is the faster of the two forms it has. The examples' log lines per request are left out.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { readArguments, sayReady } from './arguments.ts';
import { toolset } from './toolsets.ts';

const args = readArguments();
const tools = toolset(args);
const transports = new Map<string, StreamableHTTPServerTransport>();

function makeServer(): McpServer {
  const server = new McpServer({ name: 'sdk-v1', version: '1.0.0' });
  for (const { name, title, description, input, run } of tools) {
    server.registerTool(name, { title, description, inputSchema: input.shape }, async (given) => ({
      content: [{ type: 'text', text: await run(given) }],
    }));
  }
  return server;
}

const app = createMcpExpressApp();

/** Express' own types come in a package of their own. */
type Request = IncomingMessage & { body?: unknown };

app.post('/mcp', async (req: Request, res: ServerResponse) => {
  if (!args.sessions) {
    const server = makeServer();
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true });
    res.on('close', () => {
      void transport.close();
      void server.close();
    });
    await server.connect(transport);
    await transport.handleRequest(req, res, req.body);
    return;
  }
  const sessionId = req.headers['mcp-session-id'];
  const known = typeof sessionId === 'string' ? transports.get(sessionId) : undefined;
  if (known !== undefined) {
    await known.handleRequest(req, res, req.body);
  } else if (isInitializeRequest(req.body)) {
    const transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      enableJsonResponse: true,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    transport.onclose = () => void transports.delete(transport.sessionId ?? '');
    await makeServer().connect(transport);
    await transport.handleRequest(req, res, req.body);
  } else {
    const error = { code: -32001, message: 'Session not found' };
    res.writeHead(404, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', error, id: null }));
  }
});

app.get('/mcp', async (req: Request, res: ServerResponse) => {
  const transport = transports.get(String(req.headers['mcp-session-id']));
  if (transport === undefined) res.writeHead(405).end();
  else await transport.handleRequest(req, res);
});

const listener = app.listen(0, '127.0.0.1', () => sayReady((listener.address() as AddressInfo).port));
