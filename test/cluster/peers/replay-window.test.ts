import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { array, assert as holds, integer, property } from 'fast-check';
import { ReplayWindow, WINDOW } from '../../../src/cluster/peers/replay-window.ts';

describe('numbers that are taken once', () => {
  test('as a set that forgets nothing within the window, and refuses what is older', () => {
    const step = integer({ min: -2 * WINDOW, max: 3 * WINDOW });
    holds(
      property(array(step, { maxLength: 60 }), integer({ min: 0, max: 2 ** 40 }), (steps, base) => {
        const window = new ReplayWindow();
        const taken = new Set<number>();
        let newest = -1;
        for (const offset of steps) {
          const number = Math.max(0, base + offset);
          const expected = number > newest - WINDOW && !taken.has(number);
          assert.equal(window.fresh(number), expected);
          assert.equal(window.take(number), expected);
          taken.add(number);
          newest = Math.max(newest, number);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('all numbers of a window in any order, and none of them again', () => {
    const window = new ReplayWindow();
    const numbers = Array.from({ length: WINDOW }, (_, n) => 5 * WINDOW + ((n * 7919) % WINDOW));
    for (const number of numbers) assert.ok(window.take(number));
    for (const number of numbers) assert.equal(window.take(number), false);
  });
});
