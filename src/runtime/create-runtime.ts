/**
 * The composition root: makes every part, joins them, and gives back a runtime to start and stop.
 *
 * Role: the only place that knows all parts. Reading it from top to bottom is the order in which things depend on each
 * other: catalogue, bus, engine, protocol (`protocol.ts`), front end.
 */
import { pathToFileURL } from 'node:url';
import { openAuthenticator } from '../auth/open.ts';
import { resourceMetadata } from '../auth/resource-metadata.ts';
import { createCatalogue, type MutableCatalogue } from '../catalogue/compile.ts';
import { INTERNAL_PREFIX } from '../cluster/peers/wire.ts';
import { compileSettings } from '../config/compile.ts';
import { inUrl } from '../config/host-name.ts';
import type { RawConfig } from '../config/raw.ts';
import type { Settings } from '../config/settings.ts';
import { Gate } from '../frontend/gate.ts';
import { openFrontEnd } from '../frontend/open.ts';
import type { FrontEnd } from '../frontend/port.ts';
import { refusePath } from '../frontend/refusal.ts';
import { type Endpoint, Router } from '../frontend/router.ts';
import { type StdioServer, serveStdio } from '../frontend/stdio/stdio.ts';
import { createLog } from '../observe/log.ts';
import { RuntimeMeters } from '../observe/meters.ts';
import { operationsEndpoints } from '../observe/operations.ts';
import type { Health, Log } from '../observe/port.ts';
import type { Authenticator } from '../protocol/authenticator.ts';
import { fault } from '../protocol/faults.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { Bus } from '../subscriptions/port.ts';
import type { ClusterNode } from './cluster.ts';
import { UNDER_WAY_MS, untilAnswered, untilNoticed } from './drain.ts';
import { createEngine, type Engine } from './engine.ts';
import { registerGauges } from './gauges.ts';
import { Member } from './member.ts';
import { Mounts } from './mounts.ts';
import { checkParts, type RuntimeParts } from './parts.ts';
import { assembleProtocol, type Protocol } from './protocol.ts';
import type { SharedState } from './shared-port.ts';
import { openSharedState } from './shared-state.ts';
import { type RuntimeStreams, type StreamsPorts, startStreams } from './streams.ts';
import { ToolSources } from './tool-sources.ts';

/** Expired sessions and tasks are looked for this often. */
const SWEEP_MS = 1000;
const MCP_PATH = '/mcp';
/** What this runtime can do, whatever it serves. */
const CAPABILITIES = {
  tools: true,
  resources: true,
  prompts: true,
  listChanged: true,
  subscribe: true,
  logging: true,
  tasks: true,
} as const;
const STREAMS_PATH = '/streams/';

/** Until streams are open, or when none are declared. */
const NO_STREAMS = {
  endpoint: {
    head(_head, reply) {
      refusePath(reply, fault('badRequest', 'no streams are declared here'));
      return null;
    },
    upgrade: () => ({ status: 404, message: 'no streams are declared here' }),
  },
} satisfies Pick<RuntimeStreams, 'endpoint'>;

/** Everything of a configuration file, beside the parts. `log`: default JSON lines on stderr, from `logLevel` on. */
export type RuntimeOptions = RawConfig & RuntimeParts & { readonly log?: Log };

export interface Runtime {
  readonly settings: Settings;
  readonly catalogue: MutableCatalogue;
  /** Starts the front end; resolves when requests are served. Rejects when the address cannot be listened on. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Serves one client over a pair of streams; resolves when the client has ended its input and was answered. */
  serveStdio(stdin: NodeJS.ReadableStream, stdout: NodeJS.WritableStream): Promise<void>;
  /** Prometheus text, as at `/metrics`. */
  metrics(): Promise<string>;
  /**
   * Not ready, and serving for `drainDelayMs`; then nothing new is accepted, work in flight ends (at most `graceMs`), and
   * everything closes. Default `shutdownGraceMs`. Called again it is the same close.
   */
  close(graceMs?: number): Promise<void>;
}

/**
 * A server that is ready but for its front end: tools are loaded, workers and streams have started. Options that are left
 * out have the defaults of `RawConfig`; files and the environment are not looked at. Rejects with `ConfigError`, which
 * lists every option that is wrong (`problems`), `DefinitionError`, `DefinitionProblem` (streams), or why something could
 * not be started; nothing is left running then.
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { modules, definitions, liveStreams, mcpServers, log, ...raw } = options;
  const settings = compileSettings(raw);
  const parts = { modules, definitions, liveStreams, mcpServers };
  checkParts(parts);
  return createRuntimeFrom(settings, log ?? createLog(settings.logLevel), parts);
}

export async function createRuntimeFrom(settings: Settings, log: Log, parts: RuntimeParts = {}): Promise<Runtime> {
  const authenticator = await openAuthenticator(settings.auth, log);
  const shared = await openSharedState(settings, log);
  let runtime: MillraceRuntime | null = null;
  try {
    runtime = new MillraceRuntime(settings, log, parts, { authenticator, shared });
    await runtime.start();
    return runtime;
  } catch (cause) {
    // Nobody else can close these: threads, timers and connections would keep the process alive.
    await (runtime === null ? shared.close() : runtime.close(0));
    throw cause;
  }
}

const urlOf = (module: string | URL): string =>
  module instanceof URL ? module.href : module.startsWith('file:') ? module : pathToFileURL(module).href;

/** What has to be waited for before a runtime can be put together. */
interface Ground {
  /** Null: authentication is off. */
  readonly authenticator: Authenticator | null;
  readonly shared: SharedState;
}

class MillraceRuntime implements Runtime {
  readonly settings: Settings;
  readonly catalogue: MutableCatalogue;
  readonly #log: Log;
  readonly #sources: ToolSources;
  readonly #mounts: Mounts;
  readonly #engine: Engine;
  /** Null: this node is alone. */
  readonly #cluster: ClusterNode | null;
  readonly #member: Member;
  readonly #protocol: Protocol;
  readonly #meters = new RuntimeMeters();
  readonly #router: Router;
  readonly #sweeper: NodeJS.Timeout;
  readonly #bus: Bus;
  readonly #shared: SharedState;
  readonly #authenticator: Authenticator | null;
  readonly #liveStreams: readonly StreamDefinition[];
  #streams: RuntimeStreams | null = null;
  #frontEnd: FrontEnd | null = null;
  #stdio: StdioServer | null = null;
  #status: Health['status'] = 'starting';
  #closing: Promise<void> | null = null;

  constructor(settings: Settings, log: Log, parts: RuntimeParts, { authenticator, shared }: Ground) {
    const now = (): number => performance.now();
    this.#shared = shared;
    this.#authenticator = authenticator;
    this.settings = settings;
    this.#log = log;
    this.#liveStreams = parts.liveStreams ?? [];
    this.#bus = shared.bus;
    this.catalogue = createCatalogue({
      pageSize: settings.pageSize,
      server: settings.server,
      listTtlMs: settings.listTtlMs,
      listCacheScope: settings.listCacheScope,
      capabilities: CAPABILITIES,
      secret: shared.secret,
    });
    this.#sources = this.#makeSources(parts);
    const { catalogue } = this;
    const meters = this.#meters;
    const bus = this.#bus;
    this.#mounts = new Mounts({
      servers: parts.mcpServers ?? [],
      urlOf,
      bus,
      log,
      give: (source, definitions) => this.#sources.give(source, definitions),
    });
    catalogue.onChange((changed) => {
      for (const list of changed) bus.publish({ kind: list === 'templates' ? 'resources' : list });
    });
    this.#engine = createEngine({ settings, catalogue, bus, log, meters, now, stateSecret: shared.secret });
    this.#cluster = this.#joinCluster();
    const { admission } = this.#engine;
    const load = (): number => admission.inFlight + admission.waiting;
    const seenTools = (): readonly string[] => this.#cluster?.seenTools ?? [];
    this.#member = new Member({ settings, shared, catalogue, load, seenTools, path: MCP_PATH });
    const dispatcher = this.#cluster?.dispatcher ?? this.#engine.dispatcher;
    this.#protocol = assembleProtocol({
      settings,
      catalogue,
      shared,
      authenticator,
      log,
      meters,
      now,
      dispatcher,
      // Over stdio alone it is no member: there are no others.
      knowsAllTools: () => this.#frontEnd === null || (this.#cluster?.knowsAllTools ?? true),
    });
    this.#engine.dispatcher.onForget = (tool) => this.#protocol.forgetResults(tool);
    this.#router = this.#makeRouter();
    registerGauges(meters, { engine: this.#engine, ...this.#protocol, frontEnd: () => this.#frontEnd });
    meters.gauge(
      'millrace_cluster_nodes',
      'Live nodes, as far as this one knows.',
      () => shared.membership.nodes.length,
    );
    meters.gauge('millrace_degraded', 'Degraded parts that do not stop service.', () => this.#health().degraded.length);
    this.#sweeper = setInterval(() => this.#protocol.sweep(), SWEEP_MS);
  }

  #makeSources(parts: RuntimeParts): ToolSources {
    const { settings } = this;
    return new ToolSources({
      catalogue: this.catalogue,
      builtinTools: settings.builtinTools,
      toolDirs: settings.toolDirs,
      modules: (parts.modules ?? []).map(urlOf),
      definitions: parts.definitions ?? [],
      watch: settings.watch,
      log: this.#log,
      runs: this.#shared.runs,
      swapped: (own) => this.#cluster?.offer(own),
    });
  }

  #makeRouter(): Router {
    const { peers } = this.#shared;
    const meters = this.#meters;
    const ingest: Endpoint = {
      head: (head, reply) => (this.#streams ?? NO_STREAMS).endpoint.head(head, reply),
      upgrade: (head) => (this.#streams ?? NO_STREAMS).endpoint.upgrade(head),
    };
    const prefixes: [string, Endpoint][] = [[STREAMS_PATH, ingest]];
    if (peers !== null) {
      prefixes.push([INTERNAL_PREFIX, peers.endpoint]);
      peers.onRefused = (status) => meters.httpRefused(status);
    }
    const { connections, mcp } = this.#protocol;
    return new Router(new Gate(this.settings), this.#endpoints(mcp), prefixes, connections, meters);
  }

  #joinCluster(): ClusterNode | null {
    const { admission, dispatcher } = this.#engine;
    const joined = this.#shared.redis?.joinCluster({
      catalogue: this.catalogue,
      dispatcher,
      load: () => admission.inFlight + admission.waiting,
      learn: (definitions) => this.#sources.learn(definitions),
      meters: this.#meters,
      now: () => performance.now(),
    });
    return joined ?? null;
  }

  #endpoints(mcp: Endpoint): ReadonlyMap<string, Endpoint> {
    const endpoints = new Map<string, Endpoint>([[MCP_PATH, mcp]]);
    const operations = operationsEndpoints({
      health: () => this.#health(),
      meters: this.#meters,
      nodes: () => this.#member.nodes(),
      warnings: () => this.#member.warnings(),
      log: this.#log,
    });
    for (const [path, endpoint] of operations) endpoints.set(path, endpoint);
    const metadata = this.settings.auth === null ? null : resourceMetadata(this.settings.auth);
    for (const path of metadata?.paths ?? []) if (metadata !== null) endpoints.set(path, metadata.endpoint);
    return endpoints;
  }

  #health(): Health {
    const degraded = this.#engine.liveWorkers() < this.settings.workers ? ['workers'] : [];
    return {
      status: this.#status,
      degraded: [...degraded, ...this.#shared.degraded, ...(this.#streams?.degraded ?? [])],
    };
  }

  #url(port: number): string {
    return `${this.settings.tls === null ? 'http' : 'https'}://${inUrl(this.settings.host)}:${port}${MCP_PATH}`;
  }

  async start(): Promise<void> {
    await this.#sources.load();
    await this.#mounts.open();
    await this.#engine.ready;
    this.#streams = await startStreams(this.#streamsPorts(), this.#liveStreams);
    this.#cluster?.start(this.#sources.own);
  }

  #streamsPorts(): StreamsPorts {
    return {
      settings: this.settings,
      engine: this.#engine,
      shared: this.#shared,
      bus: this.#bus,
      log: this.#log,
      meters: this.#meters,
      authenticator: this.#authenticator,
      give: (source, given) => this.#sources.give(source, given),
    };
  }

  async listen(): Promise<{ url: string; port: number }> {
    const { frontend, host, limits, port, tls } = this.settings;
    const messages = { path: MCP_PATH, prefix: STREAMS_PATH, handler: this.#router };
    const frontEnd = await openFrontEnd(frontend, { host, port, tls, limits }, this.#router, messages, this.#log);
    this.#frontEnd = frontEnd;
    const { intake } = this.#engine.admission;
    intake.onPause = () => frontEnd.pauseReading();
    // Later: what is handed on then goes through admission, which is in the middle of something now.
    intake.onResume = () => setImmediate(() => !intake.paused && frontEnd.resumeReading());
    await this.#member.join(frontEnd.port);
    await this.#cluster?.ready();
    // Unless it was closed meanwhile.
    if (this.#status === 'starting') this.#status = 'running';
    return { url: this.#url(frontEnd.port), port: frontEnd.port };
  }

  async serveStdio(stdin: NodeJS.ReadableStream, stdout: NodeJS.WritableStream): Promise<void> {
    this.#status = 'running';
    const { limits, requestTimeoutMs } = this.settings;
    const streams = { stdin, stdout } as Parameters<typeof serveStdio>[1];
    const drainMsMax = requestTimeoutMs;
    this.#stdio = serveStdio(this.#protocol.connections, streams, { ...limits, drainMsMax });
    await this.#stdio.done;
  }

  metrics(): Promise<string> {
    return this.#meters.render();
  }

  #turn(status: Health['status']): void {
    this.#status = status;
    this.#member.turn(status);
  }

  close(graceMs = this.settings.shutdownGraceMs): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<void> {
    this.#turn('draining');
    await untilNoticed(this.#frontEnd, this.settings.drainDelayMs);
    this.#frontEnd?.stopAccepting();
    const closedAtMs = performance.now();
    const endMs = closedAtMs + graceMs;
    clearInterval(this.#sweeper);
    this.#sources.close();
    this.#stdio?.close();
    const endStreams = (): void => this.#protocol.endStreams();
    endStreams();
    await this.#streams?.close();
    await this.#engine.drain(graceMs);
    await this.#cluster?.drain(endMs - performance.now());
    // What had reached a connection that is open is still served.
    const underWayMs = this.settings.drainDelayMs > 0 ? UNDER_WAY_MS : 0;
    await untilAnswered(this.#frontEnd, endStreams, endMs - performance.now(), closedAtMs + underWayMs);
    this.#engine.stop();
    this.#cluster?.stop();
    await untilAnswered(this.#frontEnd, endStreams, 0);
    this.#turn('stopping');
    await this.#frontEnd?.close();
    await this.#engine.close();
    await this.#mounts.close();
    await this.#cluster?.close();
    await this.#protocol.close();
    await this.#shared.close();
    this.#meters.close();
  }
}
