/**
 * Turns what people wrote into `Settings`: checked once, no member optional, `auto` replaced by numbers.
 *
 * Role: the last step of configuration; nothing behind it looks at raw options or at defaults. Throws `ConfigError`
 * with every problem found.
 */
import { dirname } from 'node:path';
import { crossCheck } from './cross-checks.ts';
import { configFromOptions, type LoadedConfig } from './load.ts';
import { type Machine, thisMachine } from './machine.ts';
import { type MemoryBudget, memoryBudget, overBudget } from './memory-budget.ts';
import { AUTO } from './option.ts';
import { optionNamed } from './options.ts';
import { ConfigError, DEFAULT_ORIGIN, originLabel } from './problem.ts';
import type { FullConfig, RawConfig } from './raw.ts';
import type { AuthSettings, Settings } from './settings.ts';
import { MILLRACE_VERSION } from './version.ts';

const CALLS_PER_WORKER = 100;
const RESIDENT_LEAST_MIB = 4096;
const RESIDENT_PER_WORKER_MIB = 256;
const RESIDENT_SHARE = 0.9;

/** Options handed over by a program; relative paths start at the working directory. */
export function compileSettings(raw: RawConfig, machine: Machine = thisMachine()): Settings {
  return compileLoaded(configFromOptions(raw, process.cwd()), machine);
}

/** What `loadConfig` found. */
export function compileLoaded(loaded: LoadedConfig, machine: Machine): Settings {
  const refused = crossCheck(loaded);
  const problems = refused.map(({ problem }) => problem);
  const unbounded = settingsOf(loaded, machine);
  const budget = memoryBudget(unbounded, machine.memoryMiB);
  const residentMiBMax = either(loaded.config.maxResidentMib, residentMiBFor(unbounded.workers, budget));
  const settings = Object.freeze({ ...unbounded, residentMiBMax });
  const excess = overBudget(budget, residentMiBMax);
  if (excess !== null) problems.push(`memory: ${excess}`);
  const ofCommandLine = refused.some(({ origin }) => origin.kind === 'flag');
  if (problems.length > 0) throw new ConfigError(problems, ofCommandLine);
  return settings;
}

/** Room for the workers beside what is reserved, but not the whole machine. */
function residentMiBFor(workers: number, budget: MemoryBudget): number {
  const wanted = Math.max(RESIDENT_LEAST_MIB, RESIDENT_PER_WORKER_MIB * workers + budget.reservedMiB);
  return Math.min(wanted, Math.floor(budget.machineMiB * RESIDENT_SHARE));
}

/** A number as set, or the one `auto` stands for. */
const either = (value: number | typeof AUTO, automatic: number): number => (value === AUTO ? automatic : value);

function settingsOf(loaded: LoadedConfig, machine: Machine): Settings {
  const { config } = loaded;
  const workers = either(config.workers, machine.cores);
  return {
    ...frontEndSettings(config),
    ...namedGroups(loaded),
    ...sharedSettings(config),
    workers,
    queueSize: config.queueSize,
    maxConcurrent: either(config.maxConcurrent, CALLS_PER_WORKER * workers),
    requestTimeoutMs: config.requestTimeoutMs,
    requestBytesMax: config.maxRequestBytes,
    batching: config.batching,
    overload: config.overload,
    callerRunsBudgetMs: config.callerRunsBudgetMs,
    callerRunsShare: config.callerRunsShare,
    killGraceMs: config.killGraceMs,
    resultBytesMax: config.maxResultBytes,
    workerHeapMiB: config.workerHeapMib,
    residentMiBMax: 0,
    quarantineAfter: config.quarantineAfter,
    quarantineMs: config.quarantineMs,
    toolDirs: config.tools,
    builtinTools: config.builtinTools,
    watch: config.watch,
    pageSize: config.pageSize,
    listTtlMs: config.listTtlMs,
    listCacheScope: config.listCacheScope,
    listenStreamsMax: config.maxListenStreams,
    listenResourcesMax: config.maxListenResources,
    streamKeepAliveMs: config.streamKeepAliveMs,
    logLevel: config.logLevel,
    drainDelayMs: config.drainDelayMs,
    shutdownGraceMs: config.shutdownGraceMs,
    heartbeatMs: config.heartbeatMs,
    redisUrl: config.redisUrl,
    nodeId: config.nodeId === '' ? machine.nodeId : config.nodeId,
    stateSecret: config.stateSecret === '' ? machine.stateSecret : config.stateSecret,
  };
}

/** `--port`, `millrace.config.ts: port` */
function labelOf(name: string, origins: LoadedConfig['origins']): string {
  const option = optionNamed(name);
  return option === undefined ? name : originLabel(option, origins.get(name) ?? DEFAULT_ORIGIN);
}

type SharedSettings = Pick<Settings, 'cluster' | 'cache' | 'idempotencyTtlMs' | 'rateLimits'>;

function sharedSettings(config: FullConfig): SharedSettings {
  const { cluster, cache } = config;
  return {
    cluster: {
      prefix: cluster.prefix,
      url: cluster.url.replace(/\/+$/, ''),
      secret: cluster.secret,
      tlsCaFile: cluster.tlsCa,
      commandMsMax: cluster.commandTimeoutMs,
      offer: cluster.offer,
      labels: cluster.labels,
      forwardMsMax: cluster.forwardTimeoutMs,
      forwardedMax: cluster.maxForwarded,
      expectedNodes: cluster.expectedNodes,
    },
    cache: { resultsMax: cache.max, bytesMax: cache.maxBytes },
    idempotencyTtlMs: config.idempotencyTtlMs,
    rateLimits: config.rateLimits.map((limit) => ({
      ...limit,
      burst: limit.burst ?? Math.max(1, Math.ceil(limit.perSecond)),
    })),
  };
}

type FrontEndSettings = Pick<
  Settings,
  'host' | 'port' | 'tls' | 'frontend' | 'limits' | 'allowedHosts' | 'allowedOrigins'
>;

function frontEndSettings(config: FullConfig): FrontEndSettings {
  const { host, tlsKey, tlsCert } = config;
  return {
    host,
    port: config.port,
    tls: tlsKey === '' ? null : { keyFile: tlsKey, certFile: tlsCert },
    frontend: config.frontend,
    limits: {
      headerBytesMax: config.maxHeaderBytes,
      connectionsMax: config.maxConnections,
      streamBufferBytesMax: config.maxStreamBufferBytes,
      requestReceiveMsMax: config.requestReceiveTimeoutMs,
      keepAliveMs: config.keepAliveMs,
      messageBytesMax: either(config.maxMessageBytes, config.maxRequestBytes),
    },
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins.map((origin) => origin.toLowerCase()),
  };
}

type NamedGroups = Pick<Settings, 'sessions' | 'tasks' | 'server' | 'auth' | 'streaming'>;

function namedGroups({ config, file, origins }: LoadedConfig): NamedGroups {
  const { sessions, streaming, tasks, server } = config;
  return {
    streaming: {
      definitions: config.streams,
      listedAs: labelOf('streams', origins),
      folder: file !== null && origins.get('streams')?.kind === 'file' ? dirname(file) : '',
      files: config.streamFiles,
      dataDir: streaming.dataDir,
      shards: streaming.shards,
      logBytesMax: streaming.maxLogBytes,
      checkpointMs: streaming.checkpointMs,
      tickMs: streaming.tickMs,
      taskMsMax: streaming.maxTaskMs,
      replicasMin: streaming.minReplicas,
    },
    sessions: {
      max: sessions.max,
      ttlMs: sessions.ttlMs,
      subscriptionsMax: sessions.maxSubscriptions,
      eventsMax: sessions.maxEvents,
      eventBytesMax: sessions.maxEventBytes,
      streamsMax: sessions.maxStreams,
      asksMax: sessions.maxAsks,
    },
    tasks: {
      max: tasks.max,
      ttlMsMax: tasks.maxTtlMs,
      pollIntervalMs: tasks.pollIntervalMs,
      deadlineMs: tasks.deadlineMs,
    },
    server: { ...server, version: server.version === '' ? MILLRACE_VERSION : server.version },
    auth: authSettings(config.auth),
  };
}

function authSettings(auth: FullConfig['auth']): AuthSettings | null {
  const jwt = auth.jwt.issuer === '' ? null : auth.jwt;
  return auth.tokens.length === 0 && jwt === null ? null : { ...auth, jwt };
}
