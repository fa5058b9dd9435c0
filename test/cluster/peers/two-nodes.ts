/**
 * Nodes that are nothing but `Peers` behind a front end: each with its own secret, host list and limits.
 */
import { HttpPeers } from '../../../src/cluster/peers/http-peers.ts';
import { INTERNAL_PREFIX } from '../../../src/cluster/peers/wire.ts';
import { Gate } from '../../../src/frontend/gate.ts';
import { openFrontEnd } from '../../../src/frontend/open.ts';
import type { FrontEnd } from '../../../src/frontend/port.ts';
import { Router } from '../../../src/frontend/router.ts';
import { eventually } from '../../clients/eventually.ts';
import { LIMITS } from '../../frontend/scripted-handler.ts';

export const SECRET = 'a secret that all nodes of the test share';
export const BODY_BYTES_MAX = 1024 * 1024;

const QUIET = {
  debug: (): void => undefined,
  info: (): void => undefined,
  warn: (): void => undefined,
  error: (): void => undefined,
};

export interface PeerNode {
  readonly id: string;
  readonly peers: HttpPeers;
  readonly front: FrontEnd;
  /** Statuses of what was refused. */
  readonly refused: number[];
  url: string;
  close(): Promise<void>;
}

export interface NodeOptions {
  readonly secret?: string;
  readonly frontend?: 'uws' | 'node';
  readonly socketsMax?: number;
  readonly answerBytesMax?: number;
  readonly tls?: { readonly keyFile: string; readonly certFile: string };
  readonly tlsCaFile?: string;
  readonly keepAliveMs?: number;
}

/** Nodes know each other through the map they were made with. */
export async function startNode(
  id: string,
  known: Map<string, PeerNode>,
  options: NodeOptions = {},
): Promise<PeerNode> {
  const refused: number[] = [];
  const peers = new HttpPeers({
    nodeId: id,
    secret: options.secret ?? SECRET,
    urlOf: (nodeId) => known.get(nodeId)?.url ?? '',
    socketsMax: options.socketsMax ?? 100,
    bodyBytesMax: BODY_BYTES_MAX,
    answerBytesMax: options.answerBytesMax ?? 4 * BODY_BYTES_MAX,
    tlsCaFile: options.tlsCaFile ?? '',
    ...(options.keepAliveMs === undefined ? {} : { keepAliveMs: options.keepAliveMs }),
  });
  peers.onRefused = (status) => void refused.push(status);
  // Bound to loopback, asked by an address that is no name of it: as nodes in a private network are.
  const gate = new Gate({ host: 'service.example', allowedHosts: [], allowedOrigins: ['https://app.example'] });
  const sockets = { upgrade: () => ({ status: 404, message: 'none' }) };
  const counter = { httpRefused: (status: number): void => void refused.push(status) };
  const router = new Router(gate, new Map(), [[INTERNAL_PREFIX, peers.endpoint]], sockets, counter);
  const tls = options.tls ?? null;
  const front = await openFrontEnd(
    options.frontend ?? 'node',
    { host: '127.0.0.1', port: 0, tls, limits: LIMITS },
    router,
    { path: '/mcp', handler: router },
    QUIET,
  );
  const node: PeerNode = {
    id,
    peers,
    front,
    refused,
    url: `${tls === null ? 'http' : 'https'}://127.0.0.1:${front.port}`,
    async close() {
      peers.close();
      await front.close();
    },
  };
  known.set(id, node);
  return node;
}

/** Waits until it holds. */
export async function until(holds: () => boolean, patienceMs = 60_000): Promise<void> {
  await eventually(String(holds), holds, (value) => value, patienceMs);
}
