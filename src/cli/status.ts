/**
 * `millrace status`: asks a running server for `/health/ready` and `/cluster` and prints what it says.
 *
 * Role: what the two answers mean; `ask-server.ts` gets them. Nothing of them is printed that was not checked for
 * shape.
 */
import { type Answer, ask, count, isObject, plain, serverNamed } from './ask-server.ts';
import type { CommandLine } from './command-line.ts';
import { table } from './table.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

const ANSWER_MS_MAX = 5000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const LIVE_STATES: ReadonlySet<string> = new Set(['starting', 'running', 'draining']);

interface Readiness {
  readonly status: string;
  readonly degraded: readonly string[];
}
interface NodeRow {
  readonly id: string;
  readonly status: string;
  readonly url: string;
  readonly load: number;
  readonly maxLoad: number;
  readonly tools: readonly string[];
  readonly version: string;
  readonly heartbeatAgeMs: number;
}

export async function status(line: CommandLine, terminal: Terminal): Promise<number> {
  const base = serverNamed(line, terminal);
  if (base === null) return EXIT.USAGE;
  const ready = await page(new URL('/health/ready', base));
  const cluster = typeof ready === 'string' ? ready : await page(new URL('/cluster', base));
  const problem = typeof ready === 'string' ? ready : typeof cluster === 'string' ? cluster : null;
  if (problem !== null || typeof ready === 'string' || typeof cluster === 'string') {
    writeProblems(terminal, [`${base.origin}: ${problem}`]);
    return EXIT.UNAVAILABLE;
  }
  const readiness = asReadiness(ready.body);
  const all = asNodes(cluster.body);
  if (readiness === null || all === null) {
    writeProblems(terminal, [`${base.origin}: answers, but not as millrace does`]);
    return EXIT.UNAVAILABLE;
  }
  const nodes = line.own.get('all') === true ? all : all.filter((node) => LIVE_STATES.has(node.status));
  const isReady = ready.status === 200;
  if (line.own.get('json') === true) {
    terminal.out(`${JSON.stringify({ ready: isReady, ...readiness, nodes }, null, 2)}\n`);
  } else {
    terminal.out(report(base.origin, isReady, readiness, nodes));
  }
  return isReady ? EXIT.OK : EXIT.FAILED;
}

function page(url: URL): Promise<Answer | string> {
  const expects = (status: number): boolean => status === 200 || status === 503;
  return ask({ url, answerMsMax: ANSWER_MS_MAX, answerBytesMax: ANSWER_BYTES_MAX, expects });
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(plain) : []);

function asReadiness(body: unknown): Readiness | null {
  if (!isObject(body) || typeof body['status'] !== 'string') return null;
  return { status: plain(body['status']), degraded: texts(body['degraded']) };
}

function asNodes(body: unknown): NodeRow[] | null {
  const nodes = isObject(body) ? body['nodes'] : null;
  if (!Array.isArray(nodes)) return null;
  return nodes.filter(isObject).map((node) => ({
    id: plain(node['id']),
    status: plain(node['status']),
    url: plain(node['url']),
    load: count(node['load']),
    maxLoad: count(node['maxLoad']),
    tools: texts(node['tools']),
    version: plain(node['version']),
    heartbeatAgeMs: count(node['heartbeatAgeMs']),
  }));
}

function report(origin: string, isReady: boolean, readiness: Readiness, nodes: readonly NodeRow[]): string {
  const degraded = readiness.degraded.length === 0 ? '' : `, degraded: ${readiness.degraded.join(', ')}`;
  const heads = ['node', 'status', 'load', 'tools', 'version', 'heartbeat', 'url'];
  const rows = nodes.map((node) => [
    node.id,
    node.status,
    `${node.load}/${node.maxLoad}`,
    String(node.tools.length),
    node.version,
    `${Math.round(node.heartbeatAgeMs)} ms`,
    node.url,
  ]);
  return `${origin} is ${isReady ? 'ready' : 'not ready'} (${readiness.status}${degraded})\n\n${table(heads, rows)}`;
}
