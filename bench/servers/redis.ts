/**
 * A Redis of our own: on a free port, without files, ended with the scenario.
 */
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { RedisClient } from '../tools/shop/redis-client.ts';
import { missingCommand } from './installed.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const TRIES = 100;
const TRY_MS = 50;

/** Null when it can be started; else why not. */
export const redisMissing = (): string | null => missingCommand('redis-server', '--version');

export async function startRedis(): Promise<ServerProcess & { readonly port: number }> {
  const port = await freePort();
  // Redis has no ready line like ours; a shell prints one and becomes the server.
  const flags = `--port ${port} --bind 127.0.0.1 --save '' --appendonly no --loglevel warning`;
  const server = await startServer({ command: 'sh', args: ['-c', `echo ready ${port}; exec redis-server ${flags}`] });
  for (let tries = 1; ; tries++) {
    const client = new RedisClient(port);
    try {
      await client.call('PING');
      return { ...server, port };
    } catch (error) {
      if (tries === TRIES) throw error;
      await wait(TRY_MS);
    } finally {
      client.close();
    }
  }
}

/** Below the ports that systems hand out on their own: between two starts nobody else may get it. */
const STEADY_FIRST = 20_000;
const STEADY_COUNT = 12_000;

/** A free port that can be listened on again and again. */
export async function steadyPort(): Promise<number> {
  for (;;) {
    const port = await freePort(STEADY_FIRST + Math.floor(Math.random() * STEADY_COUNT)).catch(() => 0);
    if (port !== 0) return port;
  }
}

/** `wanted`, or any. Rejects when it is not free. */
export async function freePort(wanted = 0): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(wanted, '127.0.0.1', () => resolve());
  });
  const address = probe.address();
  await new Promise<void>((resolve) => void probe.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
