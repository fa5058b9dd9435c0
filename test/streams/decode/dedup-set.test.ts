import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import {
  BatchIds,
  createDedup,
  DedupSet,
  DUPLICATE,
  NEW,
  OWN,
  resizedDedup,
  TAKEN_AWAY,
} from '../../../src/streams/decode/dedup-set.ts';

const HOUR_MS = 3_600_000;
const hashOf = (id: number): [number, number] => [Math.imul(id + 1, 0x85ebca6b), Math.imul(id + 1, 0xc2b2ae35)];
const add = (set: DedupSet, id: number, seq: number, nowMs = HOUR_MS * 1000, ttlMs = HOUR_MS): number =>
  set.add(...hashOf(id), seq, nowMs, ttlMs);

describe('ids that were seen', () => {
  test('are repetitions for other batches and their own for the batch that added them', () => {
    const buffer = createDedup(100);
    assert.equal(add(new DedupSet(buffer), 7, 1), NEW);
    assert.equal(add(new DedupSet(buffer), 7, 1), OWN);
    assert.equal(add(new DedupSet(buffer), 7, 2), DUPLICATE);
    assert.equal(add(new DedupSet(buffer), 8, 2), NEW);
  });

  test('are looked up without being added; what a later batch has was new then', () => {
    const set = new DedupSet(createDedup(100));
    const look = (id: number, seq: number): number => set.look(...hashOf(id), seq, HOUR_MS * 1000, HOUR_MS);
    assert.equal(look(7, 2), NEW);
    assert.equal(look(7, 2), NEW);
    add(set, 7, 2);
    assert.deepEqual([look(7, 1), look(7, 2), look(7, 3)], [NEW, OWN, DUPLICATE]);
    assert.equal(add(set, 7, 3), DUPLICATE);
    add(set, 8, 2 ** 32 + 6);
    assert.deepEqual([look(8, 2 ** 32 + 5), look(8, 2 ** 32 + 6), look(8, 2 ** 32 + 7)], [NEW, OWN, DUPLICATE]);
  });

  test("of a batch that was given up are the next one's, those of others stay", () => {
    const idsMax = 400;
    const buffer = createDedup(idsMax);
    const set = new DedupSet(buffer);
    for (let id = 0; id < 250; id++) add(set, id, 1 + (id % 2));
    set.forget(1);
    const look = (id: number, seq: number): number => set.look(...hashOf(id), seq, HOUR_MS * 1000, HOUR_MS);
    for (let id = 0; id < 250; id++) {
      const isGivenUp = id % 2 === 0;
      assert.equal(look(id, 3), isGivenUp ? NEW : DUPLICATE, `${id}`);
      assert.equal(add(set, id, 3), isGivenUp ? NEW : DUPLICATE, `${id}`);
      assert.equal(add(set, id, 3), isGivenUp ? OWN : DUPLICATE, `${id}`);
      assert.equal(add(set, id, 4), DUPLICATE, `${id}`);
    }
  });

  test('stay in a set of another size, the newest ones when it is smaller, and none for longer', () => {
    const ttlMs = HOUR_MS;
    const look = (set: DedupSet, id: number, nowMs: number): number => set.look(...hashOf(id), 9999, nowMs, ttlMs);
    for (const [before, after] of [
      [400, 4000],
      [4000, 400],
    ] as const) {
      const buffer = createDedup(before);
      const set = new DedupSet(buffer);
      for (let id = 0; id < 300; id++) add(set, id, id, 1000 * HOUR_MS + id * 1000, ttlMs);
      const resized = new DedupSet(resizedDedup(buffer, after));
      const nowMs = 1000 * HOUR_MS + 300_000;
      // The newest three quarters of the smaller one.
      for (let id = 0; id < 300; id++) assert.equal(look(resized, id, nowMs), DUPLICATE, `${before} ${id}`);
      for (let id = 0; id < 300; id++) assert.equal(look(resized, id, nowMs + HOUR_MS), NEW, `${before} ${id}`);
      for (let id = 300; id < 300 + (after * 3) / 4; id++) assert.equal(add(resized, id, id, nowMs, ttlMs), NEW);
      assert.equal(look(resized, 300, nowMs), DUPLICATE);
    }
    const large = new DedupSet(createDedup(1000));
    const largeBuffer = createDedup(1000);
    const filled = new DedupSet(largeBuffer);
    for (let id = 0; id < 1000; id++) for (const set of [large, filled]) add(set, id, id);
    const small = new DedupSet(resizedDedup(largeBuffer, 100));
    const held = Array.from({ length: 1000 }, (_, id) => id).filter(
      (id) => look(small, id, HOUR_MS * 1000) === DUPLICATE,
    );
    assert.ok(held.length >= 75 && held.length <= 100, `${held.length}`);
    // Within a generation nobody knows which was first.
    assert.ok(held.every((id) => id >= 750));
  });

  test('are remembered in a copy of the memory', () => {
    const buffer = createDedup(1000);
    const set = new DedupSet(buffer);
    for (let id = 0; id < 500; id++) add(set, id, 3);
    const restored = new DedupSet(buffer.slice(0));
    for (let id = 0; id < 500; id++) assert.equal(add(restored, id, 4), DUPLICATE);
  });

  test('the newest three quarters are always there, and never more than the limit', () => {
    const idsMax = 1000;
    const set = new DedupSet(createDedup(idsMax));
    for (let id = 0; id < 10_000; id++) assert.equal(add(set, id, 1), NEW);
    let known = 0;
    for (let id = 9999; id >= 9250; id--) assert.equal(add(set, id, 1), OWN, `${id}`);
    // Asking adds what was forgotten, so from the newest on only until the first gap.
    for (let id = 9999; id >= 0 && add(set, id, 1) === OWN; id--) known += 1;
    assert.ok(known >= 750 && known <= idsMax, `${known}`);
  });

  test('are forgotten after the time to live and not before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(fc.nat(400), { minLength: 1, maxLength: 60 }),
        (ttlS, stepsS) => {
          const set = new DedupSet(createDedup(10_000));
          let nowS = 1_000_000;
          const lastSeenS: number[] = [];
          for (const [id, stepS] of stepsS.entries()) {
            nowS += stepS;
            assert.equal(add(set, id, id, nowS * 1000, ttlS * 1000), NEW);
            lastSeenS.push(nowS);
          }
          for (const [id, seenS] of lastSeenS.entries()) {
            const found = add(set, id, 99_999, nowS * 1000, ttlS * 1000);
            if (nowS - seenS <= ttlS * 0.99)
              assert.equal(found, DUPLICATE, `${id} seen ${nowS - seenS} s ago, ttl ${ttlS}`);
            if (nowS - seenS > ttlS * 1.4 + 1)
              assert.equal(found, NEW, `${id} seen ${nowS - seenS} s ago, ttl ${ttlS}`);
          }
        },
      ),
    );
  });

  test('a thread that was held up while a new generation began, and one that looked for the id before, do not both have it', (context) => {
    const buffer = createDedup(40);
    const words = new Int32Array(buffer);
    const [current, counts] = [2, 8];
    const [slow, quick] = [new DedupSet(buffer), new DedupSet(buffer)];
    for (let id = 1; id <= 10; id++) add(slow, id, 1, 0);
    const taken: number[] = [];
    let inside = false;
    const load = Atomics.load.bind(Atomics) as typeof Atomics.load;
    const exchange = Atomics.compareExchange.bind(Atomics) as typeof Atomics.compareExchange;
    // What the slow one read before the new generation began.
    let stale = 0;
    context.mock.method(Atomics, 'load', (array: Int32Array, at: number): number => {
      if (!inside || stale === 2 || (at !== current && at !== counts)) return load(array, at);
      stale += 1;
      return 0;
    });
    context.mock.method(Atomics, 'compareExchange', (array: Int32Array, at: number, from: number, to: number) => {
      // The quick one has not found the id and is about to claim it.
      if (!inside && load(words, current) === 1 && at > 32) {
        inside = true;
        taken.push(add(slow, 99, 2, 0));
      }
      return exchange(array, at, from, to);
    });
    taken.push(add(quick, 99, 3, 0));
    assert.ok(inside && stale === 2);
    assert.deepEqual(taken.toSorted(), [NEW, DUPLICATE]);
  });

  test('an id is that of the earliest batch, whichever was decoded first', () => {
    const set = new DedupSet(createDedup(100));
    assert.equal(add(set, 7, 5), NEW);
    assert.equal(add(set, 7, 3), TAKEN_AWAY);
    assert.equal(add(set, 7, 3), OWN);
    assert.equal(add(set, 7, 5), DUPLICATE);
    assert.equal(add(set, 7, 4), DUPLICATE);
    assert.equal(add(set, 7, 2), TAKEN_AWAY);
    // The number that a place has room for begins anew.
    assert.equal(add(set, 8, 2 ** 32 + 5), NEW);
    assert.equal(add(set, 8, 2 ** 32 - 5), TAKEN_AWAY);
    assert.equal(add(set, 8, 2 ** 32 + 5), DUPLICATE);
  });

  test('an id is waited for whose thread is not running between claiming its place and filling it', async () => {
    const buffer = createDedup(40);
    const words = new Int32Array(buffer);
    add(new DedupSet(buffer), 7, 1);
    const at = words.indexOf(hashOf(7)[0], 32);
    const high = words[at + 1] as number;
    words[at + 1] = 0;
    const code = `const { parentPort, workerData: { buffer, at, high } } = require('node:worker_threads');
      parentPort.postMessage('begins');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
      Atomics.store(new Int32Array(buffer), at + 1, high);`;
    const worker = new Worker(code, { eval: true, execArgv: [], workerData: { buffer, at, high } });
    await once(worker, 'message');
    assert.equal(add(new DedupSet(buffer), 7, 2), DUPLICATE);
    await once(worker, 'exit');
  });

  test('two threads that add the same ids at once have each id once between them', async () => {
    const ids = 50_000;
    const buffer = createDedup(ids * 2);
    const gate = new SharedArrayBuffer(12);
    const isSource = import.meta.url.endsWith('.ts');
    const file = JSON.stringify(new URL(`./dedup-worker.${isSource ? 'ts' : 'js'}`, import.meta.url).href);
    // Threads do not inherit what reads TypeScript.
    const code = isSource
      ? `import('tsx/esm/api').then(({ tsImport }) => tsImport(${file}, ${file}))`
      : `import(${file})`;
    const taken = await Promise.all(
      [1, 2].map(
        (seq) =>
          new Promise<number[]>((resolve, reject) => {
            const worker = new Worker(code, { eval: true, execArgv: [], workerData: { buffer, gate, ids, seq } });
            worker.once('message', resolve);
            worker.once('error', reject);
          }),
      ),
    );
    const all = taken.flat();
    assert.equal(all.length, ids);
    assert.equal(new Set(all).size, ids);
  });
});

describe('ids within a batch', () => {
  test('are told apart from their second occurrence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -20, max: 20 }), fc.integer({ min: -20, max: 20 })), { maxLength: 2000 }),
        (pairs) => {
          const ids = new BatchIds();
          const seen = new Set<string>();
          for (const [low, high] of pairs) {
            // Zero stands for an empty place and is taken for one.
            const name = `${low || 1}/${high || 1}`;
            assert.equal(ids.add(low, high), !seen.has(name));
            seen.add(name);
          }
        },
      ),
    );
  });
});
