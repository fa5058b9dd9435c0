/**
 * Who may import whom, and where each outside dependency lives: two tables, read by the import rules.
 *
 * Direction: from the composition root (`runtime`) inwards. Values are what counts; types may also come from the
 * seams, files that hold the contract between two parts and nothing else.
 */

/** Folder → folders and files it may take values (and types) from. `*`: all but `cli` and `runtime`. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/index.ts': [
    'catalogue',
    'config',
    'runtime',
    'streams/aggregates/reducer.ts',
    'streams/decode/key-hash.ts',
    'streams/define/compile.ts',
  ],
  'src/cli': [
    'catalogue/import-module.ts',
    'config',
    'observe',
    'protocol/message-shape.ts',
    'runtime',
    'streams/define/definition-problem.ts',
    'streams/engine/connectors/check-declaration.ts',
    'streams/engine/connectors/connectors.ts',
  ],
  'src/runtime': ['*', 'workers'],
  // The path of a request, from the outside in.
  'src/frontend': ['protocol/faults.ts'],
  'src/auth': ['frontend/refusal.ts', 'protocol/authenticator.ts', 'protocol/faults.ts'],
  'src/protocol': [
    'catalogue',
    'dispatch/job.ts',
    'frontend',
    'redis/unavailable.ts',
    'sessions/port.ts',
    'subscriptions',
    'tasks/port.ts',
  ],
  'src/admission': [],
  'src/dispatch': ['admission', 'pool', 'protocol/faults.ts', 'protocol/request-state.ts', 'workers'],
  'src/pool': ['dispatch/job-board.ts', 'workers/port.ts'],
  workers: [
    'catalogue',
    'cluster/heartbeat',
    'dispatch/folded-time.ts',
    'dispatch/job-board.ts',
    'dispatch/job.ts',
    'mount',
    'pool/port.ts',
    'protocol',
    'redis',
    'streams',
    'tasks/port.ts',
  ],
  // What requests are answered from.
  'src/catalogue': ['protocol/revisions.ts', 'protocol/shared-secret.ts', 'tasks/port.ts'],
  'src/mount': ['catalogue', 'protocol/faults.ts'],
  'src/builtin-tools': ['catalogue/define.ts'],
  'src/sessions': ['protocol/revisions.ts', 'redis'],
  'src/subscriptions': [
    'protocol/channel.ts',
    'protocol/faults.ts',
    'protocol/message-shape.ts',
    'protocol/methods/task-capability.ts',
    'redis',
    'tasks/port.ts',
  ],
  'src/tasks': ['dispatch/job.ts', 'protocol/faults.ts', 'protocol/message-shape.ts', 'protocol/revisions.ts', 'redis'],
  // The path of an event.
  'src/streams': [
    'catalogue/define.ts',
    'catalogue/import-module.ts',
    'cluster/peers/port.ts',
    'config/nearest.ts',
    'frontend/refusal.ts',
    'redis',
  ],
  // Many nodes.
  'src/cluster': [
    'catalogue',
    'dispatch/job.ts',
    'frontend/refusal.ts',
    'protocol/faults.ts',
    'protocol/revisions.ts',
    'redis',
  ],
  'src/cache': ['protocol/canonical-json.ts', 'protocol/faults.ts', 'redis'],
  'src/ledger': ['protocol/canonical-json.ts', 'protocol/faults.ts', 'redis'],
  'src/rates': ['protocol/canonical-json.ts', 'redis'],
  // Beside the path.
  'src/redis': [],
  'src/waiting.ts': [],
  'src/config': [
    'catalogue/import-module.ts',
    'dispatch/heap-watch.ts',
    'dispatch/job-board.ts',
    'redis/address.ts',
    'streams/engine/results/derived-limits.ts',
  ],
  'src/observe': ['frontend/refusal.ts'],
};

/** Values may come from these, whoever asks: what has no place on either path. */
export const EVERYWHERE: readonly string[] = ['waiting.ts'];

/** Types may come from these, whoever asks, except where `NEVER` says otherwise. */
export const SEAMS: readonly string[] = [
  'admission/port.ts',
  'cache/port.ts',
  'catalogue/define.ts',
  'catalogue/entries.ts',
  'catalogue/entry.ts',
  'cluster/peers/port.ts',
  'cluster/port.ts',
  'config/settings.ts',
  'dispatch/job.ts',
  'frontend/port.ts',
  'frontend/router.ts',
  'ledger/port.ts',
  'observe/port.ts',
  'pool/port.ts',
  'protocol/authenticator.ts',
  'protocol/channel.ts',
  'protocol/faults.ts',
  'protocol/revisions.ts',
  'rates/port.ts',
  'sessions/port.ts',
  'streams/define/definition.ts',
  'streams/engine/port.ts',
  'streams/engine/task.ts',
  'subscriptions/listen-port.ts',
  'subscriptions/port.ts',
  'tasks/port.ts',
];

/** Not even types: the front end must not know what it carries. */
export const NEVER: readonly (readonly [from: string, to: string])[] = [
  ['src/frontend', 'protocol/channel.ts'],
  ['src/frontend', 'catalogue'],
  ['src/frontend', 'dispatch'],
  ['src/frontend', 'sessions'],
];

/** Outside dependency → the only places that may import it. Tests may import what they test against. */
export const HOMES: readonly (readonly [dependency: RegExp, homes: readonly string[]])[] = [
  [/uwebsockets|uws/i, ['src/frontend/uws']],
  [/^piscina/, ['src/pool', 'bench']],
  [/^ws$/, ['src/frontend/node', 'bench']],
  [/^node:https?$/, ['src/cluster/peers', 'src/frontend/node', 'bench']],
  [/^node:(net|tls|dgram|http2)$/, ['src/frontend/node', 'bench']],
  [/^node:worker_threads$/, ['src/cluster/heartbeat', 'src/pool', 'src/observe/stderr-lines.ts', 'workers', 'bench']],
  [/^node:inspector$/, ['src/pool/heap-probe.ts']],
  [/^node:child_process$/, ['bench']],
  [/^jose/, ['src/auth']],
  [/^pino/, ['src/observe/log.ts']],
  [/^prom-client/, ['src/observe/exposition.ts']],
  [/^zod/, ['src/config', 'src/streams/define', 'bench']],
  [/^lmdb$/, ['src/streams/lmdb']],
  [/^ioredis/, ['src/redis', 'bench']],
  [/^hyparquet-writer/, ['src/streams/sinks']],
  [/^yaml$/, ['src/config/file.ts']],
  [/^ajv/, ['src/catalogue']],
  [/^tsx/, ['src/catalogue/import-module.ts']],
  [/^@modelcontextprotocol\/sdk/, ['src/mount', 'bench']],
  [/^@modelcontextprotocol\/(client|server|node)/, ['bench']],
];

/** The files of the runtime that touch `process.env`: what is configured by it, and what a native module reads of it. */
export const ENVIRONMENT_HOMES: readonly string[] = ['src/config/environment.ts', 'src/frontend/uws/load.ts'];

/** Types of a dependency that stand in the public API. */
export const TYPES_ALSO: readonly (readonly [dependency: RegExp, file: string])[] = [
  [/^@modelcontextprotocol\/sdk/, 'src/runtime/mounts.ts'],
];
