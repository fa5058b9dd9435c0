/**
 * Units of replicated streams on nodes that come, go, are cut off and replaced: any node takes events for any unit, each
 * accepted event counts once, and each result reaches its sink once.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { randomFrom } from '../../random.ts';
import { EVERYTHING } from '../rig-parts.ts';
import { FakeCluster } from './fake-cluster.ts';
import { type RigNode, until } from './node-rig.ts';
import { NodeSet } from './node-set.ts';
import { Sender } from './sender.ts';
import { batchesOf, checkResults, type Reading, sensorUnit } from './sensor-case.ts';

const ROUNDS = 10;
const BATCHES_PER_ROUND = 8;
const SEED = Number(process.env['STREAM_SEED'] ?? 20_261_121);

const nodes = new NodeSet();

interface Load {
  readonly units: readonly string[];
  readonly senders: readonly Sender[];
  readonly sent: ReadonlyMap<string, readonly Reading[]>;
}

function loadOf(units: readonly string[], perUnit: number, batches: number): Load {
  const random = randomFrom(SEED);
  const sent = new Map<string, Reading[]>();
  const senders = units.flatMap((stream) =>
    Array.from({ length: perUnit }, (_, i) => {
      const its = batchesOf(random, batches, 12);
      sent.set(stream, [...(sent.get(stream) ?? []), ...its.flat()]);
      return new Sender({ stream, name: `${stream}-${i}`, batches: its, targets: nodes.running });
    }),
  );
  return { units, senders, sent };
}

/** All partitions are known before anything else happens. */
async function begin({ senders }: Load): Promise<void> {
  for (const sender of senders) await sender.send(1);
}

async function finish({ sent, senders, units }: Load): Promise<void> {
  await Promise.all(senders.map((sender) => sender.send()));
  for (const unit of units) {
    const parts = new Set((sent.get(unit) as Reading[]).map(({ at, sensor }) => `${sensor} ${Math.floor(at / 100)}`));
    await until('all results are in the sink', async () => (await nodes.linesOf(unit)).length >= parts.size - 1);
  }
  for (const unit of units) {
    const sums = `${unit}Sums`;
    await until('sums are in the sink', async () => (await nodes.linesOf(sums)).length >= 18);
    checkResults(sent.get(unit) as Reading[], await nodes.linesOf(unit), await nodes.linesOf(sums), unit);
  }
}

describe('units on nodes', () => {
  test('each is run by one node, and any node takes events and answers for it', async () => {
    const cluster = new FakeCluster();
    const units = ['alpha', 'beta', 'gamma', 'delta'];
    const definitions = units.flatMap((unit) => sensorUnit(unit, nodes.redis.url));
    await nodes.start({ cluster, definitions }, 'n1', 'n2', 'n3');
    await until('every unit has an owner', () => units.every((unit) => nodes.ownersOf(unit).length === 1));
    const load = loadOf(units, 2, 10);
    await begin(load);
    await finish(load);
    for (const { streams } of nodes.running()) {
      const listed = await streams.service.list();
      assert.deepEqual(
        listed.filter(({ name }) => units.includes(name)).map(({ counters, name }) => [name, counters.accepted]),
        units.toSorted().map((unit) => [unit, load.sent.get(unit)?.length]),
      );
      const query = { ...EVERYTHING, name: 'parts', key: { sensor: 's1' }, limit: 5 };
      const { rows } = await streams.service.query({ ...query, stream: 'beta', include: 'closed' });
      assert.equal(rows.length, 5);
      await assert.rejects(
        streams.service.query({ ...query, stream: 'beta', name: 'none', include: 'all' }),
        StreamRefusal,
      );
    }
    assert.ok(cluster.messages > 0);
  });

  test('a node that joins takes its share, the others keep theirs and go on', async () => {
    const cluster = new FakeCluster();
    const units = Array.from({ length: 12 }, (_, i) => `unit${i}`);
    const definitions = units.flatMap((unit) => sensorUnit(unit, nodes.redis.url));
    const options = { cluster, definitions, checkpointMs: 200 };
    await nodes.start(options, 'n1', 'n2');
    await until('every unit is where it should be', () => units.every((unit) => nodes.isAtHome(unit)));
    const before = new Map(units.map((unit) => [unit, nodes.ownersOf(unit)[0]?.id]));
    const load = loadOf(units, 1, 12);
    await begin(load);
    const sending = finish(load);
    await nodes.start(options, 'n3');
    await sending;
    await until('every unit is where it should be', () => units.every((unit) => nodes.isAtHome(unit)));
    assert.ok(nodes.byId.get('n3')?.streams.owned.length !== 0);
    for (const unit of units) {
      const now = nodes.ownersOf(unit)[0]?.id;
      assert.ok(now === 'n3' || now === before.get(unit), `${unit} went from ${before.get(unit)} to ${now}`);
    }
  });
});

/** It goes on believing in its leases, takes events and saves checkpoints, until it is told. */
async function replaceUnnoticed(cluster: FakeCluster, victim: RigNode): Promise<void> {
  const leases = cluster.expire(victim.id, false);
  cluster.setStatus(victim.id, 'starting');
  await until('someone else has taken over', () =>
    leases.every(({ name }) => ![null, victim.id].includes(cluster.holderOf(name))),
  );
  await pause(200);
  cluster.setStatus(victim.id, 'running');
  for (const lease of leases) cluster.tell(lease);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('nothing is lost and nothing doubled', () => {
  test('while owners are killed, rolled, replaced without knowing it, and cut off from Redis', async () => {
    const cluster = new FakeCluster();
    const units = ['left', 'right'];
    const definitions = units.flatMap((unit) => sensorUnit(unit, nodes.redis.url));
    const options = { cluster, definitions, checkpointMs: 150, commandMsMax: 400 };
    const ids = ['n1', 'n2', 'n3'];
    await nodes.start(options, ...ids);
    await until('every unit has an owner', () => units.every((unit) => nodes.ownersOf(unit).length === 1));
    const load = loadOf(units, 3, ROUNDS * BATCHES_PER_ROUND);
    await begin(load);
    const random = randomFrom(SEED + 1);
    const done = { killed: 0, rolled: 0, replaced: 0, cut: 0, holes: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const sending = Promise.all(load.senders.map((sender) => sender.send(BATCHES_PER_ROUND)));
      sending.catch(() => undefined);
      await pause(random() * 30);
      const victim = nodes.ownersOf(units[round % 2] as string)[0] ?? (nodes.running()[0] as RigNode);
      const fate = (['killed', 'rolled', 'replaced', 'cut', 'holes'] as const)[round % 5] as keyof typeof done;
      done[fate] += 1;
      if (fate === 'cut') victim.proxy.cut();
      else if (fate === 'replaced') await replaceUnnoticed(cluster, victim);
      else if (fate === 'holes') {
        victim.proxy.blackHole();
        await pause(600);
        victim.proxy.heal();
      } else {
        nodes.byId.delete(victim.id);
        await (fate === 'killed' ? victim.kill() : victim.close());
      }
      await pause(random() * 100);
      await nodes.start(options, ...ids.filter((id) => !nodes.byId.has(id)));
      await sending;
    }
    await finish(load);
    const retries = load.senders.reduce((sum, sender) => sum + sender.retries, 0);
    assert.ok(Math.min(...Object.values(done)) >= 2, JSON.stringify(done));
    assert.ok(retries > 0, 'nobody noticed anything');
    for (const unit of units) {
      const tokens = cluster.given.filter(({ name }) => name === `stream:${unit}`).map(({ token }) => token);
      assert.ok(tokens.length > 2 && tokens.every((token, i) => i === 0 || token > (tokens[i - 1] as number)));
    }
  });
});
