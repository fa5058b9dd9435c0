/**
 * `millrace status`: asks a running server for `/health/ready` and `/cluster` and prints what it says.
 *
 * Role: what the two answers mean; `ask-server.ts` gets them. Nothing of them is printed that was not checked for
 * shape. The exit code says whether all is well: ready, nothing degraded, nothing odd about the nodes.
 */
import type { NodeReport } from '../observe/operations.ts';
import { isJsonObject } from '../protocol/message-shape.ts';
import { type Answer, ask, count, plain, serverNamed } from './ask-server.ts';
import type { CommandLine } from './command-line.ts';
import { table } from './table.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

const ANSWER_MS_MAX = 5000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** With `--all` the names of the tools are printed, as far as they fit. */
const NAMES_CHARS_MAX = 60;
const LIVE_STATES: ReadonlySet<string> = new Set(['starting', 'running', 'draining']);

interface Readiness {
  readonly status: string;
  readonly degraded: readonly string[];
}
/** The status may be one that only a later version has. */
type NodeRow = Omit<NodeReport, 'status'> & { readonly status: string };
interface Cluster {
  readonly nodes: readonly NodeRow[];
  readonly warnings: readonly string[];
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
  const known = asCluster(cluster.body);
  if (readiness === null || known === null) {
    writeProblems(terminal, [`${base.origin}: answers, but not as millrace does`]);
    return EXIT.UNAVAILABLE;
  }
  const all = line.own.get('all') === true;
  const { warnings } = known;
  const nodes = all ? known.nodes : known.nodes.filter((node) => LIVE_STATES.has(node.status));
  const isReady = ready.status === 200;
  if (line.own.get('json') === true) {
    terminal.out(`${JSON.stringify({ ready: isReady, ...readiness, nodes, warnings }, null, 2)}\n`);
  } else {
    terminal.out(report(base.origin, isReady, readiness, { nodes, warnings }, all));
  }
  return isReady && readiness.degraded.length === 0 && warnings.length === 0 ? EXIT.OK : EXIT.FAILED;
}

function page(url: URL): Promise<Answer | string> {
  const expects = (status: number): boolean => status === 200 || status === 503;
  return ask({ url, answerMsMax: ANSWER_MS_MAX, answerBytesMax: ANSWER_BYTES_MAX, expects });
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(plain) : []);

function asReadiness(body: unknown): Readiness | null {
  if (!isJsonObject(body) || typeof body['status'] !== 'string') return null;
  return { status: plain(body['status']), degraded: texts(body['degraded']) };
}

function asCluster(body: unknown): Cluster | null {
  if (!isJsonObject(body) || !Array.isArray(body['nodes'])) return null;
  const nodes = body['nodes'].filter(isJsonObject).map((node) => ({
    id: plain(node['id']),
    status: plain(node['status']),
    url: plain(node['url']),
    load: count(node['load']),
    maxLoad: count(node['maxLoad']),
    tools: texts(node['tools']),
    version: plain(node['version']),
    busy: node['busy'] === true,
    epoch: count(node['epoch']),
    heartbeatAgeMs: count(node['heartbeatAgeMs']),
  }));
  return { nodes, warnings: texts(body['warnings']) };
}

function report(origin: string, isReady: boolean, readiness: Readiness, cluster: Cluster, all: boolean): string {
  const degraded = readiness.degraded.length === 0 ? '' : `, degraded: ${readiness.degraded.join(', ')}`;
  const heads = ['node', 'status', 'load', 'tools', 'version', 'heartbeat', 'url'];
  const rows = cluster.nodes.map((node) => [
    node.id,
    node.busy ? `${node.status}, busy` : node.status,
    `${node.load}/${node.maxLoad}`,
    all ? toolsOf(node) : String(node.tools.length),
    node.version,
    `${Math.round(node.heartbeatAgeMs)} ms`,
    node.url,
  ]);
  const warnings = cluster.warnings.map((warning) => `warning: ${warning}\n`).join('');
  const state = `${origin} is ${isReady ? 'ready' : 'not ready'} (${readiness.status}${degraded})`;
  return `${state}\n\n${table(heads, rows)}${warnings === '' ? '' : `\n${warnings}`}`;
}

function toolsOf({ tools }: NodeRow): string {
  const names = tools.join(' ');
  return names.length <= NAMES_CHARS_MAX
    ? `${tools.length}: ${names}`
    : `${tools.length}: ${names.slice(0, NAMES_CHARS_MAX)}…`;
}
