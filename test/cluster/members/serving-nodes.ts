/**
 * Nodes as processes of their own: the compiled command over one Redis, asked over HTTP.
 */
import assert from 'node:assert/strict';
import { asChild, type Child } from '../../cli/millrace.ts';
import { readyUrl } from '../../cli/served.ts';
import { eventually } from '../../clients/eventually.ts';

export const HEARTBEAT_MS = 500;
export const PATIENCE_MS = 60_000;

export interface ShownNode {
  readonly id: string;
  readonly status: string;
  readonly url: string;
  readonly busy: boolean;
  readonly epoch: number;
  readonly heartbeatAgeMs: number;
}

export interface ServingNode {
  readonly id: string;
  readonly url: string;
  readonly child: Child;
  nodes(): Promise<readonly ShownNode[]>;
  warnings(): Promise<readonly string[]>;
  readiness(): Promise<{ readonly status: number; readonly degraded: readonly string[] }>;
}

interface Cluster {
  readonly nodes: readonly ShownNode[];
  readonly warnings: readonly string[];
}

export async function serveNode(
  context: { after(done: () => void): void },
  id: string,
  redisUrl: string,
  more: { readonly args?: readonly string[]; readonly env?: Record<string, string>; readonly cwd?: string } = {},
): Promise<ServingNode> {
  const beat = ['--node-id', id, '--redis-url', redisUrl, '--heartbeat-ms', String(HEARTBEAT_MS)];
  const args = ['serve', '--port', '0', '--workers', '1', '--log-level', 'warn', ...beat, ...(more.args ?? [])];
  const { cwd, env } = more;
  const child = asChild(context, args, {
    compiled: true,
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
  });
  const url = await readyUrl(child);
  const cluster = async (): Promise<Cluster> => (await (await fetch(new URL('/cluster', url))).json()) as Cluster;
  return {
    id,
    url,
    child,
    nodes: async () => (await cluster()).nodes,
    warnings: async () => (await cluster()).warnings,
    async readiness() {
      const response = await fetch(new URL('/health/ready', url));
      const { degraded } = (await response.json()) as { degraded: readonly string[] };
      return { status: response.status, degraded };
    },
  };
}

export async function idsAt(node: ServingNode): Promise<string> {
  return (await node.nodes()).map(({ id }) => id).join();
}

export async function seesNodes(node: ServingNode, wanted: string): Promise<void> {
  await eventually(
    `the nodes of ${node.id}`,
    () => idsAt(node),
    (ids) => ids === wanted,
    PATIENCE_MS,
  );
}

/** All of them see all of them. */
export async function allSeeAll(nodes: readonly ServingNode[]): Promise<void> {
  const wanted = nodes.map(({ id }) => id).join();
  for (const node of nodes) await seesNodes(node, wanted);
}

/**
 * Tells whether the machine has gone on, as whoever asks it again and again can tell: nodes that stood still together may
 * have missed each other's heartbeats.
 */
export class Stillness {
  #askedMs = performance.now();
  #calmFromMs = 0;

  /** Nobody can have missed a heartbeat that is due. */
  get isCalm(): boolean {
    const nowMs = performance.now();
    if (nowMs - this.#askedMs > HEARTBEAT_MS) this.#calmFromMs = nowMs + 4 * HEARTBEAT_MS;
    this.#askedMs = nowMs;
    return nowMs >= this.#calmFromMs;
  }
}

/** For so many heartbeats every look at every node shows the same nodes; when the machine stood still, from then on. */
export async function unchangedFor(nodes: readonly ServingNode[], heartbeats: number): Promise<void> {
  const wanted = nodes.map(({ id }) => id).join();
  const stillness = new Stillness();
  let fromMs = performance.now();
  const look = async (): Promise<number> => {
    for (const node of nodes) {
      const seen = await idsAt(node);
      if (!stillness.isCalm) fromMs = performance.now();
      else assert.equal(seen, wanted, `as ${node.id} sees it`);
    }
    return performance.now() - fromMs;
  };
  await eventually('heartbeats', look, (ms) => ms > heartbeats * HEARTBEAT_MS, 4 * PATIENCE_MS);
}
