/**
 * A Redis of our own: on a free port, without files, ended with the scenario.
 *
 * Role: where `redis-server` is not installed and this process may install it (root, on a system with apt), it does; it
 * says why when there is none.
 */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { RedisClient } from '../tools/shop/redis-client.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const INSTALL_MS_MAX = 120_000;
const TRIES = 100;
const TRY_MS = 50;

const isThere = (): boolean => spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).error === undefined;

/** Null when it can be started; else why not. */
export function redisMissing(): string | null {
  if (isThere()) return null;
  if (process.getuid?.() !== 0) return 'redis-server is not installed';
  const options = { stdio: 'ignore', timeout: INSTALL_MS_MAX } as const;
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'redis-server'], options);
  return isThere() ? null : 'redis-server is not installed, and apt-get could not install it';
}

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

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => void probe.listen(0, '127.0.0.1', () => resolve()));
  const address = probe.address();
  await new Promise<void>((resolve) => void probe.close(() => resolve()));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
