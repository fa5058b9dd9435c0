/**
 * The same as in `nodes.test.ts` with processes: three built nodes over HTTP, which are killed, stopped for three times
 * the time to live of a lease, rolled, and cut off from Redis while clients send to whichever comes next.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { NodeProcess } from '../../cluster/balancer/node-process.ts';
import { randomFrom } from '../../random.ts';
import { freePort } from '../../redis/redis-process.ts';
import { RedisServer } from '../../redis/redis-server.ts';
import { until } from './node-rig.ts';
import { checkCut, cutBatches, cutStreams, expectedOf } from './partition-case.ts';
import { Sender, type Target } from './sender.ts';
import { batchesOf, checkResults, type Reading, sensorUnit } from './sensor-case.ts';

const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);
const UNITS = ['left', 'right'];
const CUT_PARTITIONS = 3;
const HEARTBEAT_MS = 500;
const TTL_MS = 1000;
const ROUNDS = 4;
const BATCHES_PER_ROUND = 10;
const CALL_MS_MAX = 2000;
const PATIENCE_MS = 350_000;

let redis: RedisServer;
let nodes: NodeProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), 'millrace-nodes-'));

before(async () => {
  redis = await RedisServer.start();
  const config = join(folder, 'millrace.config.json');
  const streams = [
    ...UNITS.flatMap((unit) => sensorUnit(unit, redis.url)),
    ...cutStreams('cut', redis.url, CUT_PARTITIONS),
  ];
  const streaming = { checkpointMs: 300, dataDir: folder, shards: 2 };
  writeFileSync(config, JSON.stringify({ streams, streaming }));
  const flags = [
    ...['--config', config, '--redis-url', redis.url, '--workers', '1', '--log-level', 'warn'],
    ...['--heartbeat-ms', String(HEARTBEAT_MS), '--shutdown-grace-ms', '5000'],
  ];
  for (let i = 1; i <= 3; i++) nodes.push(new NodeProcess(`n${i}`, await freePort(), flags));
  await Promise.all(nodes.map((node) => node.start()));
});
after(async () => {
  await Promise.all(nodes.map((node) => node.kill()));
  nodes = [];
  await redis.end();
  rmSync(folder, { recursive: true, force: true });
});

/** Not there now, or has no owner to ask: the same batch may be taken later. */
class TryLater extends Error {}

function targetOf(node: NodeProcess): Target {
  return {
    async accept(stream, events, { batchId, partition }) {
      const url = node.url.replace('/mcp', `/streams/${stream}/events`);
      const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': batchId, 'X-Partition': partition };
      const body = JSON.stringify(events);
      const signal = AbortSignal.timeout(CALL_MS_MAX);
      const response = await fetch(url, { method: 'POST', headers, body, signal }).catch((cause: unknown) => {
        throw new TryLater('no answer', { cause });
      });
      const text = await response.text().catch((cause: unknown) => {
        throw new TryLater('half an answer', { cause });
      });
      if (response.status === 503 || response.status === 429) {
        assert.ok(response.headers.get('retry-after') !== null, text);
        throw new TryLater(text);
      }
      assert.equal(response.status, 200, `${node.id}: ${text}`);
      return JSON.parse(text) as Accepted;
    },
  };
}

async function holderOf(unit: string): Promise<{ id: string; token: number }> {
  const [holder, token] = (await redis.run('HMGET', `mcp:lease:{stream:${unit}}`, 'holder', 'token')) as string[];
  return { id: holder ?? '', token: Number(token ?? 0) };
}

async function linesOf(stream: string): Promise<string[]> {
  const entries = (await redis.run('XRANGE', `results:${stream}`, '-', '+')) as [string, string[]][];
  return entries.map(([, fields]) => fields[3] as string);
}

async function strike(round: number, victim: NodeProcess): Promise<void> {
  switch (round % 4) {
    case 0:
      await victim.kill();
      return victim.start();
    case 1:
      victim.signal('SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, 3 * TTL_MS));
      victim.signal('SIGCONT');
      return;
    case 2:
      assert.equal(await victim.stop(), 0);
      return victim.start();
    default:
      await redis.run('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await redis.run('CLIENT', 'KILL', 'TYPE', 'pubsub');
  }
}

test('a node whose Redis is there takes its streams over at the first try', async () => {
  const config = join(folder, 'lone.config.json');
  writeFileSync(config, JSON.stringify({ streams: cutStreams('lone', redis.url, 2), cluster: { prefix: 'lone:' } }));
  const flags = ['--config', config, '--redis-url', redis.url, '--workers', '1', '--log-level', 'warn'];
  const node = new NodeProcess('lone', await freePort(), flags);
  await node.start();
  try {
    const events = cutBatches(randomFrom(SEED), 1, 5).flat();
    const heading = { batchId: '', partition: '' };
    await eventually(
      'events are taken',
      () =>
        targetOf(node)
          .accept('lone', events, heading)
          .then(() => '', String),
      (refusal) => refusal === '',
    );
    assert.equal(node.errors, '');
  } finally {
    await node.kill();
  }
});

test('owners are killed, stopped, rolled and cut off: every event counts once, every result is emitted once', {
  timeout: PATIENCE_MS,
}, async () => {
  const random = randomFrom(SEED);
  const sent = new Map<string, Reading[]>(UNITS.map((unit) => [unit, []]));
  const cut: Reading[] = [];
  const targets = (): Target[] => nodes.map(targetOf);
  const mayRetry = (error: unknown): boolean => error instanceof TryLater;
  const senders = [...UNITS, 'cut'].flatMap((stream) =>
    Array.from({ length: 3 }, (_, i) => {
      const batches = (stream === 'cut' ? cutBatches : batchesOf)(random, ROUNDS * BATCHES_PER_ROUND, 15);
      (sent.get(stream) ?? cut).push(...batches.flat());
      return new Sender({ stream, name: `${stream}-${i}`, batches, targets, mayRetry });
    }),
  );
  for (const sender of senders) await sender.send(1);
  const tokens = new Map<string, number[]>(UNITS.map((unit) => [unit, []]));
  for (let round = 0; round < ROUNDS; round++) {
    const sending = Promise.all(senders.map((sender) => sender.send(BATCHES_PER_ROUND)));
    sending.catch(() => undefined);
    const unit = UNITS[round % 2] as string;
    let holder = '';
    await until('somebody runs it', async () => {
      holder = (await holderOf(unit)).id;
      return holder !== '';
    });
    for (const each of UNITS) tokens.get(each)?.push((await holderOf(each)).token);
    await strike(round, nodes.find((node) => node.id === holder) as NodeProcess);
    await sending;
  }
  await Promise.all(senders.map((sender) => sender.send()));
  for (const each of UNITS) tokens.get(each)?.push((await holderOf(each)).token);
  for (const unit of UNITS) {
    const readings = sent.get(unit) as Reading[];
    const windows = new Set(readings.map(({ at, sensor }) => `${sensor} ${Math.floor(at / 100)}`)).size;
    await until('all results are in the sink', async () => (await linesOf(unit)).length >= windows - 1);
    await until('the sums as well', async () => (await linesOf(`${unit}Sums`)).length >= 18);
    checkResults(readings, await linesOf(unit), await linesOf(`${unit}Sums`), unit);
    const given = tokens.get(unit) as number[];
    assert.ok(
      given.every((token, i) => i === 0 || token >= (given[i - 1] as number)),
      `tokens fell: ${given}`,
    );
    assert.ok(new Set(given).size > 1, `never another owner: ${given}`);
  }
  const { seconds, windows } = expectedOf(cut);
  await until('all windows of all partitions are there', async () => (await linesOf('cut')).length >= windows.size);
  await until('their sums as well', async () => (await linesOf('cutSums')).length >= seconds.size);
  checkCut(cut, await linesOf('cut'), await linesOf('cutSums'));
  assert.ok(senders.some(({ retries }) => retries > 0));
});

test('when Redis was restarted empty, the streams begin anew under higher tokens', {
  timeout: PATIENCE_MS,
}, async () => {
  const before = await Promise.all(UNITS.map(holderOf));
  await redis.end();
  await redis.startAgain();
  const [unit] = UNITS as [string];
  const events = [
    { at: 1_000_000, sensor: 'a', value: 1 },
    { at: 1_000_250, sensor: 'a', value: 1 },
  ];
  for (const [i, node] of nodes.entries()) {
    let taken: Accepted | null = null;
    await until(`${node.id} takes events`, async () => {
      const heading = { batchId: `anew/${i}`, partition: '' };
      taken = await targetOf(node)
        .accept(unit, events, heading)
        .catch((error: unknown) => {
          assert.ok(error instanceof TryLater, String(error));
          return null;
        });
      return taken !== null;
    });
    // The watermark of before is gone: the first batch is in time, those after it find its window closed.
    assert.deepEqual(taken, { accepted: 2, rejected: 0, late: i === 0 ? 0 : 1 });
  }
  await until('its result is there', async () => (await linesOf(unit)).length > 0);
  assert.equal((await linesOf(unit)).length, 1);
  for (const [i, { token }] of before.entries()) {
    const each = UNITS[i] as string;
    await until('it has an owner', async () => (await holderOf(each)).id !== '');
    assert.ok((await holderOf(each)).token > token);
  }
});
