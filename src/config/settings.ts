/**
 * Compiled settings: what the rest of the runtime sees. No member is optional; units are in the names.
 *
 * Role: the end of configuration. `raw.ts` describes what people write, `load.ts` finds it, `compile.ts` checks it
 * once and makes this. Defaults stand in `raw.ts`, beside the option they belong to.
 */
import type { FrontEndLimits } from '../frontend/port.ts';
import type { StreamDefinition } from '../streams/define/definition.ts';

export interface Settings {
  readonly host: string;
  readonly port: number;
  readonly tls: { readonly keyFile: string; readonly certFile: string } | null;
  readonly frontend: 'uws' | 'node' | 'auto';
  readonly limits: FrontEndLimits;
  /** Host names (no port) a request may name; loopback names are added when bound to loopback. `*`: any. */
  readonly allowedHosts: readonly string[];
  /** Origins (`https://app.example`) a browser may come from; loopback origins are added when bound to loopback. */
  readonly allowedOrigins: readonly string[];
  readonly workers: number;
  readonly queueSize: number;
  /** In flight on all workers. */
  readonly maxConcurrent: number;
  readonly requestTimeoutMs: number;
  readonly requestBytesMax: number;
  /** Cheap calls share tasks; false is for measuring what that brings. */
  readonly batching: boolean;
  readonly overload: 'caller-runs' | 'reject' | 'block';
  /** A call may run on the front-end thread only if it is expected to take no longer. */
  readonly callerRunsBudgetMs: number;
  /** Share of the front-end thread's time, 0…1, that caller-runs may use. */
  readonly callerRunsShare: number;
  /** After the deadline, before a worker that will not stop is terminated. */
  readonly killGraceMs: number;
  /** One encoded result. */
  readonly resultBytesMax: number;
  /** What the V8 heap of one worker may hold after garbage collection. */
  readonly workerHeapMiB: number;
  /** Resident memory of the process at which the worker that grows is terminated; 0: off. */
  readonly residentMiBMax: number;
  /** Workers an entry may bring down within a minute before it is quarantined. */
  readonly quarantineAfter: number;
  readonly quarantineMs: number;
  readonly sessions: {
    readonly max: number;
    readonly ttlMs: number;
    readonly subscriptionsMax: number;
    readonly eventsMax: number;
    readonly eventBytesMax: number;
    readonly streamsMax: number;
    readonly asksMax: number;
  };
  readonly tasks: {
    readonly max: number;
    readonly ttlMsMax: number;
    readonly pollIntervalMs: number;
    readonly deadlineMs: number;
  };
  /** Live streams. */
  readonly streaming: {
    /** Of the configuration file. */
    readonly definitions: readonly StreamDefinition[];
    /** How messages name their list: `millrace.config.ts: streams`, `MILLRACE_STREAMS`. */
    readonly listedAs: string;
    /** Folder of the configuration file, which paths in them are relative to; `''`: the working directory. */
    readonly folder: string;
    /** Files with further definitions. */
    readonly files: readonly string[];
    readonly dataDir: string;
    /** Power of two. */
    readonly shards: number;
    readonly logBytesMax: number;
    readonly checkpointMs: number;
    readonly tickMs: number;
    readonly taskMsMax: number;
    /** Replicas of Redis that have an event of a `replicated` stream before it is acknowledged. */
    readonly replicasMin: number;
  };
  /** `subscriptions/listen` streams at once. */
  readonly listenStreamsMax: number;
  readonly listenResourcesMax: number;
  /** Interval of comment frames on quiet streams. */
  readonly streamKeepAliveMs: number;
  /** Entries per page of a list. */
  readonly pageSize: number;
  readonly server: {
    readonly name: string;
    readonly version: string;
    /** `''`: none. */
    readonly title: string;
    /** How to use the server, for the model. `''`: none. */
    readonly instructions: string;
  };
  /** Cache hints of the lists and of discover. */
  readonly listTtlMs: number;
  readonly listCacheScope: 'public' | 'private';
  readonly toolDirs: readonly string[];
  readonly builtinTools: boolean;
  readonly watch: boolean;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Not ready, but still serving. */
  readonly drainDelayMs: number;
  /** For work in flight, after that. */
  readonly shutdownGraceMs: number;
  readonly heartbeatMs: number;
  /** `''`: this node is alone. */
  readonly redisUrl: string;
  readonly nodeId: string;
  readonly cluster: ClusterSettings;
  readonly cache: { readonly resultsMax: number; readonly bytesMax: number };
  readonly idempotencyTtlMs: number;
  readonly rateLimits: readonly RateLimit[];
  readonly auth: AuthSettings | null;
  /** Seals `requestState`; shared by nodes behind one balancer. Random when empty. */
  readonly stateSecret: string;
}

export interface ClusterSettings {
  /** Start of every key in Redis: `mcp:`. */
  readonly prefix: string;
  /** Base URL at which other nodes reach this one; `''`: made of host and port. */
  readonly url: string;
  /** Shared by the nodes; `''`: taken from Redis. */
  readonly secret: string;
  readonly tlsCaFile: string;
  readonly commandMsMax: number;
  /** Tool names with `*`; empty: all. */
  readonly offer: readonly string[];
  readonly labels: readonly string[];
  readonly forwardMsMax: number;
  readonly forwardedMax: number;
  /** Nodes assumed until this one has seen the others. */
  readonly expectedNodes: number;
}

export interface RateLimit {
  /** Tool name with `*`. */
  readonly tool: string;
  readonly perSecond: number;
  /** Calls at once. */
  readonly burst: number;
  /** One budget for everyone, or one per principal (per session or address without authentication). */
  readonly by: 'all' | 'principal';
}

export interface AuthSettings {
  /** Static bearer tokens: token → principal id and scopes. */
  readonly tokens: readonly { readonly token: string; readonly id: string; readonly scopes: readonly string[] }[];
  readonly jwt: {
    readonly issuer: string;
    readonly audience: string;
    /** One of the two. */
    readonly jwksUri: string;
    readonly publicKeyPem: string;
    readonly algorithms: readonly string[];
  } | null;
  /** RFC 9728 document; `authorizationServers` empty: not published. */
  readonly resource: string;
  readonly authorizationServers: readonly string[];
  readonly scopesSupported: readonly string[];
  /** Scopes every call needs. */
  readonly requiredScopes: readonly string[];
}
