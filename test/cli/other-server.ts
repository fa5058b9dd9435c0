/**
 * Servers that are none of ours, for commands that ask one: fixed answers, or nobody at all.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '../redis/redis-process.ts';

/** Path and query → answer; all else is 404. */
export type Pages = Record<string, readonly [status: number, body: string]>;

export async function serverWith(context: { after(done: () => void): void }, pages: Pages): Promise<string> {
  const server: Server = createServer((request, response) => {
    const [status, body] = pages[request.url ?? ''] ?? [404, ''];
    response.writeHead(status).end(body);
  });
  context.after(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A port nobody listens on. */
export async function closedPort(): Promise<string> {
  return `http://127.0.0.1:${await freePort()}`;
}
