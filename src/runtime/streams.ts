/**
 * Joins the live streams to the runtime: threads of the pool, MCP definitions, subscriptions, ingest endpoint, gauges.
 *
 * Role: what `create-runtime.ts` needs of `src/streams`, which is loaded only when streams are declared.
 */

import { setTimeout as pause } from 'node:timers/promises';
import type { Principal } from '../catalogue/define.ts';
import type { SourcedDefinition } from '../catalogue/entries.ts';
import { foldersOf, type PlacedStream, placedIn, placedStreams, toldInPlace } from '../config/placed-streams.ts';
import { modulesFrom } from '../config/reducer-modules.ts';
import type { Settings } from '../config/settings.ts';
import type { RequestHead } from '../frontend/port.ts';
import type { Endpoint } from '../frontend/router.ts';
import type { Log, Meters } from '../observe/port.ts';
import { type Authenticator, type AuthRefusal, isAuthRefusal } from '../protocol/authenticator.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { ConnectorKinds } from '../streams/engine/connectors/connectors.ts';
import type { StreamFacts, Streams } from '../streams/engine/port.ts';
import type { PoolThreads } from '../streams/engine/threads/pool-threads.ts';
import type { Admission, Refused } from '../streams/ingest/http-endpoint.ts';
import type { Bus } from '../subscriptions/port.ts';
import type { Engine } from './engine.ts';
import type { SharedState } from './shared-port.ts';

/** For Redis to answer before the node goes on starting without it. */
const CONNECT_MS_MAX = 3_000;

export interface StreamsPorts {
  readonly settings: Settings;
  readonly engine: Engine;
  readonly shared: Pick<SharedState, 'redis' | 'membership' | 'leases' | 'peers'>;
  readonly bus: Bus;
  readonly log: Log;
  readonly meters: Meters;
  readonly authenticator: Authenticator | null;
  readonly give: (source: string, definitions: readonly SourcedDefinition[]) => void;
}

export interface RuntimeStreams {
  readonly endpoint: Required<Endpoint>;
  readonly degraded: readonly string[];
  close(): Promise<void>;
}

/** Streams of this node alone, or of all nodes. */
interface Opened {
  readonly service: Streams & { onDefined(listener: () => void): void };
  /** Of the streams that run here. */
  listOwn(): readonly StreamFacts[];
  close(): Promise<void>;
}

/** Null when no streams are declared. Rejects when they cannot be opened. */
export async function startStreams(
  ports: StreamsPorts,
  declared: readonly StreamDefinition[],
): Promise<RuntimeStreams | null> {
  const { settings } = ports;
  const cwd = process.cwd();
  const placed = [
    ...(await placedStreams(settings.streaming, cwd)),
    ...placedIn(modulesFrom(declared, cwd), 'liveStreams', cwd),
  ];
  if (placed.length === 0) return null;
  const [{ PoolThreads }, { StreamEndpoint }, { streamDefinitions }, { uriOf }] = await Promise.all([
    import('../streams/engine/threads/pool-threads.ts'),
    import('../streams/ingest/http-endpoint.ts'),
    import('../streams/mcp/definitions.ts'),
    import('../streams/mcp/describe.ts'),
  ]);
  const { bus, engine, log, meters } = ports;
  const threads = new PoolThreads(engine.streamPorts(), settings.streaming.taskMsMax);
  engine.onWorker(() => threads.pump());
  const streams = await opened(ports, placed, threads);
  const { service } = streams;
  const publish = (): void => ports.give('streams', streamDefinitions(service));
  publish();
  service.onChange(({ kind, operator, stream }) => {
    bus.publish({ kind: 'resource', uri: uriOf(stream, kind, operator) });
  });
  service.onDefined(publish);
  registerStreamGauges(meters, streams);
  const admit = (head: RequestHead) => admissionOf(ports.authenticator, head);
  return {
    endpoint: new StreamEndpoint({ streams: service, bodyBytesMax: settings.requestBytesMax, admit, log }),
    get degraded() {
      return service.degraded;
    },
    async close() {
      await streams.close();
      threads.close();
    },
  };
}

/** What is wrong with a definition is told with the place it was read from. */
async function opened(ports: StreamsPorts, placed: readonly PlacedStream[], threads: PoolThreads): Promise<Opened> {
  const definitions = placed.map(({ definition }) => definition);
  const replicated = definitions.some(({ durability }) => durability === 'replicated');
  const [{ DefinitionProblem }, { CONNECTOR_KINDS }] = await Promise.all([
    import('../streams/define/definition-problem.ts'),
    import('../streams/engine/connectors/connectors.ts'),
  ]);
  const kinds = { ...CONNECTOR_KINDS, folderOf: foldersOf(placed) };
  try {
    return await (replicated ? openReplicated : openLocal)(ports, definitions, kinds, threads);
  } catch (error) {
    if (!(error instanceof DefinitionProblem)) throw error;
    throw new DefinitionProblem(error.problems.map((problem) => toldInPlace(problem, placed)));
  }
}

async function openLocal(
  { log, settings }: StreamsPorts,
  definitions: readonly StreamDefinition[],
  kinds: ConnectorKinds,
  threads: PoolThreads,
): Promise<Opened> {
  const [{ openStreams }, { openStores }, { checkDeclaration }] = await Promise.all([
    import('../streams/open.ts'),
    import('../streams/stores.ts'),
    import('../streams/engine/connectors/check-declaration.ts'),
  ]);
  checkDeclaration(definitions, kinds, { epoch: 0, shards: settings.streaming.shards });
  const { close, service } = await openStreams({
    ...settings.streaming,
    definitions,
    kinds,
    stores: () => openStores({ ...settings.streaming, definitions }),
    threads: () => threads,
    log,
    now: Date.now,
    goesOnBehindSinks: true,
  });
  return { service, listOwn: () => service.list(), close };
}

/** Streams that are `replicated` go from node to node; those beside them stay here. */
async function openReplicated(
  { log, meters, settings, shared }: StreamsPorts,
  definitions: readonly StreamDefinition[],
  kinds: ConnectorKinds,
  threads: PoolThreads,
): Promise<Opened> {
  const { leases, membership, peers } = shared;
  if (shared.redis === null || peers === null) {
    const { DefinitionProblem } = await import('../streams/define/definition-problem.ts');
    const index = definitions.findIndex(({ durability }) => durability === 'replicated');
    const expected = 'fsync or memory: there is no redisUrl';
    throw DefinitionProblem.of(`streams[${index}].durability`, 'replicated', expected);
  }
  const [{ openClusterStreams }, { openStores }, { RedisConnection }] = await Promise.all([
    import('../streams/cluster/open.ts'),
    import('../streams/stores.ts'),
    import('../redis/connection.ts'),
  ]);
  const { commandMsMax, prefix, tlsCaFile } = settings.cluster;
  // Of its own: records and checkpoints would hold up what is short.
  const redis = new RedisConnection(settings.redisUrl, 'streams', log, { commandMsMax, tlsCaFile });
  // Told by the connection, which goes on trying. A unit that is opened before it stands would be given back at once.
  const standing = redis.ready().catch(() => undefined);
  await Promise.race([standing, pause(CONNECT_MS_MAX, undefined, { ref: false })]);
  const streams = await openClusterStreams({
    ...settings.streaming,
    definitions,
    leases,
    membership,
    peers,
    redis,
    prefix,
    askMsMax: settings.requestTimeoutMs,
    kinds,
    stores: (local) => openStores({ ...settings.streaming, definitions: local }),
    threads: (seat) => threads.forEngine(seat),
    log,
    now: Date.now,
  });
  meters.gauge('millrace_stream_units', 'Units of replicated streams this node runs.', () => streams.owned.length);
  return {
    service: streams.service,
    listOwn: () => streams.service.listOwn(),
    async close() {
      await streams.close();
      redis.close();
    },
  };
}

function admissionOf(authenticator: Authenticator | null, head: RequestHead): Admission | Promise<Admission> {
  if (authenticator === null) return { sender: '' };
  const verdict = authenticator.authenticate(head.header('authorization'));
  return verdict instanceof Promise ? verdict.then(admissionBy) : admissionBy(verdict);
}

const admissionBy = (verdict: Principal | AuthRefusal): Admission =>
  isAuthRefusal(verdict) ? refusedBy(verdict) : { sender: verdict.id };

function refusedBy({ message, status, wwwAuthenticate }: AuthRefusal): Refused {
  return { status, message, headers: [['WWW-Authenticate', wwwAuthenticate]] };
}

const sumOf = (counts: Readonly<Record<string, number>> = {}): number =>
  Object.values(counts).reduce((sum, each) => sum + each, 0);

function registerStreamGauges(meters: Meters, streams: Opened): void {
  for (const { name } of streams.service.definitions) {
    const of = (): StreamFacts | undefined => streams.listOwn().find((each) => each.name === name);
    const labels = { stream: name };
    meters.gauge('millrace_stream_events', 'Events accepted.', () => of()?.counters.accepted ?? 0, labels);
    meters.gauge('millrace_stream_late', 'Late events dropped.', () => of()?.counters.late ?? 0, labels);
    meters.gauge('millrace_stream_rejected', 'Poison events.', () => of()?.counters.rejected ?? 0, labels);
    meters.gauge('millrace_stream_results', 'Results emitted.', () => of()?.counters.results ?? 0, labels);
    meters.gauge(
      'millrace_stream_pending_bytes',
      'Bytes accepted and not applied.',
      () => of()?.pendingBytes ?? 0,
      labels,
    );
    const spilledOf = (): number => of()?.spilledBytes ?? 0;
    meters.gauge(
      'millrace_stream_spilled_bytes',
      'Bytes of state on disk that memory has no room for.',
      spilledOf,
      labels,
    );
    const droppedOf = (): number => sumOf(of()?.partialsDropped);
    meters.gauge('millrace_stream_partials_dropped', 'Partial matches given up at a limit.', droppedOf, labels);
    const evictedOf = (): number => sumOf(of()?.keysEvicted);
    meters.gauge('millrace_stream_keys_evicted', 'Idle keys let go for want of room.', evictedOf, labels);
    const refusedOf = (): number => of()?.resultsRefused ?? 0;
    meters.gauge('millrace_stream_results_refused', 'Results that sinks refused for good.', refusedOf, labels);
    const failedOf = (): number => sumOf(of()?.resultsFailed);
    meters.gauge(
      'millrace_stream_results_failed',
      'Results without values that a reducer threw for.',
      failedOf,
      labels,
    );
    const lostOf = (): number => of()?.alertCallsLost ?? 0;
    meters.gauge('millrace_stream_alert_calls_lost', 'Webhook calls of alerts no receiver took.', lostOf, labels);
    const missedOf = (): number => of()?.stepsLeftOut ?? 0;
    meters.gauge('millrace_stream_steps_left_out', 'Watermarks and ticks no thread could apply.', missedOf, labels);
    const lagOf = (): number => Math.max(0, Date.now() - (of()?.watermark ?? Date.now()));
    meters.gauge('millrace_stream_watermark_lag_ms', 'Wall clock minus watermark.', lagOf, labels);
  }
}
