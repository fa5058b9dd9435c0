/**
 * Joins the live streams to the runtime: threads of the pool, MCP definitions, subscriptions, ingest endpoint, meters.
 *
 * Role: what `create-runtime.ts` needs of `src/streams`, which is loaded only when streams are declared.
 */
import type { Principal } from '../catalogue/define.ts';
import type { SourcedDefinition } from '../catalogue/entries.ts';
import {
  foldersOf,
  type PlacedStream,
  placedIn,
  placedStreams,
  placesOf,
  toldInPlace,
} from '../config/placed-streams.ts';
import { modulesFrom } from '../config/reducer-modules.ts';
import type { Settings } from '../config/settings.ts';
import type { RequestHead } from '../frontend/port.ts';
import type { Endpoint } from '../frontend/router.ts';
import type { Log, Meters } from '../observe/port.ts';
import { type Authenticator, type AuthRefusal, isAuthRefusal } from '../protocol/authenticator.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { StreamFacts, Streams } from '../streams/engine/port.ts';
import type { PoolThreads } from '../streams/engine/threads/pool-threads.ts';
import type { Admission, Refused } from '../streams/ingest/http-endpoint.ts';
import type { StreamsOptions } from '../streams/open.ts';
import type { Bus } from '../subscriptions/port.ts';
import { atMost } from '../waiting.ts';
import type { Engine } from './engine.ts';
import type { SharedState } from './shared-port.ts';
import { registerStreamMeters } from './stream-meters.ts';

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
  /** Of the streams that run here, once they have started. */
  listOwn(): readonly StreamFacts[];
  close(): Promise<void>;
}

type Declared = Pick<StreamsOptions, 'definitions' | 'kinds' | 'placeOf'>;

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
  const names = service.definitions.map(({ name }) => name);
  registerStreamMeters(meters, names, () => streams.listOwn());
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
  const declared = { definitions, kinds, placeOf: placesOf(placed) };
  try {
    return await (replicated ? openReplicated : openLocal)(ports, declared, threads);
  } catch (error) {
    if (!(error instanceof DefinitionProblem)) throw error;
    throw new DefinitionProblem(error.problems.map((problem) => toldInPlace(problem, placed)));
  }
}

async function openLocal({ log, settings }: StreamsPorts, declared: Declared, threads: PoolThreads): Promise<Opened> {
  const [{ openStreams }, { openStores }, { checkDeclaration }] = await Promise.all([
    import('../streams/open.ts'),
    import('../streams/stores.ts'),
    import('../streams/engine/connectors/check-declaration.ts'),
  ]);
  const { definitions, kinds } = declared;
  checkDeclaration(definitions, kinds, { epoch: 0, shards: settings.streaming.shards });
  const { close, service } = await openStreams({
    ...settings.streaming,
    ...declared,
    stores: () => openStores({ ...settings.streaming, definitions }),
    threads: () => threads,
    log,
    now: Date.now,
    monotonic: () => performance.now(),
    goesOnBehindSinks: true,
  });
  return { service, listOwn: () => (service.starting ? [] : service.list()), close };
}

/** Streams that are `replicated` go from node to node; those beside them stay here. */
async function openReplicated(
  { log, meters, settings, shared }: StreamsPorts,
  declared: Declared,
  threads: PoolThreads,
): Promise<Opened> {
  const { leases, membership, peers } = shared;
  if (shared.redis === null || peers === null) {
    const { DefinitionProblem } = await import('../streams/define/definition-problem.ts');
    const index = declared.definitions.findIndex(({ durability }) => durability === 'replicated');
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
  // The connection logs it and goes on trying. A unit that is opened before it stands would be given back at once.
  const standing = redis.ready().catch(() => undefined);
  await atMost(standing, CONNECT_MS_MAX);
  const streams = await openClusterStreams({
    ...settings.streaming,
    ...declared,
    leases,
    membership,
    peers,
    redis,
    prefix,
    askMsMax: settings.requestTimeoutMs,
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
