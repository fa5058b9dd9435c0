/**
 * Kills: one of three nodes after the other, under a steady load of stateless calls.
 *
 * Role: part of the cluster scenario. The latencies of its row are from each SIGKILL until the other nodes have taken
 * the dead one out of `/cluster`, with heartbeats of 200 ms instead of 5 s; `lost/kill` counts calls that failed, which
 * are those that were in flight on the dead node, and `silence` is the longest time without any good answer. Fifty
 * kills over all rounds; a replacement starts at once, under another id and on the same port.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { LatencyHistogram } from '../measure/histogram.ts';
import type { Sample } from '../report/model.ts';
import { Cluster } from '../servers/cluster.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { exchange } from '../wire/exchange.ts';
import type { WireRequest } from '../wire/request.ts';
import { ECHO_TEXT, modernEcho } from './calls.ts';
import { withoutNaN } from './load-variant.ts';
import type { Round, Variant } from './scenario.ts';

const NODES = 3;
const KILLS = 50;
const KILLS_QUICK = 3;
const HEARTBEAT_MS = 200;
const LOOK_MS = 10;
const GONE_MS_MAX = 10_000;
const PER_SECOND = 200;

/** Open loop: calls leave on time whatever becomes of them. */
class SteadyCalls {
  readonly #url: string;
  readonly #request: WireRequest;
  readonly #timer: NodeJS.Timeout;
  readonly #pending = new Set<Promise<void>>();
  lost = 0;
  answered = 0;
  silenceMaxMs = 0;
  problem = '';
  #lastGoodMs = performance.now();

  constructor(url: string) {
    this.#url = url;
    this.#request = modernEcho();
    this.#timer = setInterval(() => this.#send(), 1000 / PER_SECOND);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  #send(): void {
    const call = exchange(this.#url, this.#request)
      .then(
        (reply) => (reply.status === 200 && reply.text.includes(ECHO_TEXT) ? '' : `${reply.status} ${reply.text}`),
        (error: unknown) => String(error),
      )
      .then((problem) => {
        this.#pending.delete(call);
        this.#note(problem);
      });
    this.#pending.add(call);
  }

  #note(problem: string): void {
    if (problem !== '') {
      this.lost++;
      this.problem = problem.slice(0, 200);
      return;
    }
    const nowMs = performance.now();
    this.answered++;
    this.silenceMaxMs = Math.max(this.silenceMaxMs, nowMs - this.#lastGoodMs);
    this.#lastGoodMs = nowMs;
  }
}

async function goneAfterMs(others: readonly ServerProcess[], id: string, stopped: AbortSignal): Promise<number> {
  const killedMs = performance.now();
  const knows = async ({ url }: ServerProcess): Promise<boolean> => {
    const { nodes } = (await (await fetch(new URL('/cluster', url))).json()) as { nodes: readonly { id: string }[] };
    return nodes.some((node) => node.id === id);
  };
  while ((await Promise.all(others.map(knows))).includes(true)) {
    if (performance.now() - killedMs > GONE_MS_MAX) throw new Error(`${id} is still there after ${GONE_MS_MAX} ms`);
    await wait(LOOK_MS, undefined, { signal: stopped });
  }
  return performance.now() - killedMs;
}

async function kills(cluster: Cluster, count: number, stopped: AbortSignal): Promise<Sample> {
  const ids = cluster.nodes.map((_, i) => `node-${i + 1}`);
  const histogram = new LatencyHistogram();
  const calls = new SteadyCalls(cluster.balancer.url);
  for (let i = 0; i < count && !stopped.aborted; i++) {
    const at = i % NODES;
    const victim = cluster.nodes[at] as ServerProcess;
    const others = cluster.nodes.filter((node) => node !== victim);
    await victim.kill();
    const gone = goneAfterMs(others, ids[at] as string, stopped);
    const [replacement, ms] = await Promise.all([cluster.node(Number(new URL(victim.url).port), at), gone]);
    cluster.nodes[at] = replacement;
    ids[at] = cluster.lastId;
    histogram.record(ms * 1000);
    await cluster.balancer.untilUp(NODES);
  }
  await calls.stop();
  return {
    figures: withoutNaN({
      p50Us: histogram.percentileUs(50),
      p99Us: histogram.percentileUs(99),
      maxUs: histogram.maxUs,
      lostPerKill: calls.lost / Math.max(1, histogram.count),
      outageMaxMs: calls.silenceMaxMs,
    }),
    curveUs: histogram.curve(),
    curveCount: histogram.count,
    intervals: [],
    client: 'own',
    problem: calls.problem === '' ? '' : `in flight on a node that was killed: ${calls.problem}`,
  };
}

async function measure({ plan, stopped }: Round): Promise<Sample> {
  const flags = ['--workers', '1', '--heartbeat-ms', String(HEARTBEAT_MS)];
  const cluster = await Cluster.start({ nodes: NODES, flags: () => flags, balanced: true });
  try {
    return await kills(cluster, plan.quick ? KILLS_QUICK : Math.ceil(KILLS / plan.rounds), stopped);
  } finally {
    await cluster.end();
  }
}

export const failover: Variant = {
  name: 'a node killed',
  role: 'millrace',
  quick: true,
  measure,
};
