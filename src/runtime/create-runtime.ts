/**
 * The composition root: makes every part, joins them, and gives back a runtime to start and stop.
 *
 * Role: the only place that knows all parts. Reading it from top to bottom is the order in which things depend on each
 * other: catalogue, bus, engine, protocol (`protocol.ts`), front end.
 */
import { pathToFileURL } from 'node:url';
import { resourceMetadata } from '../auth/resource-metadata.ts';
import { createCatalogue, type MutableCatalogue } from '../catalogue/compile.ts';
import type { Definition } from '../catalogue/define.ts';
import { compileSettings } from '../config/compile.ts';
import { inUrl } from '../config/host-name.ts';
import type { RawConfig } from '../config/raw.ts';
import type { Settings } from '../config/settings.ts';
import { Gate } from '../frontend/gate.ts';
import { openFrontEnd } from '../frontend/open.ts';
import type { FrontEnd } from '../frontend/port.ts';
import { refuseWith } from '../frontend/refusal.ts';
import { type Endpoint, Router } from '../frontend/router.ts';
import { type StdioServer, serveStdio } from '../frontend/stdio/stdio.ts';
import { createLog } from '../observe/log.ts';
import { RuntimeMeters } from '../observe/meters.ts';
import { operationsEndpoints } from '../observe/operations.ts';
import type { Health, Log } from '../observe/port.ts';
import { fault } from '../protocol/faults.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';
import type { Bus } from '../subscriptions/port.ts';
import { createEngine, type Engine } from './engine.ts';
import { registerGauges } from './gauges.ts';
import { type McpServerSource, Mounts } from './mounts.ts';
import { assembleProtocol, type Protocol } from './protocol.ts';
import { openSharedState, type SharedState } from './shared-state.ts';
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
      refuseWith(404, reply, fault('badRequest', 'no streams are declared here'));
      return null;
    },
    upgrade: () => ({ status: 404, message: 'no streams are declared here' }),
  },
} satisfies Pick<RuntimeStreams, 'endpoint'>;

export interface RuntimeParts {
  /** Modules (path or `file:` URL) whose exports are definitions: they can run in workers. */
  readonly modules?: readonly (string | URL)[];
  /** Definitions as objects: they must be `run: 'inline'`. */
  readonly definitions?: readonly Definition[];
  /** Servers made with the official SDK: their tools, resources and prompts are served by this runtime. */
  readonly mcpServers?: readonly McpServerSource[];
  /** Live streams, beside those of the configuration. */
  readonly liveStreams?: readonly StreamDefinition[];
}

/** Everything of a configuration file, beside the parts. */
export type RuntimeOptions = RawConfig & RuntimeParts & { readonly log?: Log };

export interface Runtime {
  readonly settings: Settings;
  readonly catalogue: MutableCatalogue;
  /** Starts the front end; resolves when requests are served. */
  listen(): Promise<{ readonly url: string; readonly port: number }>;
  /** Serves one client over a pair of streams; resolves when the client has ended its input and was answered. */
  serveStdio(stdin: NodeJS.ReadableStream, stdout: NodeJS.WritableStream): Promise<void>;
  /** Prometheus text, as at `/metrics`. */
  metrics(): Promise<string>;
  /** Not ready, then work in flight ends (at most `graceMs`), then everything closes. */
  close(graceMs?: number): Promise<void>;
}

export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const { modules, definitions, liveStreams, mcpServers, log, ...raw } = options;
  const settings = compileSettings(raw);
  return createRuntimeFrom(settings, log ?? createLog(settings.logLevel), {
    ...(modules === undefined ? {} : { modules }),
    ...(definitions === undefined ? {} : { definitions }),
    ...(mcpServers === undefined ? {} : { mcpServers }),
    ...(liveStreams === undefined ? {} : { liveStreams }),
  });
}

export async function createRuntimeFrom(settings: Settings, log: Log, parts: RuntimeParts = {}): Promise<Runtime> {
  const runtime = new MillraceRuntime(settings, log, parts, await openSharedState(settings, log));
  await runtime.start();
  return runtime;
}

const urlOf = (module: string | URL): string =>
  module instanceof URL ? module.href : module.startsWith('file:') ? module : pathToFileURL(module).href;

class MillraceRuntime implements Runtime {
  readonly settings: Settings;
  readonly catalogue: MutableCatalogue;
  readonly #log: Log;
  readonly #sources: ToolSources;
  readonly #mounts: Mounts;
  readonly #engine: Engine;
  readonly #protocol: Protocol;
  readonly #meters = new RuntimeMeters();
  readonly #router: Router;
  readonly #sweeper: NodeJS.Timeout;
  readonly #bus: Bus;
  readonly #shared: SharedState;
  readonly #liveStreams: readonly StreamDefinition[];
  #streams: RuntimeStreams | null = null;
  #frontEnd: FrontEnd | null = null;
  #stdio: StdioServer | null = null;
  #status: Health['status'] = 'starting';

  constructor(settings: Settings, log: Log, parts: RuntimeParts, shared: SharedState) {
    const now = (): number => performance.now();
    const stateSecret = shared.secret;
    this.#shared = shared;
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
      secret: stateSecret,
    });
    this.#sources = new ToolSources({
      catalogue: this.catalogue,
      builtinTools: settings.builtinTools,
      toolDirs: settings.toolDirs,
      modules: (parts.modules ?? []).map(urlOf),
      definitions: parts.definitions ?? [],
      watch: settings.watch,
      log,
    });
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
    this.#engine = createEngine({ settings, catalogue, bus, log, meters, now, stateSecret });
    this.#protocol = assembleProtocol({
      settings,
      catalogue,
      shared,
      log,
      meters,
      now,
      dispatcher: this.#engine.dispatcher,
    });
    const endpoints = this.#endpoints(this.#protocol.mcp);
    const ingest: Endpoint = {
      head: (head, reply) => (this.#streams ?? NO_STREAMS).endpoint.head(head, reply),
      upgrade: (head) => (this.#streams ?? NO_STREAMS).endpoint.upgrade(head),
    };
    const prefixes = [[STREAMS_PATH, ingest]] as const;
    this.#router = new Router(new Gate(settings), endpoints, prefixes, this.#protocol.connections, meters);
    registerGauges(meters, { engine: this.#engine, ...this.#protocol, frontEnd: () => this.#frontEnd });
    this.#sweeper = setInterval(() => this.#protocol.sweep(), SWEEP_MS);
  }

  #endpoints(mcp: Endpoint): ReadonlyMap<string, Endpoint> {
    const endpoints = new Map<string, Endpoint>([[MCP_PATH, mcp]]);
    const operations = operationsEndpoints({
      health: () => this.#health(),
      meters: this.#meters,
      nodes: () => [this.#node()],
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

  #node(): Parameters<typeof operationsEndpoints>[0]['nodes'] extends () => readonly (infer Node)[] ? Node : never {
    const { admission } = this.#engine;
    return {
      id: this.settings.nodeId,
      status: this.#status,
      url: this.#frontEnd === null ? '' : this.#url(this.#frontEnd.port),
      load: admission.inFlight + admission.waiting,
      maxLoad: this.settings.maxConcurrent + this.settings.queueSize,
      tools: this.catalogue.current.entries.filter((entry) => entry.kind === 'tool').map((entry) => entry.name),
      version: this.settings.server.version,
      heartbeatAgeMs: 0,
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
  }

  #streamsPorts(): StreamsPorts {
    return {
      settings: this.settings,
      engine: this.#engine,
      bus: this.#bus,
      log: this.#log,
      meters: this.#meters,
      authenticator: this.#protocol.authenticator,
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
    this.#status = 'running';
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

  async close(graceMs = this.settings.shutdownGraceMs): Promise<void> {
    if (this.#status === 'stopping') return;
    this.#status = 'draining';
    clearInterval(this.#sweeper);
    this.#sources.close();
    this.#frontEnd?.stopAccepting();
    this.#stdio?.close();
    this.#protocol.endStreams();
    await this.#streams?.close();
    await this.#engine.drain(graceMs);
    this.#status = 'stopping';
    await this.#frontEnd?.close();
    await this.#engine.close();
    await this.#mounts.close();
    await this.#shared.close();
    this.#meters.close();
  }
}
