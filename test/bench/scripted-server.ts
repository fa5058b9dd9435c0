/**
 * A tiny HTTP server whose answers the test decides, for tests of load clients.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ScriptedServer {
  readonly url: string;
  close(): Promise<void>;
}

/** `answer` gets the number of the request, from 0, and its body. */
export async function scriptedServer(
  answer: (res: ServerResponse, at: number, body: string, req: IncomingMessage) => void,
): Promise<ScriptedServer> {
  let requests = 0;
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    req.on('end', () => answer(res, requests++, body, req));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
