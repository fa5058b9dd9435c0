/**
 * Hours instead of seconds: does memory grow with sessions that are never deleted, streams that come and go, and workers
 * that are killed?
 *
 * Role: opt-in. One server under a steady mix for `--duration`; memory is read every second, and its slope is that of the
 * line through all readings after the first fifth, in which everything finds its size.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { EventStream } from '../load/event-stream.ts';
import { runLoad } from '../load/run-load.ts';
import { readTree } from '../measure/process-tree.ts';
import { slopeOf } from '../measure/statistics.ts';
import type { Sample } from '../report/model.ts';
import { millrace } from '../servers/commands.ts';
import { type ServerProcess, startServer } from '../servers/server-process.ts';
import { exchange, openSession } from '../wire/exchange.ts';
import { LEGACY_CALLER, MODERN_CALLER, sessionHeaders, toolCall } from '../wire/messages.ts';
import { getBytes } from '../wire/request.ts';
import { atRate, echoCalls } from './calls.ts';
import { sampleOf, withoutNaN } from './load-variant.ts';
import type { Round, Scenario } from './scenario.ts';

const DURATION_MS_MIN = 10_000;
const DURATION_MS_DEFAULT = 300_000;
const ECHO_PER_SECOND = 500;
const ECHO_CONNECTIONS = 32;
/** Fewer than are opened, so that the cap is reached and the oldest are evicted. */
const SESSIONS_MAX = 1000;
const CHURN_MS = 50;
const STREAM_MS = 2000;
const KILL_MS = 10_000;
const READ_MS = 1000;
const SETTLING_SHARE = 0.2;
const MIB = 1024 * 1024;
const HOUR_MS = 3_600_000;

interface Reading {
  readonly atMs: number;
  readonly residentMiB: number;
  readonly heapMiB: number;
}

async function measure(round: Round): Promise<Sample> {
  const { plan } = round;
  const durationMs = plan.durationMs < DURATION_MS_MIN ? DURATION_MS_DEFAULT : plan.durationMs;
  const server = await startServer(
    millrace(
      ...['--workers', String(Math.max(2, plan.workers)), '--sessions-max', String(SESSIONS_MAX)],
      // Killed workers are the point here: the tool must not be kept out for it.
      ...['--request-timeout-ms', '1000', '--quarantine-after', '1000', '--max-connections', '20000'],
    ),
  );
  try {
    return await soaked(server, durationMs, round);
  } finally {
    await server.end();
  }
}

async function soaked(server: ServerProcess, durationMs: number, { plan, stopped }: Round): Promise<Sample> {
  const groups = [atRate(await echoCalls(server.url, ECHO_CONNECTIONS), ECHO_PER_SECOND)];
  const ended = new AbortController();
  const signal = AbortSignal.any([stopped, ended.signal]);
  const readings: Reading[] = [];
  const beside = [
    every(CHURN_MS, signal, () => churn(server.url)),
    every(KILL_MS, signal, () => killWorker(server.url)),
    every(READ_MS, signal, async () => void readings.push(await read(server))),
  ];
  const job = { url: server.url, groups, warmupMs: plan.warmupMs, durationMs };
  const run = await runLoad(job, 'own', () => undefined, stopped).finally(() => ended.abort());
  const problems = (await Promise.all(beside)).flat();
  const sample = sampleOf(run, null);
  return {
    ...sample,
    figures: withoutNaN({
      ...sample.figures,
      residentMiB: readings.at(-1)?.residentMiB ?? Number.NaN,
      residentMiBPerHour: perHour(readings, 'residentMiB'),
      heapMiBPerHour: perHour(readings, 'heapMiB'),
      failed: (sample.figures.failed ?? 0) + problems.length,
    }),
    problem: sample.problem === '' ? (problems[0] ?? '') : sample.problem,
  };
}

function perHour(readings: readonly Reading[], what: 'residentMiB' | 'heapMiB'): number {
  const settled = readings.slice(Math.floor(readings.length * SETTLING_SHARE));
  return slopeOf(settled.map((reading) => [reading.atMs, reading[what]])) * HOUR_MS;
}

/** Resolves with what went wrong, once the signal says so. */
async function every(ms: number, signal: AbortSignal, act: () => Promise<void>): Promise<string[]> {
  const problems: string[] = [];
  while (!signal.aborted) {
    await wait(ms, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) break;
    await act().catch((error: unknown) => {
      // Cut off by the end of the run, not by the server.
      if (!signal.aborted) problems.push(error instanceof Error ? error.message : String(error));
    });
  }
  return problems;
}

/** A session that nobody deletes, with a stream that its client forgets after a while. */
async function churn(url: string): Promise<void> {
  const caller = await openSession(url, LEGACY_CALLER);
  const headers = { ...sessionHeaders(caller), accept: 'text/event-stream' };
  const silent = (): void => undefined;
  const { hostname, port } = new URL(url);
  const events = { opened: silent, heard: silent, ended: silent };
  const stream = new EventStream(hostname, Number(port), getBytes(new URL(url), headers), 'never said', events);
  setTimeout(() => stream.close(), STREAM_MS).unref();
}

/** A call that never ends of itself: its worker is killed, and the answer is an error. */
async function killWorker(url: string): Promise<void> {
  const reply = await exchange(url, toolCall(MODERN_CALLER, 'spin', { ms: 600_000 }, 1));
  if (reply.text.includes('spun')) throw new Error(`spin was not stopped: ${reply.text.slice(0, 200)}`);
}

async function read(server: ServerProcess): Promise<Reading> {
  const metrics = await (await fetch(new URL('/metrics', server.url))).text();
  const heap = /^nodejs_heap_size_used_bytes(?:\{[^}]*\})? ([\d.e+]+)/m.exec(metrics)?.[1];
  return {
    atMs: performance.now(),
    residentMiB: (readTree(server.pid)?.residentBytes ?? Number.NaN) / MIB,
    heapMiB: Number(heap ?? Number.NaN) / MIB,
  };
}

export const soak: Scenario = {
  name: 'soak',
  title: 'memory over time: sessions never deleted, streams that come and go, killed workers',
  columns: ['residentMiBPerHour', 'heapMiBPerHour', 'residentMiB', 'perSecond', 'p50Us', 'p99Us', 'p999Us', 'failed'],
  cannotShow: [
    'A slope over a few minutes is mostly noise: give --duration 3600 or more before believing it.',
    'The heap is that of the front-end thread; workers are in the resident size only.',
  ],
  inSuite: null,
  roundsMax: 1,
  prepare: () => ({
    variants: [{ name: 'sessions, streams, killed workers', role: 'millrace', quick: true, measure }],
    skipped: [],
  }),
};
