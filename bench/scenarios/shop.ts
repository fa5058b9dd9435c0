/**
 * Tools that wait for a database and an API: the workload of TM Dev Lab's second MCP benchmark.
 *
 * Role: fifty users; a visit is four sessions, each `initialize` and one request: three tool calls and one list. Once as
 * published, with a pause of 50 ms after each visit, once by the clock without it. Redis and the API are started anew
 * for every round, and are not part of the server's CPU and memory.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { IterationJob, SessionStep } from '../load/job.ts';
import { runIterationLoad } from '../load/run-load.ts';
import type { Sample } from '../report/model.ts';
import { control, fileBeside, millrace } from '../servers/commands.ts';
import { redisMissing, startRedis } from '../servers/redis.ts';
import { type ServerCommand, type ServerProcess, startServer } from '../servers/server-process.ts';
import { RedisClient } from '../tools/shop/redis-client.ts';
import { cartKey, POPULARITY_KEY } from '../tools/shop/shop.ts';
import { openSession, resultOf } from '../wire/exchange.ts';
import { initialize, LEGACY_CALLER, message, toolCall } from '../wire/messages.ts';
import { sampleOf, watched } from './load-variant.ts';
import type { Plan, Round, Scenario, Variant } from './scenario.ts';

const USERS = 50;
const PAUSE_MS = 50;
const VISITS_PER_SECOND = 100;
const SHOPPERS = 1000;
const CART_ITEMS = 3;
const PRODUCTS = 100_000;
const CATEGORIES = ['books', 'games', 'garden', 'kitchen', 'music', 'shoes', 'sports', 'tools', 'toys', 'travel'];

interface Backends {
  readonly redisPort: number;
  readonly apiUrl: string;
}

interface Peer {
  readonly name: string;
  readonly role: Variant['role'];
  readonly quick: boolean;
  readonly server: (plan: Plan, backends: Backends, folder: string) => ServerCommand;
}

const PEERS: readonly Peer[] = [
  { name: 'millrace', role: 'millrace', quick: true, server: ours },
  {
    name: 'SDK v1 stateless',
    role: 'peer',
    quick: false,
    server: (_plan, backends) => control('sdk-v1', { toolset: 'shop', ...backends }),
  },
  {
    name: 'SDK v2 createMcpHandler',
    role: 'peer',
    quick: false,
    server: (_plan, backends) => control('sdk-v2', { toolset: 'shop', ...backends }),
  },
];

/** A tool folder whose one module says where the data are. */
function ours(plan: Plan, { apiUrl, redisPort }: Backends, folder: string): ServerCommand {
  const tools = pathToFileURL(fileBeside(`tools/shop/shop-tools${import.meta.url.slice(-3)}`)).href;
  writeFileSync(
    join(folder, 'shop.mjs'),
    `import { shopTools } from ${JSON.stringify(tools)};\nexport const tools = shopTools(${JSON.stringify(apiUrl)}, ${redisPort});\n`,
  );
  return millrace('--workers', String(plan.workers), '--no-builtin-tools', '--tools', folder);
}

function variant(peer: Peer, visitsPerSecond: number): Variant {
  const how = visitsPerSecond === 0 ? '' : `, ${visitsPerSecond} visits/s`;
  return {
    name: `${peer.name}${how}`,
    role: peer.role,
    quick: peer.quick && visitsPerSecond === 0,
    measure: (round) => measure(peer, visitsPerSecond, round),
  };
}

async function measure(peer: Peer, visitsPerSecond: number, round: Round): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const started: ServerProcess[] = [];
  try {
    const redis = await startRedis();
    started.push(redis);
    const api = await startServer(control('shop-api', {}));
    started.push(api);
    await seed(redis.port);
    const server = await startServer(peer.server(round.plan, { redisPort: redis.port, apiUrl: api.url }, folder));
    started.push(server);
    return await visit(server, visitsPerSecond, round);
  } finally {
    for (const server of started.reverse()) await server.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function visit(server: ServerProcess, visitsPerSecond: number, { plan, stopped }: Round): Promise<Sample> {
  const visits = Array.from({ length: USERS }, (_, user) => visitOf(user));
  await check(server.url, visits[0] ?? []);
  const job: IterationJob = {
    url: server.url,
    users: USERS,
    visits,
    initialize: initialize(LEGACY_CALLER),
    pauseMs: PAUSE_MS,
    visitsPerSecond,
    warmupMs: plan.warmupMs,
    durationMs: plan.durationMs,
  };
  const { run, usage } = await watched(server.pid, (measuring) => runIterationLoad(job, measuring, stopped));
  return sampleOf(run, usage);
}

function visitOf(user: number): SessionStep[] {
  const userId = `user-${(user * 7) % SHOPPERS}`;
  const category = CATEGORIES[user % CATEGORIES.length];
  const minPrice = (user * 13) % 900;
  const items = [
    { productId: (user * 977) % PRODUCTS, quantity: 1 },
    { productId: (user * 3571) % PRODUCTS, quantity: 2 },
  ];
  const call = (name: string, args: object): SessionStep['request'] => toolCall(LEGACY_CALLER, name, args, 1);
  return [
    { request: call('search_products', { category, minPrice, maxPrice: minPrice + 100 }), contains: 'popular' },
    { request: call('get_user_cart', { userId }), contains: 'history' },
    { request: call('checkout', { userId, items }), contains: 'confirmed' },
    { request: message(LEGACY_CALLER, 'tools/list', {}, 1, ''), contains: 'search_products' },
  ];
}

/** Every kind of request once, so that a tool that fails fast gets no figure. */
async function check(url: string, steps: readonly SessionStep[]): Promise<void> {
  for (const { request, contains } of steps) {
    const { sessionId } = await openSession(url, LEGACY_CALLER);
    const headers = sessionId === '' ? request.headers : { ...request.headers, 'mcp-session-id': sessionId };
    const result = await resultOf(url, { headers, body: request.body });
    if (result['isError'] === true || !JSON.stringify(result).includes(contains)) {
      throw new Error(`asked once, the server answered ${JSON.stringify(result).slice(0, 300)}`);
    }
  }
}

async function seed(redisPort: number): Promise<void> {
  const redis = new RedisClient(redisPort);
  const written: Promise<unknown>[] = [];
  for (let user = 0; user < SHOPPERS; user++) {
    const fields = Array.from({ length: CART_ITEMS }, (_, i) => [(user * 31 + i * 101) % PRODUCTS, i + 1]).flat();
    written.push(redis.call('HSET', cartKey(`user-${user}`), ...fields));
    written.push(redis.call('ZINCRBY', POPULARITY_KEY, user % 17, (user * 53) % PRODUCTS));
  }
  await Promise.all(written);
  redis.close();
}

export const shop: Scenario = {
  name: 'shop',
  title: `I/O-bound tools over Redis and an HTTP API, ${USERS} users (requests; by the clock: whole visits)`,
  columns: ['perSecond', 'p50Us', 'p95Us', 'p99Us', 'p999Us', 'cpuUsPerRequest', 'residentMiB', 'failed'],
  cannotShow: [
    'The published figures: there the server had two cores to itself; here load, Redis and API share them.',
    `The limit of a fast server: with the pause, ${USERS} users make at most ${(USERS * 8 * 1000) / PAUSE_MS} requests a second.`,
    'By the clock a row counts visits of eight requests, and its latency is of a visit from when it was due.',
  ],
  inSuite: { roundsMax: 1, variants: 'all' },
  roundsMax: 2,
  prepare: () => {
    const missing = redisMissing();
    if (missing !== null) return { variants: [], skipped: [missing] };
    return {
      variants: [0, VISITS_PER_SECOND].flatMap((rate) => PEERS.map((peer) => variant(peer, rate))),
      skipped: [],
    };
  },
};
