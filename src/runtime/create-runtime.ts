/**
 * The composition root: makes every part, joins them, and gives back a runtime to start and stop.
 *
 * Role: the only place that knows all parts. Reading it from top to bottom is the order in which things depend on each
 * other: catalogue, bus, engine, tasks, methods, the two eras, the front end.
 */
import { randomBytes } from 'node:crypto';
import { pathToFileURL } from 'node:url';
import { resourceMetadata } from '../auth/resource-metadata.ts';
import { TokenAuthenticator } from '../auth/token-authenticator.ts';
import { createCatalogue, type MutableCatalogue } from '../catalogue/compile.ts';
import type { Definition } from '../catalogue/define.ts';
import { compileSettings } from '../config/compile.ts';
import { inUrl } from '../config/host-name.ts';
import type { RawConfig } from '../config/raw.ts';
import type { Settings } from '../config/settings.ts';
import { Gate } from '../frontend/gate.ts';
import { openFrontEnd } from '../frontend/open.ts';
import type { FrontEnd } from '../frontend/port.ts';
import { type Endpoint, Router } from '../frontend/router.ts';
import { serveStdio } from '../frontend/stdio/stdio.ts';
import { createLog } from '../observe/log.ts';
import { RuntimeMeters } from '../observe/meters.ts';
import { operationsEndpoints } from '../observe/operations.ts';
import type { Health, Log } from '../observe/port.ts';
import { HttpEndpoint } from '../protocol/http-endpoint.ts';
import { createMethods } from '../protocol/methods/method-table.ts';
import { HttpSessions } from '../protocol/session/endpoint.ts';
import { MessageConnections } from '../protocol/session/message-handler.ts';
import { SessionHub } from '../protocol/session/session-hub.ts';
import { MemoryEventLog } from '../sessions/memory-event-log.ts';
import { MemorySessionStore } from '../sessions/memory-store.ts';
import { Listen } from '../subscriptions/listen.ts';
import { MemoryBus } from '../subscriptions/memory-bus.ts';
import { TaskManager } from '../tasks/manager.ts';
import { MemoryTaskStore } from '../tasks/memory-store.ts';
import { createEngine, type Engine } from './engine.ts';
import { registerGauges } from './gauges.ts';
import { ToolSources } from './tool-sources.ts';

/** Expired sessions and tasks are looked for this often. */
const SWEEP_MS = 1000;
const MCP_PATH = '/mcp';

export interface RuntimeParts {
  /** Modules (path or `file:` URL) whose exports are definitions: they can run in workers. */
  readonly modules?: readonly (string | URL)[];
  /** Definitions as objects: they must be `run: 'inline'`. */
  readonly definitions?: readonly Definition[];
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
  const { modules, definitions, log, ...raw } = options;
  const settings = compileSettings(raw);
  return createRuntimeFrom(settings, log ?? createLog(settings.logLevel), {
    ...(modules === undefined ? {} : { modules }),
    ...(definitions === undefined ? {} : { definitions }),
  });
}

export async function createRuntimeFrom(settings: Settings, log: Log, parts: RuntimeParts = {}): Promise<Runtime> {
  const runtime = new MillraceRuntime(settings, log, parts);
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
  readonly #engine: Engine;
  readonly #hub: SessionHub;
  readonly #listen: Listen;
  readonly #meters = new RuntimeMeters();
  readonly #router: Router;
  readonly #connections: MessageConnections;
  readonly #sweeper: NodeJS.Timeout;
  #frontEnd: FrontEnd | null = null;
  #status: Health['status'] = 'starting';

  constructor(settings: Settings, log: Log, parts: RuntimeParts) {
    const now = (): number => performance.now();
    const stateSecret = settings.stateSecret === '' ? randomBytes(32).toString('base64url') : settings.stateSecret;
    const { server } = settings;
    const serverInfo =
      server.title === ''
        ? { name: server.name, version: server.version }
        : { name: server.name, title: server.title, version: server.version };
    this.settings = settings;
    this.#log = log;
    this.catalogue = createCatalogue({
      pageSize: settings.pageSize,
      server,
      listTtlMs: settings.listTtlMs,
      listCacheScope: settings.listCacheScope,
      capabilities: {
        tools: true,
        resources: true,
        prompts: true,
        listChanged: true,
        subscribe: true,
        logging: true,
        tasks: true,
      },
      secret: settings.stateSecret,
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
    const bus = new MemoryBus({ log });
    catalogue.onChange((changed) => {
      for (const list of changed) bus.publish({ kind: list === 'templates' ? 'resources' : list });
    });
    this.#engine = createEngine({ settings, catalogue, bus, log, meters, now, stateSecret });
    const { dispatcher } = this.#engine;
    const tasks = new TaskManager({
      store: new MemoryTaskStore({ tasksMax: settings.tasks.max }),
      bus,
      dispatcher: () => dispatcher,
      settings: settings.tasks,
      log,
      metaJson: JSON.stringify({ 'io.modelcontextprotocol/serverInfo': serverInfo }),
      now: Date.now,
      randomId: () => randomBytes(20).toString('base64url'),
    });
    const listen = new Listen({ bus, tasks, settings, serverInfoJson: JSON.stringify(serverInfo), log });
    this.#listen = listen;
    const methods = createMethods({ catalogue, dispatcher, tasks, bus, listen, log, meters, settings });
    const store = new MemorySessionStore(settings.sessions);
    const events = new MemoryEventLog(settings.sessions);
    const limits = { ...settings.sessions, streamKeepAliveMs: settings.streamKeepAliveMs };
    const hub = new SessionHub({ store, events, bus, dispatcher, limits, log, nowMs: now });
    this.#hub = hub;
    const sessions = new HttpSessions({ hub, methods, catalogue });
    const authenticator = settings.auth === null ? null : new TokenAuthenticator(settings.auth, log);
    const mcp = new HttpEndpoint({
      methods,
      catalogue,
      sessions,
      authenticator,
      keepAlive: hub.keepAlive,
      settings,
      log,
      meters,
    });
    this.#connections = new MessageConnections({
      hub,
      methods,
      catalogue,
      admit: (head) => {
        if (authenticator === null) return { principal: null };
        const verdict = authenticator.authenticate(head.header('authorization'));
        if (verdict instanceof Promise) return { principal: verdict };
        return 'wwwAuthenticate' in verdict
          ? { status: verdict.status, message: verdict.message }
          : { principal: verdict };
      },
    });
    this.#router = new Router(new Gate(settings), this.#endpoints(mcp), [], this.#connections, meters);
    registerGauges(meters, { engine: this.#engine, hub, listen, tasks, frontEnd: () => this.#frontEnd });
    this.#sweeper = setInterval(() => {
      store.sweep(now());
      tasks.sweep(Date.now());
    }, SWEEP_MS);
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
    return { status: this.#status, degraded };
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
    await this.#engine.ready;
  }

  async listen(): Promise<{ url: string; port: number }> {
    const { frontend, host, limits, port, tls } = this.settings;
    const messages = { path: MCP_PATH, handler: this.#router };
    const frontEnd = await openFrontEnd(frontend, { host, port, tls, limits }, this.#router, messages, this.#log);
    this.#frontEnd = frontEnd;
    this.#status = 'running';
    return { url: this.#url(frontEnd.port), port: frontEnd.port };
  }

  async serveStdio(stdin: NodeJS.ReadableStream, stdout: NodeJS.WritableStream): Promise<void> {
    this.#status = 'running';
    const { limits, requestTimeoutMs } = this.settings;
    const streams = { stdin, stdout } as Parameters<typeof serveStdio>[1];
    const drainMsMax = requestTimeoutMs;
    await serveStdio(this.#connections, streams, { ...limits, drainMsMax }).done;
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
    this.#listen.closeAll('the server is shutting down');
    this.#hub.close();
    await this.#engine.drain(graceMs);
    this.#status = 'stopping';
    await this.#frontEnd?.close();
    await this.#engine.close();
  }
}
