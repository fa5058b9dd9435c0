/**
 * `millrace status`: asks a running server for `/health/ready` and `/cluster` and prints what it says.
 *
 * What comes back is another process' text: it is checked for shape, and control characters do not reach the
 * terminal. The answer is bounded in time and size.
 */
import type { CommandLine } from './command-line.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

const DEFAULT_URL = 'http://127.0.0.1:8080';
const ANSWER_MS_MAX = 5000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
const LIVE_STATES: ReadonlySet<string> = new Set(['starting', 'running', 'draining']);
/** C0 and C1 control characters. */
const CONTROL = /\p{Cc}/gu;

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
  const given = line.own.get('url');
  const written = typeof given === 'string' ? given : DEFAULT_URL;
  if (!URL.canParse(written) || !/^https?:$/.test(new URL(written).protocol)) {
    writeProblems(terminal, [`--url ${written}: must be an http:// or https:// URL`]);
    return EXIT.USAGE;
  }
  const base = new URL(written);
  const ready = await ask(new URL('/health/ready', base));
  const cluster = typeof ready === 'string' ? ready : await ask(new URL('/cluster', base));
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

/** The JSON a path answers with, or why there is none. */
async function ask(url: URL): Promise<{ readonly status: number; readonly body: unknown } | string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(ANSWER_MS_MAX), redirect: 'error' });
    const text = await boundedText(response);
    if (text === null) return `${url.pathname} answers with more than ${ANSWER_BYTES_MAX} bytes`;
    if (response.status !== 200 && response.status !== 503) return `${url.pathname} answers ${response.status}`;
    return { status: response.status, body: JSON.parse(text) as unknown };
  } catch (error) {
    return reasonOf(error, url);
  }
}

function reasonOf(error: unknown, url: URL): string {
  if (error instanceof SyntaxError) return `${url.pathname} does not answer with JSON`;
  if (!(error instanceof Error)) return 'cannot be asked';
  if (error.name === 'TimeoutError') return `no answer within ${ANSWER_MS_MAX} ms`;
  const code = (error.cause as { code?: string } | undefined)?.code;
  if (code === 'ECONNREFUSED') return 'nothing listens there';
  return `cannot be reached (${code ?? error.message})`;
}

async function boundedText(response: Response): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.byteLength;
    if (bytes > ANSWER_BYTES_MAX) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const text = (value: unknown): string => (typeof value === 'string' ? value.replace(CONTROL, '') : '');
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text) : []);
const count = (value: unknown): number => (typeof value === 'number' ? value : 0);

function asReadiness(body: unknown): Readiness | null {
  if (!isObject(body) || typeof body['status'] !== 'string') return null;
  return { status: text(body['status']), degraded: texts(body['degraded']) };
}

function asNodes(body: unknown): NodeRow[] | null {
  const nodes = isObject(body) ? body['nodes'] : null;
  if (!Array.isArray(nodes)) return null;
  return nodes.filter(isObject).map((node) => ({
    id: text(node['id']),
    status: text(node['status']),
    url: text(node['url']),
    load: count(node['load']),
    maxLoad: count(node['maxLoad']),
    tools: texts(node['tools']),
    version: text(node['version']),
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
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = [heads, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${origin} is ${isReady ? 'ready' : 'not ready'} (${readiness.status}${degraded})\n\n${lines.join('\n')}\n`;
}
