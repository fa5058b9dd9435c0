/** The ways to wait: when each ends, and that none leaves anything behind. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { atMost, Changes, pauseUnless } from '../src/waiting.ts';

const NEVER = new Promise<void>(() => undefined);
const HOUR_MS = 3_600_000;

const timers = (): number => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;

describe('at most so long', () => {
  test('ends with the work, and with its failure, and leaves no timer', async () => {
    const before = timers();
    await atMost(Promise.resolve(), HOUR_MS);
    await assert.rejects(atMost(Promise.reject(new Error('broken')), HOUR_MS), /broken/);
    assert.equal(timers(), before);
  });

  test('ends without the work when time is over', () => atMost(NEVER, 1));
});

test('a change ends the waits that were there, each for itself', async () => {
  const changes = new Changes();
  const waits = [changes.next(), changes.next()];
  let isLateOver = false;
  const late = Promise.all(waits).then(() => {
    void changes.next().then(() => {
      isLateOver = true;
    });
  });
  changes.tell();
  await late;
  assert.equal(isLateOver, false);
});

test('a pause ends with the signal, at once when that has come, and leaves neither timer nor listener', async () => {
  const before = timers();
  const stop = new AbortController();
  const pause = pauseUnless(stop.signal, HOUR_MS);
  stop.abort();
  await pause;
  await pauseUnless(stop.signal, HOUR_MS);
  await pauseUnless(new AbortController().signal, 1);
  assert.equal(timers(), before);
  assert.deepEqual(getEventListeners(stop.signal, 'abort'), []);
});
