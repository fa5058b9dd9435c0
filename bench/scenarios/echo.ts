/**
 * `echo` through the pool, beside the limit, the naive design and the peers: what a call costs when it does nothing.
 *
 * Role: the scenario of the request path's targets. Saturation: closed loop, as fast as answers come.
 */

import { answerBytes } from '../servers/answer-bytes.ts';
import { control, millrace, toolFolder } from '../servers/commands.ts';
import { LEGACY_CALLER, MODERN_CALLER } from '../wire/messages.ts';
import { echoCalls, modernEcho, sessionEchoCalls } from './calls.ts';
import { type LoadVariant, saturatedVariant } from './load-variant.ts';
import type { Plan, Scenario } from './scenario.ts';
import { toolchainPeers } from './toolchain-peers.ts';

const workers = (plan: Plan): string[] => ['--workers', String(plan.workers)];

const OURS: readonly LoadVariant[] = [
  {
    name: 'millrace 2026-07-28',
    role: 'millrace',
    quick: true,
    server: (plan) => millrace(...workers(plan)),
    load: async (url, plan) => [await echoCalls(url, plan.connections)],
  },
  {
    name: 'millrace 2025-11-25 session',
    role: 'millrace',
    quick: true,
    server: (plan) => millrace(...workers(plan)),
    load: async (url, plan) => [await sessionEchoCalls(url, plan.connections)],
  },
  {
    name: 'millrace inline',
    role: 'millrace',
    server: (plan) => millrace(...workers(plan), '--tools', toolFolder('inline')),
    load: async (url, plan) => [await echoCalls(url, plan.connections, MODERN_CALLER, 'echo_inline')],
  },
  {
    name: 'millrace WebSocket',
    role: 'millrace',
    server: (plan) => millrace(...workers(plan)),
    load: async (url, plan) => [{ ...(await echoCalls(url, plan.connections)), transport: 'websocket' }],
  },
];

const rawControl = async (name: string) => control(name, { answer: await answerBytes(modernEcho()) });

const CONTROLS: readonly LoadVariant[] = [
  {
    name: 'raw uWebSockets.js',
    role: 'limit',
    quick: true,
    server: () => rawControl('raw-uws'),
    load: async (url, plan) => [await echoCalls(url, plan.connections)],
  },
  {
    name: 'raw uWebSockets.js WebSocket',
    role: 'limit',
    server: () => rawControl('raw-uws'),
    load: async (url, plan) => [{ ...(await echoCalls(url, plan.connections)), transport: 'websocket' }],
  },
  {
    name: 'bare node:http',
    role: 'control',
    quick: true,
    server: () => rawControl('node-http'),
    load: async (url, plan) => [await echoCalls(url, plan.connections)],
  },
  {
    name: 'naive uWS + Piscina',
    role: 'control',
    quick: true,
    server: (plan) => control('naive-pool', { workers: plan.workers }),
    load: async (url, plan) => [await echoCalls(url, plan.connections)],
  },
];

const PEERS: readonly LoadVariant[] = [
  {
    name: 'SDK v1 sessions',
    role: 'peer',
    server: () => control('sdk-v1', { sessions: true }),
    load: async (url, plan) => [await sessionEchoCalls(url, plan.connections)],
  },
  {
    name: 'SDK v1 stateless',
    role: 'peer',
    quick: true,
    server: () => control('sdk-v1', {}),
    load: async (url, plan) => [await echoCalls(url, plan.connections, LEGACY_CALLER)],
  },
  {
    name: 'SDK v2 createMcpHandler',
    role: 'peer',
    quick: true,
    server: () => control('sdk-v2', {}),
    load: async (url, plan) => [await echoCalls(url, plan.connections)],
  },
  {
    name: 'FastMCP',
    role: 'peer',
    server: () => control('fastmcp', {}),
    load: async (url, plan) => [await echoCalls(url, plan.connections, LEGACY_CALLER)],
  },
];

export const echo: Scenario = {
  name: 'echo',
  title: 'tools/call echo at saturation',
  columns: ['perSecond', 'p50Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'residentMiB', 'failed'],
  cannotShow: [
    'Latency under a load that people have: at saturation it mostly says how long the queue in front of a busy core is.',
    'More than one core for the front end; a client that leaves cores free; TLS; large arguments.',
    'WebSocket rows are driven by another client than the others: compare them with each other only.',
  ],
  inSuite: { roundsMax: Number.POSITIVE_INFINITY, variants: 'all' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: (plan) => {
    const { skipped, variants } = toolchainPeers(plan);
    return { variants: [...CONTROLS, ...OURS, ...PEERS, ...variants].map(saturatedVariant), skipped };
  },
};
