/**
 * Many nodes: what one more brings behind HAProxy, what sharing costs, and what a kill does.
 *
 * Role: everything here runs on one machine, so rows behind HAProxy mostly show what the balancer and the sharing of
 * cores cost. What is asserted whatever the machine: stateless calls make no command to Redis, and none fails.
 */
import { closedLoop, type LoadGroup } from '../load/job.ts';
import { clusterMissing } from '../servers/cluster.ts';
import { millrace, toolFolder } from '../servers/commands.ts';
import { resultOf } from '../wire/exchange.ts';
import { MODERN_CALLER, toolCall } from '../wire/messages.ts';
import { ECHO_TEXT, echoCalls, sessionEchoCalls } from './calls.ts';
import { failover } from './failover.ts';
import { idleAlone, idleWithRedis } from './idle-node.ts';
import { saturatedVariant } from './load-variant.ts';
import { nodeFanOut } from './node-fan-out.ts';
import type { Plan, Scenario, Variant } from './scenario.ts';
import { type SharedVariant, shared } from './shared-nodes.ts';

type Calls = (url: string, connections: number) => Promise<LoadGroup>;

const workers = ({ workers: count }: Plan): string[] => ['--workers', String(count)];
const cached = (plan: Plan): string[] => [...workers(plan), '--tools', toolFolder('cached')];
/** A node keeps 10,000 results in memory: asked for more than these in turn, it finds each in Redis. */
const REDIS_KEYS = 12_000;
const cachedEcho = (url: string, plan: Plan): Promise<LoadGroup> =>
  echoCalls(url, plan.connections, MODERN_CALLER, 'echo_cached');

async function cachedElsewhere(url: string, { connections }: Plan): Promise<LoadGroup> {
  const requests = Array.from({ length: REDIS_KEYS }, (_, i) =>
    toolCall(MODERN_CALLER, 'echo_cached', { text: `${ECHO_TEXT} ${i}` }, 1),
  );
  await inTurn(requests, connections, (request) => resultOf(url, request));
  return closedLoop('echo', requests, connections, ECHO_TEXT);
}

async function inTurn<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const rest = items.values();
  const one = async (): Promise<void> => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

/** One node without Redis, asked without a balancer: what everything else is held against. */
const alone = (name: string, calls: Calls): Variant =>
  saturatedVariant({
    name,
    role: 'millrace',
    quick: true,
    server: (plan) => millrace(...workers(plan)),
    load: async (url, plan) => [await calls(url, plan.connections)],
  });

const saturated = (name: string, nodes: number, way: SharedVariant['way'], calls: Calls, quick: boolean): Variant =>
  shared({
    name,
    nodes,
    way,
    quick,
    saturated: true,
    flags: workers,
    load: (url, plan) => calls(url, plan.connections),
  });

/** One call at a time at the first of two nodes, which runs `echo` itself, or leaves it to the other. */
const oneByOne = (name: string, forwards: boolean): Variant =>
  shared({
    name,
    nodes: 2,
    way: 'direct',
    quick: false,
    saturated: true,
    flags: (plan, index) => [...workers(plan), ...(forwards && index === 0 ? ['--cluster-offer', 'hash'] : [])],
    load: (url) => echoCalls(url, 1),
  });

const VARIANTS: readonly Variant[] = [
  alone('1 node, no Redis', echoCalls),
  saturated('1 node', 1, 'direct', echoCalls, false),
  saturated('1 behind HAProxy', 1, 'balancer', echoCalls, false),
  saturated('2 behind HAProxy', 2, 'balancer', echoCalls, false),
  saturated('3 behind HAProxy', 3, 'balancer', echoCalls, true),
  alone('session, no Redis', sessionEchoCalls),
  saturated('session, 1 node', 1, 'direct', sessionEchoCalls, false),
  saturated('session, 3 nodes', 3, 'balancer', sessionEchoCalls, true),
  shared({
    name: 'result cached',
    nodes: 1,
    way: 'direct',
    quick: false,
    saturated: true,
    flags: cached,
    load: cachedEcho,
  }),
  shared({
    name: 'result cached in Redis',
    nodes: 1,
    way: 'direct',
    quick: false,
    saturated: true,
    flags: cached,
    load: cachedElsewhere,
  }),
  oneByOne('one by one, here', false),
  oneByOne('one by one, sent on', true),
  nodeFanOut,
  failover,
  idleAlone,
  idleWithRedis,
];

export const cluster: Scenario = {
  name: 'cluster',
  title:
    'nodes that share a Redis. Killed: latency until it is out of /cluster, calls lost each; news: latency to streams on three nodes; idle: CPU',
  columns: [
    'perSecond',
    'p50Us',
    'p99Us',
    'cpuUsPerRequest',
    'redisPerRequest',
    'lostPerKill',
    'outageMaxMs',
    'idleCpuShare',
    'failed',
  ],
  cannotShow: [
    'What more nodes bring: on one machine they share the cores with each other, HAProxy, Redis and the load client.',
    'Networks: Redis, balancer and nodes are a loopback apart.',
    'CPU of HAProxy and Redis: CPU/req is of the nodes alone. Redis: commands per request, heartbeats included.',
    'What a kill costs with the usual heartbeats of 5 s: it is known within three of them, here of 200 ms each.',
  ],
  inSuite: null,
  roundsMax: 3,
  prepare: () => {
    const missing = clusterMissing();
    return missing === null ? { variants: VARIANTS, skipped: [] } : { variants: [], skipped: [missing] };
  },
};
