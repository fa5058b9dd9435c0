/**
 * Several runtimes in this process that share a Redis: nodes of one service, as far as their clients can tell.
 */
import { createRuntime, type Runtime, type RuntimeOptions } from '../../src/index.ts';
import { createLog } from '../../src/observe/log.ts';
import { fixture } from '../clients/serve.ts';

const EXTENSION = import.meta.url.slice(import.meta.url.lastIndexOf('.'));

export const MODULES: readonly URL[] = [
  ...['talking-tools', 'readings', 'watched-tools'].map(fixture),
  new URL(`../fixtures/session-era/telling-tools${EXTENSION}`, import.meta.url),
];

export interface Node {
  readonly url: string;
  readonly runtime: Runtime;
  readonly log: readonly string[];
  /** A sample of the metrics. */
  metric(name: string, labels?: string): Promise<number>;
}

export class Nodes {
  readonly all: readonly Node[];

  constructor(all: readonly Node[]) {
    this.all = all;
  }

  static async start(count: number, redisUrl: string, options: RuntimeOptions = {}): Promise<Nodes> {
    const all: Node[] = [];
    for (let i = 0; i < count; i++) all.push(await startNode(redisUrl, options));
    return new Nodes(all);
  }

  get urls(): readonly string[] {
    return this.all.map(({ url }) => url);
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map(({ runtime }) => runtime.close()));
  }
}

async function startNode(redisUrl: string, options: RuntimeOptions): Promise<Node> {
  const log: string[] = [];
  const runtime = await createRuntime({
    port: 0,
    workers: 1,
    redisUrl,
    shutdownGraceMs: 2000,
    // A busy machine is late; a Redis that is silent is for those who say so.
    cluster: { commandTimeoutMs: 10_000 },
    modules: MODULES,
    log: createLog('info', {}, { write: (line: string) => void log.push(line) }),
    ...options,
  });
  const { url } = await runtime.listen();
  const metric = async (name: string, labels = ''): Promise<number> => sampleOf(await runtime.metrics(), name, labels);
  return { url, runtime, log, metric };
}

function sampleOf(exposition: string, name: string, labels: string): number {
  const line = exposition.split('\n').find((each) => each.startsWith(name) && each.includes(labels));
  return line === undefined ? Number.NaN : Number(line.slice(line.lastIndexOf(' ') + 1));
}
