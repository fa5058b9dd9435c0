/**
 * Alerts from events to whoever is told: conditions, grouping, silence, and webhooks that get every one at least once.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { AlertDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { RaisedAlert } from '../../../src/streams/engine/port.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig } from './rig.ts';

const PATIENCE_MS = 30_000;

interface Receiver {
  readonly url: string;
  /** Taken and refused ones, as they came. */
  readonly calls: { readonly key: string; readonly alert: RaisedAlert; readonly status: number }[];
  /** What the next ones are answered; 0: nothing, the connection stays. */
  status: number;
  readonly taken: () => string[];
  until(holds: () => boolean, what: string): Promise<void>;
  close(): Promise<void>;
}

async function receiver(): Promise<Receiver> {
  const calls: { key: string; alert: RaisedAlert; status: number }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += String(chunk);
    });
    request.on('end', () => {
      const { status } = it;
      calls.push({ key: String(request.headers['idempotency-key']), alert: JSON.parse(body) as RaisedAlert, status });
      if (status > 0) response.writeHead(status).end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const it: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    calls,
    status: 200,
    taken: () =>
      calls.filter(({ status }) => status === 200).map(({ alert }) => `${alert.key['k']} ${alert.state} ${alert.atMs}`),
    async until(holds, what) {
      const end = Date.now() + PATIENCE_MS;
      while (!holds()) {
        if (Date.now() > end) throw new Error(`not in time: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    close() {
      server.closeAllConnections();
      server.close();
      return once(server, 'close').then(() => undefined);
    },
  };
  return it;
}

/** A window of one event each second and key: its value is what the alert looks at. */
const streamOf = (alert: Omit<AlertDefinition, 'name' | 'on'>): StreamDefinition => ({
  name: 's',
  schema: {
    fields: { at: 'integer', k: 'string', g: 'string', v: 'number' },
    timestamp: { field: 'at' },
    key: ['k', 'g'],
  },
  time: { maxFutureMs: 0, idleAfterMs: 0 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { v: { fn: 'max', of: 'v' } } }],
  alerts: [{ name: 'hot', on: 'w', ...alert }],
});

const START_MS = 1_000_000;

/** Each second one value of the key, which the next second's event closes; arrivals go on with it. */
async function play(rig: Rig, k: string, values: readonly number[], fromSecond: number, g = 'g'): Promise<void> {
  for (const [i, v] of values.entries()) {
    rig.nowMs = START_MS + (fromSecond + i) * 1000;
    await rig.send('s', [{ at: (fromSecond + i) * 1000, k, g, v }]);
  }
}

/** `state` and the second of the window, of one key. */
const states = async (rig: Rig): Promise<string[]> =>
  (await rig.rows('s', 'hot')).map(({ start, values }) => `${values['state']} ${Number(start) / 1000}`).toReversed();

test('is raised when the condition holds, and cleared when it does not', async () => {
  const rig = await openRig([streamOf({ when: 'v > 10', message: '{key.k} at {v}' })]);
  try {
    await play(rig, 'a', [5, 11, 12, 9, 9, 20, 0], 0);
    assert.deepEqual(await states(rig), ['raised 1', 'cleared 3', 'raised 5']);
    const [alert, ...others] = await rig.service.alerts({ stream: 's', active: true, limit: 10 });
    assert.deepEqual([alert?.state, alert?.message, others.length], ['raised', 'a at 20', 0]);
  } finally {
    await rig.close();
  }
});

test('with a condition of its own to clear, it stays raised in between', async () => {
  const rig = await openRig([streamOf({ when: 'v > 10', clear: 'v < 5' })]);
  try {
    await play(rig, 'a', [11, 9, 12, 6, 4, 9, 11, 0], 0);
    assert.deepEqual(await states(rig), ['raised 0', 'cleared 4', 'raised 6']);
  } finally {
    await rig.close();
  }
});

test('with `for` the condition must hold so many times in a row', async () => {
  const rig = await openRig([streamOf({ when: 'v > 10', for: 3 })]);
  try {
    await play(rig, 'a', [11, 11, 9, 11, 11, 11, 11, 9, 0], 0);
    assert.deepEqual(await states(rig), ['raised 5', 'cleared 7']);
  } finally {
    await rig.close();
  }
});

test('a value that is named as the key is stands beside it', async () => {
  const alert = { name: 'hot', on: 'w', when: 'key > 10 && key.k == "a"', message: '{key.k} at {key}' };
  const aggregates = { key: { fn: 'max', of: 'v' } } as const;
  const rig = await openRig([
    { ...streamOf({}), windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates }], alerts: [alert] },
  ]);
  try {
    await play(rig, 'a', [11, 0], 0);
    assert.deepEqual(
      (await rig.rows('s', 'hot')).map(({ values }) => values['message']),
      ['a at 11'],
    );
  } finally {
    await rig.close();
  }
});

test('values that are named as the bounds are stand in their place, whatever their types', async () => {
  const alert = { name: 'hot', on: 'w', when: 'start == "a" && size(end) == 1', message: '{upper(start)} {end}' };
  const aggregates = { start: { fn: 'first', of: 'k' }, end: { fn: 'collect', of: 'v', limit: 3 } } as const;
  const rig = await openRig([
    { ...streamOf({}), windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates }], alerts: [alert] },
  ]);
  try {
    await play(rig, 'a', [11, 0], 0);
    assert.deepEqual(
      (await rig.rows('s', 'hot')).map(({ values }) => values['message']),
      ['A [11]'],
    );
  } finally {
    await rig.close();
  }
});

test('without a condition nothing is cleared, before `for` results or after them', async () => {
  const rig = await openRig([streamOf({ for: 3 })]);
  try {
    await play(rig, 'a', [1, 2, 3, 4, 5], 0);
    assert.deepEqual(await states(rig), ['raised 2', 'raised 3']);
  } finally {
    await rig.close();
  }
});

test('without a condition it holds nothing of the keys it was told of', async () => {
  const rig = await openRig([{ ...streamOf({}), limits: { keysMax: 20 } }]);
  try {
    for (let i = 0; i < 100; i++) await play(rig, `k${i}`, [1], i);
    assert.equal((await states(rig)).length, 99);
  } finally {
    await rig.close();
  }
});

test('a group that was told is silent for so long; an end is told when its beginning was, and only then', async () => {
  const hook = await receiver();
  const rig = await openRig([
    streamOf({ when: 'v > 10', groupBy: ['g'], silenceMs: 10_000, actions: [{ webhook: hook.url }] }),
  ]);
  const alternate = async (second: number, k: string, g: string): Promise<void> => play(rig, k, [11, 0, 0], second, g);
  try {
    await alternate(0, 'a', 'one');
    // Another key of the group is not told, neither how it begins nor how it ends; another group is.
    await alternate(3, 'b', 'one');
    await alternate(6, 'c', 'two');
    // Ten seconds after `a` was told its group may be told again.
    await alternate(11, 'b', 'one');
    await rig.settled();
    const at = (second: number): number => START_MS + second * 1000;
    assert.deepEqual(hook.taken(), [
      `a raised ${at(1)}`,
      `a cleared ${at(2)}`,
      `c raised ${at(7)}`,
      `c cleared ${at(8)}`,
      `b raised ${at(12)}`,
      `b cleared ${at(13)}`,
    ]);
    const all = await rig.service.alerts({ stream: 's', active: false, limit: 10 });
    assert.deepEqual(all.map(({ key }) => key['k']).toSorted(), ['a', 'b', 'c']);
  } finally {
    await rig.close();
    await hook.close();
  }
});

test('a clock that was ahead and is set back leaves no group silent for as long as it was ahead', async () => {
  const hook = await receiver();
  const rig = await openRig([streamOf({ when: 'v > 10', silenceMs: 10_000, actions: [{ webhook: hook.url }] })]);
  const raisedAt = async (second: number, nowMs: number): Promise<void> => {
    for (const [i, v] of [11, 0, 0].entries()) {
      rig.nowMs = nowMs;
      await rig.send('s', [{ at: (second + i) * 1000, k: 'a', g: 'g', v }]);
    }
  };
  const aheadMs = START_MS + 3_600_000;
  try {
    await raisedAt(0, aheadMs);
    // Corrected a little, it is as silent as ever.
    await raisedAt(3, aheadMs - 9000);
    await raisedAt(6, START_MS);
    await raisedAt(9, START_MS + 9000);
    await rig.settled();
    const told = [aheadMs, START_MS].flatMap((atMs) => [`a raised ${atMs}`, `a cleared ${atMs}`]);
    assert.deepEqual(hook.taken(), told);
  } finally {
    await rig.close();
    await hook.close();
  }
});

test('silence and what was told hold through a restart, from a checkpoint or from the log alone', async () => {
  for (const checkpoint of [false, true]) {
    const hook = await receiver();
    const stores = lastingStores();
    const stream = streamOf({ when: 'v > 10', silenceMs: 10_000, actions: [{ webhook: hook.url }] });
    let rig = await openRig([stream], { stores });
    try {
      await play(rig, 'a', [11, 11], 0);
      await rig.settled();
      if (checkpoint) await rig.checkpoint();
      await rig.abandon();
      rig = await openRig([stream], { stores });
      await play(rig, 'a', [0, 11, 0, 0], 2);
      await rig.settled();
      const raised = `a raised ${START_MS + 1000}`;
      // What was told after the newest checkpoint is told again, under the same id.
      const repeated = checkpoint ? [] : [raised];
      assert.deepEqual(hook.taken(), [raised, ...repeated, `a cleared ${START_MS + 3000}`]);
      assert.equal(new Set(hook.calls.map(({ key }) => key)).size, 2);
    } finally {
      await rig.close();
      await hook.close();
    }
  }
});

test('a webhook that is away when the process ends gets its calls after the start, once each, in order', async () => {
  for (const end of ['close', 'abandon', 'abandon after a checkpoint'] as const) {
    const hook = await receiver();
    const stores = lastingStores();
    const stream = streamOf({ when: 'v > 10', actions: [{ webhook: hook.url }] });
    let rig = await openRig([stream], { stores });
    try {
      hook.status = 503;
      await play(rig, 'a', [11, 0, 11, 0], 0);
      await hook.until(() => hook.calls.length > 0, 'a first try');
      if (end === 'abandon after a checkpoint') await rig.checkpoint();
      await (end === 'close' ? rig.close() : rig.abandon());
      hook.status = 200;
      rig = await openRig([stream], { stores });
      await rig.settled();
      await hook.until(() => hook.taken().length === 3, 'three calls that are taken');
      assert.deepEqual(hook.taken(), [
        `a raised ${START_MS + 1000}`,
        `a cleared ${START_MS + 2000}`,
        `a raised ${START_MS + 3000}`,
      ]);
      const [first] = hook.calls;
      const again = hook.calls.filter(({ key }) => key === first?.key);
      assert.ok(again.length >= 2, 'the first one came again under its id');
    } finally {
      await rig.close();
      await hook.close();
    }
  }
});

test('closing waits for what is being called', async () => {
  const hook = await receiver();
  const stream = streamOf({ when: 'v > 10', actions: [{ webhook: hook.url }] });
  const rig = await openRig([stream]);
  try {
    await play(rig, 'a', [11, 0, 11, 0], 0);
    await rig.close();
    assert.equal(hook.taken().length, 3);
  } finally {
    await hook.close();
  }
});

test('a webhook that refuses for good is not asked again, and those behind it go on', async () => {
  const hook = await receiver();
  const rig = await openRig([streamOf({ when: 'v > 10', actions: [{ webhook: hook.url }] })]);
  try {
    hook.status = 400;
    await play(rig, 'a', [11, 11], 0);
    await rig.settled();
    hook.status = 200;
    await play(rig, 'a', [0, 0], 2);
    await rig.settled();
    assert.deepEqual(
      hook.calls.map(({ alert, status }) => `${alert.state} ${status}`),
      ['raised 400', 'cleared 200'],
    );
    assert.equal(rig.service.list()[0]?.alertCallsLost, 1);
    assert.ok(rig.troubles.some(({ message }) => /refuses it for good/.test(message)));
  } finally {
    await rig.close();
    await hook.close();
  }
});

test('alerts of a long key have idempotency keys of their own', async () => {
  const hook = await receiver();
  const rig = await openRig([streamOf({ when: 'v > 10', actions: [{ webhook: hook.url }] })]);
  try {
    await play(rig, 'ä'.repeat(3000), [11, 0, 11, 0], 0);
    await rig.settled();
    const keys = hook.calls.map(({ key }) => key);
    assert.deepEqual([keys.length, new Set(keys).size], [3, 3], 'each is another call for the receiver');
    for (const key of keys) assert.ok(key.length <= 1024, `${key.length} characters`);
  } finally {
    await rig.close();
    await hook.close();
  }
});
