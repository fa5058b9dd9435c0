/**
 * Which source partitions a tick names as idle, seen from the outside: by whose events are late.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import type { ApplyResult, ApplyTask } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import type { Accepted } from '../../../src/streams/sources/port.ts';
import { REFUSED_PAUSE_MS } from '../../../src/streams/time/watermark.ts';
import { lastingStores } from './faults.ts';
import { openRig, type Rig, refusalOf } from './rig.ts';

const IDLE_MS = 2000;

const STREAM: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer', k: 'string' }, timestamp: { field: 'at' }, key: ['k'] },
  time: { maxFutureMs: 0, idleAfterMs: IDLE_MS },
  limits: { pendingBytesMax: 65_536 },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

/** Applies nothing while it is held. */
class HeldThreads extends LocalThreads {
  #held = Promise.resolve();
  #release = (): void => undefined;
  #applying = (): void => undefined;

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  /** Resolves when something waits to be applied. */
  waiting(): Promise<void> {
    return new Promise((resolve) => {
      this.#applying = resolve;
    });
  }

  release(): void {
    this.#release();
  }

  /** What waits is applied, what comes is held. */
  releaseOne(): void {
    const release = this.#release;
    this.hold();
    release();
  }

  override async apply(task: ApplyTask): Promise<ApplyResult> {
    this.#applying();
    await this.#held;
    return super.apply(task);
  }
}

async function heldRig(): Promise<{ rig: Rig; threads: HeldThreads }> {
  let threads: HeldThreads | undefined;
  const rig = await openRig([STREAM], {
    threads: (parts) => {
      threads = new HeldThreads(parts);
      return threads;
    },
  });
  return { rig, threads: threads as HeldThreads };
}

/** One event in a body of so many bytes. */
function send(rig: Rig, partition: string, at: number, bodyBytes = 20_000): Promise<Accepted> {
  const body = Buffer.alloc(bodyBytes, '\n');
  body.write(JSON.stringify({ at, k: 'k' }));
  return rig.send('s', [], { partition, body });
}

const TAKEN: Accepted = { accepted: 1, rejected: 0, late: 0 };
const LATE: Accepted = { accepted: 1, rejected: 0, late: 1 };

/** Two partitions, one ten seconds behind the other, which it must come before. */
async function begin(rig: Rig): Promise<void> {
  await send(rig, 'b', 10_000);
  await send(rig, 'a', 20_000);
}

test('a partition that sends nothing is idle, and what it brings later is late', async () => {
  const rig = await openRig([STREAM]);
  try {
    await begin(rig);
    rig.nowMs += IDLE_MS - 1;
    rig.tick();
    assert.deepEqual(await send(rig, 'a', 20_001), TAKEN);
    assert.deepEqual(await send(rig, 'b', 10_001), TAKEN);
    rig.nowMs += IDLE_MS;
    assert.deepEqual(await send(rig, 'a', 20_002), TAKEN);
    rig.tick();
    assert.deepEqual(await send(rig, 'b', 10_002), LATE);
  } finally {
    await rig.close();
  }
});

test('a wall clock that is set, ahead or back, makes no partition idle, nor keeps one from it', async () => {
  let clockMs = 5000;
  const rig = await openRig([STREAM], { monotonic: () => clockMs });
  try {
    await begin(rig);
    for (const stepMs of [3_600_000, -7_200_000, 3_600_000]) {
      rig.nowMs += stepMs;
      rig.tick();
      assert.deepEqual(await send(rig, 'b', 10_001), TAKEN);
    }
    rig.nowMs -= 7_200_000;
    clockMs += IDLE_MS;
    await send(rig, 'a', 20_001);
    rig.tick();
    assert.deepEqual(await send(rig, 'b', 10_002), LATE);
  } finally {
    await rig.close();
  }
});

test('a partition that was refused is not idle while it goes on asking', async () => {
  const { rig, threads } = await heldRig();
  try {
    await begin(rig);
    threads.hold();
    const waiting = send(rig, 'a', 20_001, 50_000);
    for (let waitedMs = 0; waitedMs < 10 * IDLE_MS; waitedMs += 500) {
      assert.equal(await refusalOf(send(rig, 'b', 10_001)), 'pending');
      rig.nowMs += 500;
      rig.tick();
    }
    threads.release();
    await waiting;
    assert.deepEqual(await send(rig, 'b', 10_001), TAKEN);
  } finally {
    threads.release();
    await rig.close();
  }
});

test('a partition that was refused and asks no more holds the watermark for a bounded time', async () => {
  const { rig, threads } = await heldRig();
  try {
    await begin(rig);
    threads.hold();
    const waiting = send(rig, 'a', 20_001, 50_000);
    assert.equal(await refusalOf(send(rig, 'b', 10_001)), 'pending');
    rig.nowMs += REFUSED_PAUSE_MS + IDLE_MS - 1;
    rig.tick();
    threads.release();
    await waiting;
    assert.deepEqual(await send(rig, 'b', 10_001), TAKEN);
    threads.hold();
    const more = send(rig, 'a', 20_001, 50_000);
    assert.equal(await refusalOf(send(rig, 'b', 10_002)), 'pending');
    rig.nowMs += REFUSED_PAUSE_MS + IDLE_MS;
    rig.tick();
    threads.release();
    await more;
    assert.deepEqual(await send(rig, 'b', 10_002), LATE);
  } finally {
    threads.release();
    await rig.close();
  }
});

test('a partition of which anything waits is paused, whatever else of it was answered', async () => {
  const { rig, threads } = await heldRig();
  try {
    await begin(rig);
    threads.hold();
    const waiting = threads.waiting();
    const first = send(rig, 'b', 10_001);
    await waiting;
    const second = send(rig, 'b', 10_002);
    threads.releaseOne();
    assert.deepEqual(await first, TAKEN);
    rig.nowMs += 10 * (REFUSED_PAUSE_MS + IDLE_MS);
    rig.tick();
    threads.release();
    assert.deepEqual(await second, TAKEN);
    assert.deepEqual(await send(rig, 'b', 10_004), TAKEN);
  } finally {
    threads.release();
    await rig.close();
  }
});

test('the silence of a partition begins anew with a start, and a replay names the same', async () => {
  const stores = lastingStores();
  let nowMs = 1_000_000;
  const open = (): Promise<Rig> => openRig([STREAM], { stores, now: () => nowMs });
  let rig = await open();
  try {
    await begin(rig);
    await rig.abandon();
    nowMs += 100 * IDLE_MS;
    rig = await open();
    rig.tick();
    assert.deepEqual(await send(rig, 'b', 10_001), TAKEN);
    nowMs += IDLE_MS;
    await send(rig, 'a', 20_002);
    rig.tick();
    await rig.settled();
    const [before] = rig.service.list();
    await rig.abandon();
    rig = await open();
    const [after] = rig.service.list();
    assert.deepEqual([before?.watermark, after?.watermark], [20_001, 20_001]);
    assert.deepEqual(await send(rig, 'b', 10_002), LATE);
  } finally {
    await rig.close();
  }
});
