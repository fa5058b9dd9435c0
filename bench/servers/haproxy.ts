/**
 * HAProxy with `deploy/haproxy.cfg` as it is, in front of one to three nodes.
 *
 * Role: places that no node has are given an address where nothing listens; it is ready when it says that the nodes are
 * up and those places are down.
 */
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { projectFolder } from '../measure/machine.ts';
import { DAEMON_PATH, missingCommand } from './installed.ts';
import { freePort } from './redis.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const PLACES = 3;
/** The discard port: refused at once. */
const NOBODY = '127.0.0.1:9';
const CHECK_INTERVAL = '100ms';
const TRY_MS = 50;
const UP_MS_MAX = 20_000;
const CSV_NAME = 1;
const CSV_STATUS = 17;

export interface Haproxy extends ServerProcess {
  /** Resolves when these many nodes are up, and no more. */
  untilUp(nodes: number): Promise<void>;
}

export const haproxyMissing = (): string | null => missingCommand('haproxy', '-v');

/** `nodes` are URLs. */
export async function startHaproxy(nodes: readonly string[]): Promise<Haproxy> {
  const [port, statsPort] = [await freePort(), await freePort()];
  const file = join(projectFolder(), 'deploy', 'haproxy.cfg');
  const places = Array.from({ length: PLACES }, (_, i) => {
    const node = nodes[i];
    return [`BALANCER_NODE_${i + 1}`, node === undefined ? NOBODY : new URL(node).host];
  });
  const server = await startServer({
    command: 'sh',
    args: ['-c', `echo ready http://127.0.0.1:${port}/mcp; exec haproxy -f '${file}'`],
    env: {
      ...Object.fromEntries(places),
      PATH: DAEMON_PATH,
      BALANCER_BIND: `127.0.0.1:${port}`,
      BALANCER_STATS_BIND: `127.0.0.1:${statsPort}`,
      BALANCER_CHECK_INTERVAL: CHECK_INTERVAL,
      // A measurement begins with full shares.
      BALANCER_SLOW_START: '1ms',
      // It may run twice, and says so.
      BALANCER_REPEATABLE: 'echo',
    },
  });
  const haproxy = { ...server, untilUp: (count: number) => untilUp(statsPort, count) };
  try {
    await haproxy.untilUp(nodes.length);
  } catch (error) {
    await server.end();
    throw error;
  }
  return haproxy;
}

async function untilUp(statsPort: number, count: number): Promise<void> {
  const wanted = [
    ...Array.from({ length: count }, () => 'UP'),
    ...Array.from({ length: PLACES - count }, () => 'DOWN'),
  ];
  const endMs = performance.now() + UP_MS_MAX;
  let states: readonly string[] = [];
  while (performance.now() < endMs) {
    states = await statesAt(statsPort);
    if (states.join() === wanted.join()) return;
    await wait(TRY_MS);
  }
  throw new Error(`HAProxy sees its nodes as ${states.join(', ')}`);
}

async function statesAt(statsPort: number): Promise<string[]> {
  try {
    const text = await (await fetch(`http://127.0.0.1:${statsPort}/;csv`)).text();
    const rows = text.split('\n').map((line) => line.split(','));
    return rows.filter((row) => row[CSV_NAME]?.startsWith('node-')).map((row) => row[CSV_STATUS] ?? '');
  } catch {
    // It is starting.
    return [];
  }
}
