/**
 * A load that does not wait for the server: a fixed rate, many connections, slow clients among fast ones.
 *
 * Role: the scenario whose latencies people would see. Every latency counts from when its request was due.
 */
import { closedLoop, type LoadGroup } from '../load/job.ts';
import { answerBytes } from '../servers/answer-bytes.ts';
import { control, millrace } from '../servers/commands.ts';
import { checkText } from '../wire/exchange.ts';
import { atRate, ECHO_TEXT, echoCalls, modernEcho } from './calls.ts';
import { type LoadVariant, loadVariant } from './load-variant.ts';
import type { Plan, Scenario } from './scenario.ts';

const CONNECTIONS = 128;
const SLOW_CLIENTS = 100;
const SLOW_PIECE_BYTES = 40;
const SLOW_PIECE_MS = 25;

const server = (plan: Plan) => millrace('--workers', String(plan.workers), '--max-connections', '20000');

const offered = (name: string, connections: number): LoadVariant => ({
  name,
  role: 'millrace',
  quick: true,
  server,
  load: async (url, plan) => [atRate(await echoCalls(url, connections), plan.ratePerSecond)],
});

const VARIANTS: readonly LoadVariant[] = [
  {
    name: 'raw uWebSockets.js',
    role: 'limit',
    quick: true,
    server: async () => control('raw-uws', { answer: await answerBytes(modernEcho()) }),
    load: async (url, plan) => [atRate(await echoCalls(url, CONNECTIONS), plan.ratePerSecond)],
  },
  offered('millrace', CONNECTIONS),
  offered('millrace, 1,000 connections', 1000),
  offered('millrace, 5,000 connections', 5000),
  {
    name: `millrace, ${SLOW_CLIENTS} slow clients too`,
    role: 'millrace',
    server,
    load: async (url, plan) => [atRate(await echoCalls(url, CONNECTIONS), plan.ratePerSecond), await slowCalls(url)],
  },
  {
    name: 'naive uWS + Piscina',
    role: 'control',
    server: (plan) => control('naive-pool', { workers: plan.workers }),
    load: async (url, plan) => [atRate(await echoCalls(url, CONNECTIONS), plan.ratePerSecond)],
  },
];

/** Clients on bad lines: their requests arrive in small pieces. */
async function slowCalls(url: string): Promise<LoadGroup> {
  const request = modernEcho();
  await checkText(url, request, ECHO_TEXT);
  const group = closedLoop('slow', [request], SLOW_CLIENTS, ECHO_TEXT);
  return { ...group, pieceBytes: SLOW_PIECE_BYTES, pieceMs: SLOW_PIECE_MS };
}

export const openLoop: Scenario = {
  name: 'open-loop',
  title: 'tools/call echo at a fixed rate, latency from when each request was due',
  columns: ['perSecond', 'p50Us', 'p95Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'successShare'],
  cannotShow: [
    'Networks: client and server share the machine, its cores and its loopback.',
    'Latency below what the client itself needs to send on time ("sent late" in the JSON): it is part of the figures.',
    'Slow readers: the answers are small enough to fit any socket buffer.',
  ],
  inSuite: { roundsMax: 2, variants: 'all' },
  roundsMax: Number.POSITIVE_INFINITY,
  prepare: () => ({ variants: VARIANTS.map(loadVariant), skipped: [] }),
};
