/**
 * After scores of dead workers and a thousand clients that left, and after whole runtimes came and went, there are
 * as many descriptors, threads and bytes as before.
 *
 * Reads `/proc/self`, so it runs on Linux. It finds what is lost with every repetition; a single lost object it does not.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { RawClient } from '../frontend/raw-client.ts';
import { openSocket } from '../wire/message-client.ts';
import { metaOf, Session, Stateless } from '../wire/raw-clients.ts';
import { callHeaders, callText } from './post.ts';

const MIB = 1024 * 1024;
const WORKERS = 4;
const KILLS = 16;
const STRAYS = 10;
const ABORTS = 1000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Census {
  readonly descriptors: number;
  readonly threads: number;
  readonly heapMiB: number;
}

function census(): Census {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    heapMiB: (heapUsed + external) / MIB,
  };
}

/** As before, give or take what a busy process has more or less of at a moment. */
async function expectFlat(before: Census, heapMiBMax: number): Promise<void> {
  const flat = ({ descriptors, threads, heapMiB }: Census): boolean =>
    descriptors <= before.descriptors + 8 && threads <= before.threads + 1 && heapMiB <= before.heapMiB + heapMiBMax;
  await eventually(`as before: ${JSON.stringify(before)}`, census, flat);
}

async function calm(served: Served): Promise<void> {
  for (const gauge of ['millrace_in_flight', 'millrace_queue_depth', 'millrace_connections']) {
    await eventually(
      gauge,
      () => served.metric(gauge),
      (value) => value === 0,
    );
  }
  await eventually(
    'workers',
    () => served.metric('millrace_workers'),
    (count) => count === served.runtime.settings.workers,
  );
}

const requestOf = (tool: string, args: string): string => {
  const body = callText(tool, args);
  const headers = { host: '127.0.0.1', ...callHeaders(tool), 'content-length': String(body.length) };
  const head = Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('');
  return `POST /mcp HTTP/1.1\r\n${head}\r\n${body}`;
};

/** So many at a time, so often. */
async function inCrowds(total: number, crowd: number, one: (index: number) => Promise<void>): Promise<void> {
  for (let done = 0; done < total; done += crowd) {
    await Promise.all(Array.from({ length: crowd }, (_, i) => one(done + i)));
  }
}

/** Leaves a call in one of four ways: before its body, running, mid-stream, with a WebSocket. */
async function leave(served: Served, way: number): Promise<void> {
  if (way % 10 === 9) {
    const { client, socket, closed } = await openSocket(served.url);
    client.send({ id: 1, method: 'tools/call', params: { name: 'sleep', arguments: { ms: 60_000 }, _meta: metaOf() } });
    socket.terminate();
    await closed;
    return;
  }
  const client = await RawClient.open(served.port);
  const text = requestOf(way % 3 === 2 ? 'pours' : 'sleep', '{"ms":60000,"chars":10,"times":100000}');
  client.write(way % 3 === 0 ? text.slice(0, -10) : text);
  client.socket.end();
  client.destroy();
  await client.closed;
}

for (const frontend of FRONT_ENDS) {
  test(`${ABORTS} aborts leave nothing behind on ${frontend}`, async (t) => {
    const served = await serve(frontend, { modules: [fixture('hostile-tools')], requestTimeoutMs: 60_000 });
    t.after(() => served.close());
    await inCrowds(200, 100, (way) => leave(served, way));
    await calm(served);
    const before = census();
    await inCrowds(ABORTS, 100, (way) => leave(served, way));
    await calm(served);
    await expectFlat(before, 8);
  });
}

test(`${KILLS} killed workers and ${STRAYS} soiled ones leave nothing behind`, async (t) => {
  const served = await serve('auto', {
    modules: [fixture('hostile-tools')],
    workers: WORKERS,
    quarantineAfter: 1000,
    killGraceMs: 20,
  });
  t.after(() => served.close());
  const client = new Stateless(served.url, fetch, { connection: 'close' });
  const started = (): Promise<number> => served.metric('millrace_worker_starts_total');
  /** One call for each worker; all of them are back afterwards. */
  const kill = async (): Promise<void> => {
    const answers = await Promise.all(Array.from({ length: WORKERS }, () => client.call('loops')));
    for (const { error } of answers) assert.ok(error.code < 0);
    await calm(served);
  };
  const soil = async (): Promise<void> => {
    const before = await started();
    await Promise.all([client.call('strays'), client.call('strays')]);
    await eventually('worker replaced', started, (count) => count > before);
  };
  await kill();
  await soil();
  await calm(served);
  const before = census();
  const startedBefore = await started();
  for (let killed = 0; killed < KILLS; killed += WORKERS) await kill();
  await inCrowds(STRAYS / 2, 1, soil);
  await calm(served);
  // Two that meet on a worker end only one.
  const replaced = (await started()) - startedBefore;
  assert.ok(replaced >= (KILLS + STRAYS) / 2, `${replaced} workers replaced`);
  await expectFlat(before, 16);
  assert.equal((await client.call('echo', { text: 'still here' })).status, 200);
});

test('runtimes that come and go leave nothing behind', async () => {
  const once = async (frontend: 'uws' | 'node'): Promise<void> => {
    const served = await serve(frontend, { workers: 1, modules: [fixture('talking-tools')] });
    const session = await Session.begin(served.url, REVISION_2025_11_25);
    await session.call('echo', { text: 'x' });
    const stream = await session.listen(new AbortController().signal);
    const { client, closed } = await openSocket(served.url);
    await client.stateless('tools/call', { name: 'echo', arguments: { text: 'x' } });
    await served.close();
    await stream.text();
    await closed;
  };
  for (let i = 0; i < 2; i++) for (const frontend of FRONT_ENDS) await once(frontend);
  const before = census();
  for (let i = 0; i < 3; i++) for (const frontend of FRONT_ENDS) await once(frontend);
  await expectFlat(before, 16);
});
