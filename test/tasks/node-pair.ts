/**
 * Nodes of one service in this process, and calls to them by hand. What their tools do is counted here, whichever node
 * runs them.
 */

import type { Definition, HandlerContext } from '../../src/catalogue/define.ts';
import { defineTool } from '../../src/catalogue/define.ts';
import type { RawConfig } from '../../src/config/raw.ts';
import { createRuntime, type Runtime } from '../../src/index.ts';
import { metaOf, statelessHeaders } from '../wire/raw-clients.ts';
import type { Json } from '../wire/wire-check.ts';

const SILENT = { debug: nothing, info: nothing, warn: nothing, error: nothing };
function nothing(): void {
  return;
}

export const TASK_CLIENT = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } };

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly id: unknown;
  readonly result: Json;
  readonly error: { readonly code: number; readonly message: string; readonly data?: Json };
}

export interface CallOptions {
  readonly id?: unknown;
  readonly headers?: Record<string, string>;
  readonly meta?: Json;
  readonly capabilities?: object;
  readonly signal?: AbortSignal;
}

/** Calls to a node, in whatever process it is. */
export class NodeClient {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  async request(method: string, params: Json, options: CallOptions = {}): Promise<Answer> {
    const { capabilities = TASK_CLIENT, headers = {}, id = 1, meta = {}, signal } = options;
    const body = { jsonrpc: '2.0', id, method, params: { ...params, _meta: metaOf(capabilities, meta) } };
    const response = await fetch(this.url, {
      method: 'POST',
      headers: { ...statelessHeaders(method, params), ...headers },
      body: JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    });
    const { error, id: answered, result } = (await response.json()) as Answer;
    return { status: response.status, retryAfter: response.headers.get('retry-after'), id: answered, result, error };
  }

  call(name: string, args: Json = {}, options: CallOptions = {}): Promise<Answer> {
    return this.request('tools/call', { name, arguments: args }, options);
  }

  task(taskId: string): Promise<Answer> {
    return this.request('tasks/get', { taskId });
  }

  async status(taskId: string): Promise<unknown> {
    return (await this.task(taskId)).result?.['status'];
  }
}

export class Node extends NodeClient {
  readonly runtime: Runtime;

  constructor(runtime: Runtime, url: string) {
    super(url);
    this.runtime = runtime;
  }

  static async start(config: RawConfig, definitions: readonly Definition[]): Promise<Node> {
    const own = { port: 0, workers: 1, builtinTools: false, shutdownGraceMs: 500, ...config };
    // A busy machine is late; a Redis that is silent is for those who say so.
    const cluster = { commandTimeoutMs: 10_000, ...config.cluster };
    const runtime = await createRuntime({ ...own, cluster, definitions, log: SILENT });
    return new Node(runtime, (await runtime.listen()).url);
  }
}

/** What a test does to calls that run, on any of the nodes. */
export class Stage {
  /** Names of tools, one for each execution. */
  readonly ran: string[] = [];
  readonly cancelled: string[] = [];
  #open: (() => void)[] = [];

  executions(tool: string): number {
    return this.ran.filter((name) => name === tool).length;
  }

  /** Lets the calls that wait go on. */
  release(): void {
    for (const go of this.#open.splice(0)) go();
  }

  get waiting(): number {
    return this.#open.length;
  }

  wait(tool: string, context: HandlerContext): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#open.push(resolve);
      context.signal.addEventListener('abort', () => {
        this.cancelled.push(tool);
        this.#open = this.#open.filter((go) => go !== resolve);
        reject(new Error('aborted'));
      });
    });
  }

  /** A tool that counts and answers with its count. */
  tool(name: string, options: Partial<Parameters<typeof defineTool>[0]> = {}): Definition {
    return defineTool({ name, ...options }, () => {
      this.ran.push(name);
      return `${name} ${this.executions(name)}`;
    });
  }

  /** The same, after `release`. */
  slowTool(name: string, options: Partial<Parameters<typeof defineTool>[0]> = {}): Definition {
    return defineTool({ name, ...options }, async (_args, context) => {
      this.ran.push(name);
      const count = this.executions(name);
      await this.wait(name, context);
      return `${name} ${count}`;
    });
  }
}

export function textOf(answer: Answer): string {
  if (answer.result === undefined) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
  return String((answer.result['content'] as readonly { text?: string }[])[0]?.text);
}
