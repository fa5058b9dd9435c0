/**
 * Deliveries to sinks that are away, that ask to be left alone, and that refuse for good.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { retryAfterMs } from '../../../src/streams/alerts/webhook.ts';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { Delivery } from '../../../src/streams/engine/results/delivery.ts';
import { type Sink, SinkAway, type SinkBatch, SinkRefusal } from '../../../src/streams/sinks/port.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { CutLine } from '../sinks/cut-line.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const PATIENCE_MS = 90_000;

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

interface Said {
  readonly level: string;
  readonly fields: { readonly pauseMs?: number; readonly results?: number };
}

function recorder(): { said: Said[]; log: ConstructorParameters<typeof Delivery>[2] } {
  const said: Said[] = [];
  const note = (level: string) => (fields: object) => void said.push({ level, fields });
  return { said, log: { error: note('error'), warn: note('warn'), info: note('info') } };
}

function sinkOf(open: Sink['open'], write: Sink['write']): Sink {
  return { open, write, close: () => Promise.resolve() };
}

const batchOf = (seq: number): SinkBatch => ({ seq, lines: [`{"id":"${seq}"}`] });

test('a sink that is away when it is opened gets what it does not have, once it is there', async () => {
  let away = true;
  const written: number[] = [];
  const sink = sinkOf(
    () => (away ? Promise.reject(new SinkAway('away')) : Promise.resolve(3)),
    ({ seq }) => {
      written.push(seq);
      return Promise.resolve();
    },
  );
  const delivery = new Delivery('s/x', sink, recorder().log);
  await delivery.open(1, [batchOf(1), batchOf(2)], 5);
  for (const seq of [3, 4, 5]) delivery.push(batchOf(seq));
  assert.equal(delivery.failing, true);
  assert.deepEqual(
    delivery.pending().map(({ seq }) => seq),
    [2, 3, 4, 5],
  );
  away = false;
  await until(() => !delivery.failing && delivery.pending().length === 0, 'all delivered');
  assert.deepEqual(written, [4, 5]);
  assert.equal(delivery.cursor, 5);
  await delivery.close();
});

test('a sink that is away when it is opened and holds nothing yet gets everything', async () => {
  let tries = 0;
  const written: number[] = [];
  const sink = sinkOf(
    () => {
      tries += 1;
      return tries < 3 ? Promise.reject(new SinkAway('away')) : Promise.resolve(0);
    },
    ({ seq }) => {
      written.push(seq);
      return Promise.resolve();
    },
  );
  const delivery = new Delivery('s/x', sink, recorder().log);
  await delivery.open(0, [], 5);
  for (const seq of [3, 4]) delivery.push(batchOf(seq));
  await until(() => written.length === 2, 'all delivered');
  assert.deepEqual(written, [3, 4]);
  await delivery.close();
});

test('a sink further than a log that has lost its newest records has what is left of it already', async () => {
  const written: number[] = [];
  const delivery = new Delivery(
    's/x',
    sinkOf(
      () => Promise.resolve(12),
      ({ seq }) => {
        written.push(seq);
        return Promise.resolve();
      },
    ),
    recorder().log,
  );
  // Of a checkpoint of that log, as of record 8: 9 and 10 are computed again, 11 is a new one under an old number.
  await delivery.open(8, [batchOf(8)], 10);
  for (const seq of [9, 10, 11]) delivery.push(batchOf(seq));
  await delivery.settled();
  assert.deepEqual(written, [11]);
  await delivery.close();
});

test('a sink that cannot be used as it is declared is told at once, with its name', async () => {
  const delivery = new Delivery(
    's/x',
    sinkOf(
      () => Promise.reject(new Error('no such folder')),
      () => Promise.resolve(),
    ),
    recorder().log,
  );
  await assert.rejects(delivery.open(0, [], 0), { message: 'sink s/x: no such folder' });
});

test('what a sink refuses for good is left out, counted and said; the next goes on', async () => {
  const { log, said } = recorder();
  const written: number[] = [];
  const sink = sinkOf(
    () => Promise.resolve(0),
    ({ lines, seq }) => {
      if (seq === 1) return Promise.reject(new SinkRefusal('status 400', lines.length));
      written.push(seq);
      return Promise.resolve();
    },
  );
  const delivery = new Delivery('s/x', sink, log);
  await delivery.open(0, [], 0);
  for (const seq of [1, 2, 3]) delivery.push(batchOf(seq));
  await delivery.settled();
  assert.equal(delivery.cursor, 3);
  assert.equal(delivery.refused, 1);
  assert.equal(delivery.failing, false);
  assert.deepEqual(
    said.filter(({ level }) => level === 'error').map(({ fields }) => fields.results),
    [1],
  );
  await delivery.close();
});

test('a sink that asks for time is given it', async () => {
  const { log, said } = recorder();
  const sink = sinkOf(
    () => Promise.resolve(0),
    () => Promise.reject(new SinkAway('status 503', 7000)),
  );
  const delivery = new Delivery('s/x', sink, log);
  await delivery.open(0, [], 0);
  delivery.push(batchOf(1));
  await delivery.settled();
  assert.deepEqual(
    said.map(({ fields }) => fields.pauseMs),
    [7000],
  );
  await delivery.close();
});

test('Retry-After is seconds or a date', () => {
  const nowMs = Date.parse('2026-01-01T00:00:00Z');
  assert.equal(retryAfterMs('120', nowMs), 120_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 00:00:30 GMT', nowMs), 30_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2025 00:00:30 GMT', nowMs), 0);
  for (const text of ['', 'soon', '-5']) assert.equal(retryAfterMs(text, nowMs), 0, text);
});

const counted = (sinks: StreamDefinition['sinks']): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  views: [{ name: 'v' }],
  ...(sinks === undefined ? {} : { sinks }),
});

type Answer = (request: IncomingMessage, body: string, response: ServerResponse) => void;

async function withServer(answer: Answer, use: (url: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => answer(request, body, response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test('a webhook that answers 400, or elsewhere, is not asked again for the same results', async () => {
  const calls: string[] = [];
  await withServer(
    (_request, body, response) => {
      const [{ key }] = JSON.parse(body) as [{ key: { k: string } }];
      calls.push(key.k);
      if (key.k === 'moved') response.writeHead(301, { location: '/elsewhere' }).end();
      else response.writeHead(key.k === 'bad' ? 400 : 204).end();
    },
    async (url) => {
      const rig = await openRig([counted([{ type: 'webhook', url }])]);
      for (const [at, k] of ['bad', 'moved', 'good'].entries()) {
        await rig.send('s', [{ at, k }]);
        await rig.settled();
      }
      assert.deepEqual(calls, ['bad', 'moved', 'good']);
      assert.deepEqual(rig.service.degraded, []);
      await rig.close();
    },
  );
});

test('a webhook that answers 429 or 503 is asked again after the time it names', async () => {
  const times: number[] = [];
  await withServer(
    (_request, _body, response) => {
      times.push(performance.now());
      if (times.length === 1) response.writeHead(429, { 'retry-after': '1' }).end();
      else response.writeHead(times.length === 2 ? 503 : 204).end();
    },
    async (url) => {
      const rig = await openRig([counted([{ type: 'webhook', url }])]);
      await rig.send('s', [{ at: 1, k: 'a' }]);
      await until(() => times.length >= 3 && rig.service.degraded.length === 0, 'taken');
      assert.ok((times[1] as number) - (times[0] as number) > 900, `${times}`);
      await rig.close();
    },
  );
});

test('a Redis sink opens and delivers when Redis comes, each result once', async () => {
  const redis = await RedisServer.start();
  const line = await CutLine.to(redis.port);
  line.goAway();
  const url = `redis://127.0.0.1:${line.port}`;
  const stores = lastingStores();
  const definitions = [counted([{ type: 'redis', url, stream: 'out' }])];
  let rig = await openRig(definitions, { stores });
  await rig.send('s', [{ at: 1, k: 'a' }]);
  assert.equal(rig.service.degraded.length, 1);
  line.back();
  const ids = async (): Promise<string[]> => {
    const entries = (await redis.run('XRANGE', 'out', '-', '+')) as [string, string[]][];
    return entries.map(([, [, id]]) => id as string);
  };
  try {
    await until(async () => (await ids()).length === 1, 'the result is in Redis');
    await until(() => rig.service.degraded.length === 0, 'all is well');
    // From the start again: what Redis has is not given to it twice.
    await rig.abandon();
    rig = await openRig(definitions, { stores });
    await rig.send('s', [{ at: 2, k: 'b' }]);
    await until(async () => (await ids()).length >= 2, 'the next one is there');
    const found = await ids();
    assert.equal(found.length, 2);
    assert.equal(new Set(found).size, 2);
  } finally {
    await rig.close();
    line.close();
    await redis.end();
  }
});
