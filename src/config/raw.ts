/**
 * Every option people can set, with its default, unit, range and description: the single source of the flags, the
 * environment variables, the members of the configuration file and the output of `millrace check` and `--help`.
 *
 * Role: the start of configuration. `options.ts` lists what stands here, `load.ts` finds values for it, `compile.ts`
 * makes `Settings` of them. `maxSomething` of a file is `--max-something` and `MILLRACE_MAX_SOMETHING`;
 * `sessions.ttlMs` is `--sessions-ttl-ms` and `MILLRACE_SESSIONS_TTL_MS`.
 */
import { z } from 'zod';
import type { StreamDefinition } from '../streams/define/definition.ts';
import { choice, fraction, integer, integerOrAuto, list, pattern, structured, text, toggle } from './option.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** Node's timers count in 32 bits; longer waits would fire at once. */
const LONGEST_MS = 24 * DAY_MS;

const token = z.strictObject({
  token: z.string().min(16).max(4096),
  id: z.string().min(1).max(256),
  scopes: z.array(z.string().min(1).max(256)).max(64).default([]),
});

const jwt = z.strictObject({
  issuer: text('', 2048, 'Required `iss` of access tokens. Set it to accept JWTs.'),
  audience: text('', 2048, 'Required `aud` of access tokens: the URL or name of this server.'),
  jwksUri: text('', 2048, 'URL where the issuer publishes its keys. Either this or a public key.'),
  publicKeyPem: text('', 16 * KIB, 'Public key, PEM. Either this or a key set URL.'),
  algorithms: list(16, 'Signature algorithms accepted.', {}, ['RS256', 'ES256', 'EdDSA']),
});

const auth = z.strictObject({
  tokens: structured(
    z.array(token).max(1000).default([]),
    'a list of {"token": 16 characters or more, "id": name, "scopes": [names]}',
    'Static bearer tokens and who they stand for.',
    { secret: true },
  ),
  jwt: jwt.prefault({}),
  resource: text('', 2048, 'Canonical URL of this server as a protected resource.'),
  authorizationServers: list(16, 'Issuers named in the protected-resource metadata; none: not published.'),
  scopesSupported: list(64, 'Scopes named in the protected-resource metadata.'),
  requiredScopes: list(64, 'Scopes every request needs.'),
});

const sessions = z.strictObject({
  max: integer(10_000, 1, 1_000_000, '', 'Sessions held; one more evicts the least recently used.'),
  ttlMs: integer(30 * MINUTE_MS, SECOND_MS, LONGEST_MS, 'ms', 'A session that is unused for this long ends.'),
  maxSubscriptions: integer(1000, 1, 100_000, '', 'Resource subscriptions of one session.'),
  maxEvents: integer(256, 1, 100_000, '', 'Events kept for resumption, per session.'),
  maxEventBytes: integer(256 * KIB, KIB, 64 * MIB, 'bytes', 'Bytes kept for resumption, per session.'),
  maxStreams: integer(16, 1, 1000, '', 'Open event streams of one session.'),
  maxAsks: integer(64, 1, 10_000, '', 'Unanswered questions to the client, per session.'),
});

const tasks = z.strictObject({
  max: integer(10_000, 1, 1_000_000, '', 'Tasks kept at once.'),
  maxTtlMs: integer(24 * HOUR_MS, SECOND_MS, LONGEST_MS, 'ms', 'Longest time a task may be kept.'),
  pollIntervalMs: integer(SECOND_MS, 10, HOUR_MS, 'ms', 'Poll interval recommended to clients.'),
  deadlineMs: integer(HOUR_MS, SECOND_MS, LONGEST_MS, 'ms', 'Deadline of a tool that runs as a task.'),
});

/** Checked member by member, with better messages, when the streams are opened. */
const stream = z.custom<StreamDefinition>((value) => typeof value === 'object' && value !== null && 'name' in value);

const streaming = z.strictObject({
  dataDir: text('.millrace/streams', 4096, 'Folder for the log and checkpoints of `fsync` streams.', {
    isPath: true,
  }),
  shards: integer(
    8,
    1,
    256,
    'shards',
    'Shards that keys are distributed over, a power of two. Saved state keeps the number it was written with.',
  ),
  maxLogBytes: integer(1024 * MIB, MIB, 1024 * 1024 * MIB, 'bytes', 'Size of the event log; checkpoints free it.'),
  checkpointMs: integer(10 * SECOND_MS, 100, HOUR_MS, 'ms', 'Interval between checkpoints of the streams.'),
  tickMs: integer(200, 10, MINUTE_MS, 'ms', 'Interval between checks of processing time and idle partitions.'),
  maxTaskMs: integer(10 * SECOND_MS, 100, HOUR_MS, 'ms', 'Longest stream task before its worker is terminated.'),
  minReplicas: integer(0, 0, 16, 'replicas', 'Redis replicas that hold a `replicated` event before it is answered.'),
});

const cluster = z.strictObject({
  prefix: pattern(
    'mcp:',
    /^[0-9A-Za-z._:-]{0,64}$/,
    'letters, digits and . _ : - (at most 64)',
    'Prefix of all keys in Redis.',
  ),
  url: text('', 2048, 'Base URL at which other nodes reach this one; empty: made of --host and the port.'),
  secret: pattern('', /^(.{32,})?$/s, 'text of 32 characters or more', 'Secret of all nodes; empty: kept in Redis.', {
    flag: null,
    secret: true,
  }),
  tlsCa: text('', 4096, 'File with the certificate authority of Redis, PEM.', { isPath: true }),
  commandTimeoutMs: integer(500, 10, MINUTE_MS, 'ms', 'Time for Redis to answer one command.'),
  offer: list(256, 'Names of the tools this node runs, `*` for any characters; none: all of them.'),
  labels: list(64, 'Labels of this node; tools that require others are not run here.'),
  forwardTimeoutMs: integer(2000, 10, MINUTE_MS, 'ms', 'Time for another node to accept a forwarded call.'),
  maxForwarded: integer(1000, 1, 100_000, 'calls', 'Calls forwarded to other nodes at once.'),
  expectedNodes: integer(3, 1, 1000, 'nodes', 'Nodes assumed to share rate limits until this one has seen the others.'),
});

const cache = z.strictObject({
  max: integer(10_000, 0, 1_000_000, 'results', 'Tool results cached in memory; 0: none.'),
  maxBytes: integer(64 * MIB, 0, 16_384 * MIB, 'bytes', 'Memory for cached tool results.'),
});

const rateLimit = z.strictObject({
  tool: z.string().min(1).max(256),
  perSecond: z.number().positive().max(1e9),
  /** Default: the calls of one second, at least 1. */
  burst: z.number().int().min(1).max(1e9).optional(),
  by: z.enum(['all', 'principal']).default('principal'),
});

const server = z.strictObject({
  name: pattern('millrace', /^\S(.{0,126}\S)?$/, 'text of 1 to 128 characters', 'Name shown to clients.'),
  version: text('', 64, 'Version shown to clients; empty: the version of millrace.'),
  title: text('', 256, 'Title shown to people.'),
  instructions: text('', 64 * KIB, 'Instructions for models on how to use this server.'),
});

export const rawConfigSchema = z.strictObject({
  host: pattern(
    '127.0.0.1',
    /^[0-9A-Za-z.:_-]{1,255}$/,
    'a host name or address to listen on',
    'Address to listen on.',
  ),
  port: integer(8080, 0, 65_535, '', 'Port to listen on; 0 picks a free one.'),
  frontend: choice(
    ['auto', 'uws', 'node'],
    'auto',
    'Socket layer: uWebSockets.js, node:http, or the first that loads.',
  ),
  tlsKey: text('', 4096, 'Private key file, PEM. With --tls-cert: HTTPS.', { isPath: true }),
  tlsCert: text('', 4096, 'Certificate chain file, PEM.', { isPath: true }),
  allowedHosts: list(256, 'Host names that requests may use, no port; `*` for any.', { flag: 'allowed-host' }),
  allowedOrigins: list(256, 'Origins that browsers may send requests from; `*` for any.', { flag: 'allowed-origin' }),
  maxConnections: integer(10_000, 1, 1_000_000, '', 'Open connections; further ones are refused.'),
  maxHeaderBytes: integer(16 * KIB, KIB, MIB, 'bytes', 'Total size of the headers of one request.'),
  maxRequestBytes: integer(MIB, KIB, 256 * MIB, 'bytes', 'Size of the body of one request.'),
  maxMessageBytes: integerOrAuto(KIB, 256 * MIB, 'bytes', 'Size of a WebSocket message; auto: --max-request-bytes.'),
  maxStreamBufferBytes: integer(MIB, 16 * KIB, 256 * MIB, 'bytes', 'Bytes held for a slow reader until it is cut off.'),
  requestReceiveTimeoutMs: integer(10 * SECOND_MS, 100, HOUR_MS, 'ms', 'Time for headers and body to arrive.'),
  keepAliveMs: integer(MINUTE_MS, SECOND_MS, HOUR_MS, 'ms', 'Time after which an idle connection is closed.'),
  streamKeepAliveMs: integer(15 * SECOND_MS, 100, HOUR_MS, 'ms', 'Interval of comment frames on a quiet event stream.'),
  workers: integerOrAuto(1, 512, 'threads', 'Worker threads; auto: one per core.'),
  queueSize: integer(1000, 1, 1_000_000, 'calls', 'Calls that may wait for a worker.'),
  maxConcurrent: integerOrAuto(
    1,
    1_000_000,
    'calls',
    'Calls in flight on all workers; as many again may wait for answers from their clients. auto: 100 per worker.',
  ),
  requestTimeoutMs: integer(5 * SECOND_MS, 10, DAY_MS, 'ms', 'Deadline of one call, time in the queue included.'),
  batching: toggle(true, 'Send cheap calls to a worker together; false: one task per call, for comparison.'),
  overload: choice(['caller-runs', 'reject', 'block'], 'caller-runs', 'What happens when the queue is full.'),
  callerRunsBudgetMs: integer(5, 0, SECOND_MS, 'ms', 'Longest call the front-end thread may run itself.'),
  callerRunsShare: fraction(0.25, 'Share of its time the front-end thread may spend on calls.'),
  killGraceMs: integer(500, 10, MINUTE_MS, 'ms', 'Time after the deadline before a stuck worker is terminated.'),
  maxResultBytes: integer(16 * MIB, KIB, 256 * MIB, 'bytes', 'Size of one encoded result.'),
  workerHeapMib: integer(512, 32, 65_536, 'MiB', 'Heap size of one worker.'),
  maxResidentMib: integerOrAuto(0, 16_777_216, 'MiB', 'Process memory that terminates a growing worker; 0: off.'),
  quarantineAfter: integer(5, 1, 1000, 'workers', 'Workers a tool may bring down in a minute before its quarantine.'),
  quarantineMs: integer(MINUTE_MS, SECOND_MS, DAY_MS, 'ms', 'How long a tool stays quarantined.'),
  tools: list(64, 'Folder of tool modules.', { isPath: true }),
  builtinTools: toggle(true, 'Serve echo, fibonacci, hash, sleep and spin.'),
  watch: toggle(false, 'Reload tools when their files change.'),
  pageSize: integer(100, 1, 10_000, 'entries', 'Entries on one page of a list.'),
  listTtlMs: integer(0, 0, DAY_MS, 'ms', 'How long clients may cache a list.'),
  listCacheScope: choice(['private', 'public'], 'private', 'Who may share a cached list.'),
  maxListenStreams: integer(
    1024,
    1,
    1_000_000,
    '',
    'Open `subscriptions/listen` streams; when all are taken, one of whoever has most ends for a client with fewer.',
  ),
  maxListenResources: integer(1000, 1, 100_000, '', 'Resources that one `subscriptions/listen` stream may name.'),
  sessions: sessions.prefault({}),
  tasks: tasks.prefault({}),
  streams: structured(
    z.array(stream).max(256).default([]),
    'a list of stream definitions, each an object with a name',
    'Live streams: their events, windows, patterns, alerts, sources and sinks.',
  ),
  streamFiles: list(64, 'File of stream definitions: .yaml, .json, .js or .ts. Paths are relative to its folder.', {
    flag: 'streams',
    isPath: true,
  }),
  streaming: streaming.prefault({}),
  cluster: cluster.prefault({}),
  cache: cache.prefault({}),
  idempotencyTtlMs: integer(
    10 * MINUTE_MS,
    SECOND_MS,
    DAY_MS,
    'ms',
    'How long the answer to an idempotency key is kept.',
  ),
  rateLimits: structured(
    z.array(rateLimit).max(256).default([]),
    'a list of {"tool": name with *, "perSecond": number, "burst": number, "by": "principal" or "all"}',
    'Limits on calls per second, across all nodes.',
  ),
  server: server.prefault({}),
  auth: auth.prefault({}),
  stateSecret: pattern('', /^(.{32,})?$/s, 'text of 32 characters or more', 'Seals request state; same on all nodes.', {
    flag: null,
    secret: true,
  }),
  logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'silent'], 'info', 'Least severe level that is logged.'),
  drainDelayMs: integer(0, 0, HOUR_MS, 'ms', 'Time after SIGTERM to serve on while not ready, for balancers to see.'),
  shutdownGraceMs: integer(10 * SECOND_MS, 0, HOUR_MS, 'ms', 'Time for work in flight to end after --drain-delay-ms.'),
  heartbeatMs: integer(5 * SECOND_MS, 100, HOUR_MS, 'ms', 'Interval between heartbeats of this node.'),
  redisUrl: text('', 2048, 'URL of the Redis that nodes share; none: one node alone.', { secret: true }),
  nodeId: pattern('', /^[0-9A-Za-z._:-]{0,128}$/, 'letters, digits and . _ : - (at most 128)', 'Name of this node.'),
});

/** What people write: every member is optional. Defaults, units and ranges are those above. */
export type RawConfig = z.input<typeof rawConfigSchema>;
/** The same with the defaults in place. */
export type FullConfig = z.output<typeof rawConfigSchema>;

/** Types a `millrace.config.ts`; returns its argument. */
export function defineConfig(config: RawConfig): RawConfig {
  return config;
}
