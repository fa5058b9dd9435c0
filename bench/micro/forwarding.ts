/**
 * What forwarding adds to a call: the same `echo` of the same node, asked directly and through a node that does not run
 * it. One call at a time gives the added latency, several at a time what two hops do to it under load.
 *
 * Run: node dist/bench/micro/forwarding.js [calls]
 */
import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { Cluster } from '../servers/cluster.ts';

const CALLS = Number(process.argv[2] ?? 4000);
const ROUNDS = 3;
const CONCURRENCY = [1, 16];
const TRIES = 200;
const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: {
    name: 'echo',
    arguments: { text: 'hello' },
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    },
  },
});
const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
  'mcp-protocol-version': '2026-07-28',
  'mcp-method': 'tools/call',
  'mcp-name': 'echo',
};

/** Microseconds until the whole answer was there, or null when it was an error. */
function call(url: string, agent: Agent): Promise<number | null> {
  const began = process.hrtime.bigint();
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'POST', headers: HEADERS, agent }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      res.on('end', () => resolve(text.includes('"result"') ? Number(process.hrtime.bigint() - began) / 1000 : null));
    });
    req.on('error', reject);
    req.end(BODY);
  });
}

async function measure(url: string, concurrency: number, calls: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: concurrency });
  const times: number[] = [];
  let left = calls;
  const client = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const us = await call(url, agent);
      if (us === null) throw new Error(`${url} answers with an error`);
      times.push(us);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, client));
  agent.destroy();
  return times.sort((a, b) => a - b);
}

const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;

const cluster = await Cluster.start({
  nodes: 2,
  balanced: false,
  flags: (index) => [
    ...['--workers', '1', '--log-level', 'error'],
    ...(index === 0 ? ['--cluster-offer', 'nothing'] : []),
  ],
});
try {
  const [asker, runner] = cluster.nodes.map(({ url }) => url) as [string, string];
  const agent = new Agent();
  for (let tries = 1; (await call(asker, agent)) === null; tries++) {
    if (tries === TRIES) throw new Error('the nodes do not find each other');
    await wait(50);
  }
  const line = (cells: readonly (string | number)[]): void =>
    console.log(cells.map((cell) => String(typeof cell === 'number' ? Math.round(cell) : cell).padStart(13)).join(''));
  line(['at once', 'round', 'direct P50', 'P99', 'forwarded P50', 'P99', 'added P50', 'P99 (µs)']);
  for (const concurrency of CONCURRENCY) {
    for (const url of [runner, asker]) await measure(url, concurrency, CALLS);
    for (let round = 1; round <= ROUNDS; round++) {
      // Whoever comes second may find a warmer machine: the order changes.
      const order = round % 2 === 0 ? [runner, asker] : [asker, runner];
      const measured = new Map<string, number[]>();
      for (const url of order) measured.set(url, await measure(url, concurrency, CALLS));
      const [direct, forwarded] = [measured.get(runner) ?? [], measured.get(asker) ?? []];
      const cells = [direct, forwarded].flatMap((times) => [at(times, 0.5), at(times, 0.99)]);
      const [p50, p99, p50Far, p99Far] = cells as [number, number, number, number];
      line([concurrency, round, ...cells, p50Far - p50, p99Far - p99]);
    }
  }
} finally {
  await cluster.end();
}
