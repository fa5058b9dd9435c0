/**
 * Nodes that forward calls over real connections; what runs a call there is the test itself.
 */
import { createCatalogue } from '../../../src/catalogue/compile.ts';
import { defineTool, type ToolAnnotations } from '../../../src/catalogue/define.ts';
import type { Entry } from '../../../src/catalogue/entry.ts';
import { NodeChoice } from '../../../src/cluster/forwarding/node-choice.ts';
import { RemoteCalls } from '../../../src/cluster/forwarding/remote-calls.ts';
import { ServedCalls } from '../../../src/cluster/forwarding/served-calls.ts';
import {
  type Ask,
  type Dispatcher,
  Job,
  type JobExtras,
  type JobSink,
  type TaskWish,
} from '../../../src/dispatch/job.ts';
import type { Fault } from '../../../src/protocol/faults.ts';
import { REVISION_2025_11_25 } from '../../../src/protocol/revisions.ts';
import { SETTINGS } from '../../catalogue/sample-catalogue.ts';
import { type NodeOptions, type PeerNode, startNode } from '../peers/two-nodes.ts';
import { FakeMembership } from './fake-membership.ts';

/** Keeps what it is given; the test plays the tool. */
export class PlayedDispatcher implements Dispatcher {
  readonly jobs: { readonly job: Job; readonly body: string }[] = [];
  readonly heard: string[] = [];
  /** Plays the tool at once. */
  onSubmit: ((job: Job) => void) | null = null;

  submit(job: Job, body: Uint8Array): void {
    this.jobs.push({ job, body: Buffer.from(body).toString() });
    this.onSubmit?.(job);
  }

  cancel(job: Job, _reason: string): void {
    this.heard.push(`cancel ${job.entry.name}`);
  }

  answer(_job: Job, askId: number, resultJson: string | null, error: { code: number; message: string } | null): void {
    this.heard.push(`answer ${askId} ${resultJson} ${JSON.stringify(error)}`);
  }

  taskStarted(_job: Job, taskId: string, deadlineMs: number): void {
    this.heard.push(`task ${taskId} ${deadlineMs}`);
  }

  bodyOf(): Uint8Array | null {
    return null;
  }

  /** The last job that came. */
  get last(): Job {
    return (this.jobs.at(-1) as { job: Job }).job;
  }
}

export function complete(job: Job, text: string, status = 200): void {
  job.outcome = 'ok';
  job.settled = true;
  job.sink.completed(job, status, Buffer.from(text));
}

/** Writes down what a job is told. */
export class Listener implements JobSink {
  readonly heard: string[] = [];
  readonly ended: Promise<string>;
  fault: Fault | null = null;
  #end!: (how: string) => void;

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  completed(job: Job, status: number, bytes: Uint8Array): void {
    this.#end(`completed ${status} ${job.outcome} ${Buffer.from(bytes).toString()}`);
  }

  refused(_job: Job, f: Fault): void {
    this.fault = f;
    this.#end(`refused ${f.name}`);
  }

  emitted(_job: Job, bytes: Uint8Array): void {
    this.heard.push(`emitted ${Buffer.from(bytes).toString()}`);
  }

  asked(_job: Job, ask: Ask): void {
    this.heard.push(`asked ${JSON.stringify(ask)}`);
  }

  becameTask(_job: Job, wish: TaskWish): void {
    this.heard.push(`task ${JSON.stringify(wish)}`);
  }

  releasedConnection(_job: Job, retryMs: number): void {
    this.heard.push(`released ${retryMs}`);
  }
}

export interface Served {
  readonly node: PeerNode;
  readonly dispatcher: PlayedDispatcher;
  readonly served: ServedCalls;
}

export interface CallRig {
  readonly membership: FakeMembership;
  readonly choice: NodeChoice;
  readonly calls: RemoteCalls;
  readonly asker: PeerNode;
  /** A node that runs `tool` (idempotent) and `once` (not). */
  addNode(id: string, options?: NodeOptions): Promise<Served>;
  call(tool: 'tool' | 'once', options?: CallOptions): { readonly job: Job; readonly listener: Listener };
  close(): Promise<void>;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly body?: string;
  readonly extras?: JobExtras;
  readonly flags?: number;
}

function entriesOf(remote: boolean): Map<string, Entry> {
  const tool = (name: string, annotations: ToolAnnotations) => defineTool({ name, annotations }, () => '');
  const catalogue = createCatalogue(SETTINGS);
  const definitions = [tool('tool', { idempotentHint: true }), tool('once', {})];
  catalogue.replace(
    definitions.map((definition) => ({ definition, module: null, ...(remote ? { remote: true as const } : {}) })),
  );
  return new Map(catalogue.current.entries.map((entry) => [entry.name, entry]));
}

export async function startCallRig(limits: { forwardedMax?: number; forwardMsMax?: number } = {}): Promise<CallRig> {
  const known = new Map<string, PeerNode>();
  const membership = new FakeMembership('asker');
  const asker = await startNode('asker', known);
  const choice = new NodeChoice({
    membership,
    offers: () => false,
    now: () => performance.now(),
    random: Math.random,
  });
  membership.onChange(() => choice.changed());
  const calls = new RemoteCalls({
    peers: asker.peers,
    choice,
    forwardedMax: limits.forwardedMax ?? 50,
    forwardMsMax: limits.forwardMsMax ?? 30_000,
    log: { warn: () => undefined },
    now: () => performance.now(),
  });
  const remote = entriesOf(true);
  const nodes: PeerNode[] = [];
  return {
    membership,
    choice,
    calls,
    asker,
    async addNode(id, options) {
      const node = await startNode(id, known, options);
      nodes.push(node);
      const dispatcher = new PlayedDispatcher();
      const catalogue = createCatalogue(SETTINGS);
      const tool = (name: string) => defineTool({ name }, () => '');
      catalogue.replace([
        { definition: tool('tool'), module: null },
        { definition: tool('once'), module: null },
        { definition: tool('elsewhere'), module: null, remote: true },
      ]);
      const served = new ServedCalls({ peers: node.peers, catalogue, dispatcher, load: () => dispatcher.jobs.length });
      served.start();
      membership.set(id, { tools: ['once', 'tool'], url: node.url });
      return { node, dispatcher, served };
    },
    call(tool, { timeoutMs = 60_000, body = '{"jsonrpc":"2.0"}', extras, flags = 0 } = {}) {
      const listener = new Listener();
      const entry = remote.get(tool) as Entry;
      const job = new Job(entry, REVISION_2025_11_25, flags, 'share', extras ?? null, listener, timeoutMs);
      calls.submit(job, Buffer.from(body));
      return { job, listener };
    },
    async close() {
      calls.stop();
      await asker.close();
      for (const node of nodes) await node.close();
    },
  };
}
