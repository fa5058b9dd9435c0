/**
 * Whole runtimes in this process that share a Redis and run different tools. Their tools run inline, so that each can
 * tell which node it runs on; those of the fixtures run in real workers.
 */
import { type Definition, defineTool } from '../../../src/catalogue/define.ts';
import { createRuntime, type Runtime, type RuntimeOptions } from '../../../src/index.ts';
import { createLog } from '../../../src/observe/log.ts';
import { eventually } from '../../clients/eventually.ts';
import { SessionClient } from '../../session-era/http-client.ts';
import { Stateless } from '../../wire/raw-clients.ts';

export const HEARTBEAT_MS = 400;

export interface SpecialNode {
  readonly id: string;
  readonly url: string;
  readonly runtime: Runtime;
  readonly log: readonly string[];
  readonly stateless: Stateless;
  readonly session: SessionClient;
  /** What its tools did, in order. */
  readonly done: readonly string[];
  /** Ends the calls of `wait` that run here. */
  release(): void;
  /** Names of all pages of its list, sorted. */
  names(): Promise<string[]>;
  close(): Promise<void>;
}

/** Tools of a node whose tools end with `suffix`, and no others. */
export const own = (suffix: string): string[] => ['once', 'region', 'wait', 'where'].map((name) => `${name}${suffix}`);

/** Tools that say which node ran them. */
function toolsOf(id: string, suffix: string, done: string[], waiting: Set<() => void>): Definition[] {
  return [
    defineTool({ name: `where${suffix}`, annotations: { idempotentHint: true } }, (_args, context) => {
      done.push(`where${suffix}`);
      const { correlationId, principal, trace } = context;
      return JSON.stringify({ node: id, correlationId, principal, trace });
    }),
    defineTool({ name: `once${suffix}` }, () => id),
    defineTool({ name: `wait${suffix}` }, async (_args, context) => {
      done.push(`wait${suffix}`);
      context.progress(1, 2, 'waiting');
      const how = await new Promise<string>((resolve) => {
        waiting.add(() => resolve('released'));
        context.signal.addEventListener('abort', () => resolve('aborted'));
      });
      done.push(how);
      return id;
    }),
    defineTool(
      {
        name: `region${suffix}`,
        input: { type: 'object', properties: { region: { type: 'string', 'x-mcp-header': 'Region' } } },
      },
      (args) => `${id} ${String(args['region'])}`,
    ),
  ];
}

export async function startSpecialNode(
  redisUrl: string,
  id: string,
  suffix: string,
  options: RuntimeOptions = {},
): Promise<SpecialNode> {
  const log: string[] = [];
  const done: string[] = [];
  const waiting = new Set<() => void>();
  const { definitions = [], ...rest } = options;
  const runtime = await createRuntime({
    port: 0,
    workers: 1,
    redisUrl,
    nodeId: id,
    heartbeatMs: HEARTBEAT_MS,
    shutdownGraceMs: 5000,
    requestTimeoutMs: 60_000,
    builtinTools: false,
    cluster: { commandTimeoutMs: 10_000 },
    log: createLog('info', {}, { write: (line: string) => void log.push(line) }),
    definitions: [...toolsOf(id, suffix, done, waiting), ...definitions],
    ...rest,
  });
  const { url } = await runtime.listen();
  const stateless = new Stateless(url);
  return {
    id,
    url,
    runtime,
    log,
    stateless,
    session: new SessionClient(),
    done,
    release() {
      for (const resolve of waiting) resolve();
      waiting.clear();
    },
    async names() {
      const { result } = await stateless.request('tools/list');
      return (result['tools'] as { name: string }[]).map(({ name }) => name).sort();
    },
    close: () => runtime.close(),
  };
}

/** Waits until each of the nodes shows these tools and no others. */
export async function untilShown(nodes: readonly SpecialNode[], names: readonly string[]): Promise<void> {
  const wanted = [...names].sort().join(' ');
  for (const node of nodes) {
    await eventually(
      `tools of ${node.id}`,
      async () => (await node.names()).join(' '),
      (shown) => shown === wanted,
    );
  }
}

export const textOf = (result: Readonly<Record<string, unknown>>): string =>
  (result['content'] as { text?: string }[] | undefined)?.[0]?.text ?? '';
