/**
 * Medians, spreads and slopes, and what the operating system tells of a process.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cpuUsOf, readTree, residentBytesOf, treeUnreadable } from '../../bench/measure/process-tree.ts';
import { medianOf, relativeSpread, slopeOf, spreadOf } from '../../bench/measure/statistics.ts';

describe('statistics of rounds', () => {
  test('take the middle, and leave out what was not measured', () => {
    assert.equal(medianOf([3, 1, 2]), 2);
    assert.equal(medianOf([4, 1, 2, 3]), 2.5);
    assert.deepEqual(spreadOf([5, Number.NaN, 7]), { median: 6, lowest: 5, highest: 7 });
    assert.ok(Number.isNaN(medianOf([Number.NaN])));
  });

  test('give the spread as half the range over the median', () => {
    assert.equal(relativeSpread({ median: 100, lowest: 90, highest: 120 }), 0.15);
    assert.equal(relativeSpread({ median: 0, lowest: 0, highest: 0 }), 0);
  });

  test('find the slope of any line', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: -1000, max: 1000 }), (slope, offset) => {
        const points = [0, 1, 2, 5, 9].map((x) => [x, slope * x + offset] as const);
        assert.ok(Math.abs(slopeOf(points) - slope) < 1e-6);
      }),
    );
    assert.ok(Number.isNaN(slopeOf([[1, 1]])));
  });
});

describe('process tree', () => {
  test('counts fields of stat from the last bracket', () => {
    const stat = `42 (a) b (c d) S 1 42 42 0 -1 4194560 100 0 0 0 ${[250, 50, 7, 3].join(' ')} 20 0 11 0 1 2 3`;
    assert.equal(cpuUsOf(stat), 3_100_000);
  });

  test('reads resident memory in bytes', () => {
    assert.equal(residentBytesOf('Name:\tnode\nVmRSS:\t   2048 kB\nThreads:\t3\n'), 2048 * 1024);
  });

  test('says what is missing where there is no /proc', () => {
    assert.match(treeUnreadable('darwin') ?? '', /not read on darwin/);
    assert.equal(treeUnreadable('linux'), null);
  });

  test('holds the descendants of a process', async () => {
    const script = `require('child_process').spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: 'pipe' });
      console.log('ready'); process.stdin.resume();`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['pipe', 'pipe', 'ignore'] });
    await once(child.stdout, 'data');
    const reading = readTree(child.pid as number);
    child.stdin.end();
    child.kill();
    await once(child, 'exit');
    if (treeUnreadable() !== null) assert.equal(reading, null);
    else assert.ok(reading !== null && reading.processes === 2 && reading.residentBytes > 10_000_000);
  });
});
