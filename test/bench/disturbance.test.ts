/**
 * What a bench says of programs that ran beside it.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { DisturbanceWatch, type Readings, ticksOf } from '../../bench/measure/disturbance.ts';
import { readTree, treeUnreadable } from '../../bench/measure/process-tree.ts';

function readings(...each: Readings[]): () => Readings | null {
  return () => each.shift() ?? null;
}

test('processor time is read from the first line, without what waits and without interrupts', () => {
  const stat = 'cpu  100 20 30 400 50 6 7 80 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n';
  assert.deepEqual(ticksOf(stat), { busy: 150, stolen: 80, all: 693 });
});

test('what the bench used itself is not held against the others', () => {
  const watch = new DisturbanceWatch(
    readings(
      { machine: { busy: 1000, stolen: 10, all: 10_000 }, benchUs: 5_000_000 },
      { machine: { busy: 1150, stolen: 30, all: 10_200 }, benchUs: 6_000_000 },
    ),
  );
  assert.deepEqual(watch.stop(), { others: 0.25, stolen: 0.1 });
});

test("ticks that the two counts round differently are nobody's", () => {
  const watch = new DisturbanceWatch(
    readings(
      { machine: { busy: 0, stolen: 0, all: 0 }, benchUs: 0 },
      { machine: { busy: 100, stolen: 0, all: 200 }, benchUs: 1_030_000 },
    ),
  );
  assert.deepEqual(watch.stop(), { others: 0, stolen: 0 });
});

test('says nothing where the machine does not tell, or no time has passed', () => {
  const still = { machine: { busy: 1, stolen: 0, all: 2 }, benchUs: 0 };
  assert.equal(new DisturbanceWatch(() => null).stop(), null);
  assert.equal(new DisturbanceWatch(() => still).stop(), null);
});

test('a child of the bench belongs to it, after its end as well', async () => {
  if (treeUnreadable() !== null) return assert.equal(readTree(process.pid), null);
  const before = readTree(process.pid)?.cpuUs ?? 0;
  const spin = 'const end = process.cpuUsage().user + 400_000; while (process.cpuUsage().user < end);';
  const child = spawn(process.execPath, ['-e', spin]);
  await new Promise((resolve) => child.once('exit', resolve));
  const used = (readTree(process.pid)?.cpuUs ?? 0) - before;
  assert.ok(used > 390_000, `${used} us`);
});
