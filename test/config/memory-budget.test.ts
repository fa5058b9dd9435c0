import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { compileSettings } from '../../src/config/compile.ts';
import { budgetNote, jobSlots, memoryBudget, overBudget } from '../../src/config/memory-budget.ts';
import type { RawConfig } from '../../src/config/raw.ts';
import { slotsFor } from '../../src/runtime/engine.ts';
import { MACHINE, problemsOf } from './sources.ts';

const HUGE = { ...MACHINE, memoryMiB: 1_000_000_000 };
const budget = (raw: RawConfig) => memoryBudget(compileSettings(raw, HUGE), HUGE.memoryMiB);

/** Options whose growth must show in the sum. */
const LIMITS: readonly ((value: number) => RawConfig)[] = [
  (n) => ({ workers: n }),
  (n) => ({ queueSize: n * 1000 }),
  (n) => ({ maxConcurrent: n * 1000 }),
  (n) => ({ workerHeapMib: n * 32 }),
  (n) => ({ maxRequestBytes: n * 1_048_576 }),
  (n) => ({ maxMessageBytes: n * 1_048_576 + 1_048_576 }),
  (n) => ({ maxResultBytes: n * 1_048_576 }),
  (n) => ({ maxConnections: n * 1000 }),
  (n) => ({ maxHeaderBytes: n * 1024 }),
  (n) => ({ maxStreamBufferBytes: n * 1_048_576 }),
  (n) => ({ sessions: { max: n * 1000 } }),
  (n) => ({ sessions: { maxEventBytes: n * 65_536 } }),
  (n) => ({ tasks: { max: n * 10_000 } }),
];

describe('the memory budget', () => {
  test('grows with every limit', () => {
    for (const [place, limit] of LIMITS.entries()) {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 99 }), (n) => {
          assert.ok(budget(limit(n + 1)).peakMiB >= budget(limit(n)).peakMiB, `limit ${place}`);
        }),
        { numRuns: 5 },
      );
      assert.ok(budget(limit(100)).peakMiB > budget(limit(1)).peakMiB, `limit ${place}`);
    }
  });

  test('counts what each engine of the streams keeps of events made of results', () => {
    const schema = { fields: { at: 'integer' } } as const;
    const none = budget({}).peakMiB;
    assert.equal(budget({ streams: [{ name: 'a', schema }] }).peakMiB, none + 16);
    const cut = { name: 'b', schema, durability: 'replicated', partitions: 4 } as const;
    assert.equal(budget({ streams: [{ name: 'a', schema }, cut] }).peakMiB, none + 5 * 16);
  });

  test('counts at least the slots the engine makes', () => {
    const count = fc.integer({ min: 1, max: 100_000 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 512 }), count, count, (workers, queueSize, maxConcurrent) => {
        const settings = compileSettings({ workers, queueSize, maxConcurrent }, HUGE);
        assert.ok(jobSlots(settings) >= slotsFor(settings));
      }),
    );
  });

  test('fits a small machine with the defaults', () => {
    const small = { ...MACHINE, cores: 1, memoryMiB: 256 };
    const defaults = memoryBudget(compileSettings({}, small), small.memoryMiB);
    assert.equal(overBudget(defaults, 0), null);
    assert.match(
      budgetNote(defaults) ?? '',
      /^all limits reached at once would take \d+ MiB, this machine has 256 MiB/,
    );
  });

  test('refuses to start when what is reserved at once does not fit', async () => {
    const [line = '', ...more] = await problemsOf(() =>
      compileSettings({ queueSize: 1_000_000 }, { ...MACHINE, memoryMiB: 2048 }),
    );
    assert.match(
      line,
      /^memory: the limits reserve \d+ MiB before the first request \(.*job board \d+\), this machine has 2048 MiB$/,
    );
    assert.deepEqual(more, []);
    const [tight = ''] = await problemsOf(() => compileSettings({ maxResidentMib: 50 }, MACHINE));
    assert.match(tight, /maxResidentMib is 50 MiB$/);
  });

  test('says nothing when even the peak fits', () => {
    assert.equal(budgetNote(budget({})), null);
  });
});
