import assert from 'node:assert/strict';
import { describe, mock, test } from 'node:test';
import { FAULTS, type FaultName } from '../../src/protocol/faults.ts';
import { isForLater, PATIENCE_MS, RESTING_MAX, RestingTasks } from '../../src/tasks/resting-tasks.ts';

function rig(context: { after(done: () => void): void }) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  context.after(() => mock.timers.reset());
  const released: string[] = [];
  const resting = new RestingTasks({ release: (taskId) => released.push(taskId), now: Date.now });
  return { resting, released };
}

describe('tasks that rest', () => {
  test('are released after pauses that double up to a bound, until patience ends', (context) => {
    const { released, resting } = rig(context);
    const pauses: number[] = [];
    const begunMs = Date.now();
    while (resting.rest('t', null)) {
      const fromMs = Date.now();
      const before = released.length;
      while (released.length === before) mock.timers.tick(50);
      pauses.push(Date.now() - fromMs);
    }
    assert.deepEqual(pauses.slice(0, 8), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
    assert.equal(pauses.at(-1), 10_000);
    const tookMs = Date.now() - begunMs;
    assert.ok(tookMs > PATIENCE_MS && tookMs <= PATIENCE_MS + 10_000, String(tookMs));
  });

  test('have their whole patience again when trouble comes back long after', (context) => {
    const { released, resting } = rig(context);
    resting.rest('t', null);
    mock.timers.tick(2 * PATIENCE_MS);
    assert.equal(resting.rest('t', null), true);
    mock.timers.tick(250);
    assert.deepEqual(released, ['t', 't']);
  });

  test('are released at once when the node goes, and not again', (context) => {
    const { released, resting } = rig(context);
    resting.rest('a', null);
    resting.rest('b', null);
    resting.close();
    mock.timers.tick(10_000);
    assert.deepEqual(released, ['a', 'b']);
  });

  test('are not released before their last write', async (context) => {
    const { released, resting } = rig(context);
    let written = (): void => undefined;
    const writing = new Promise<void>((resolve) => {
      written = resolve;
    });
    resting.rest('t', writing);
    mock.timers.tick(250);
    assert.deepEqual(released, []);
    written();
    await writing;
    assert.deepEqual(released, ['t']);
  });

  test('are bounded in number', (context) => {
    const { resting } = rig(context);
    for (let n = 0; n < RESTING_MAX; n++) assert.equal(resting.rest(String(n), null), true);
    assert.equal(resting.rest('more', null), false);
    resting.close();
  });
});

test('what asks to come back is for later, what has had its time or its answer is not', () => {
  const later = (Object.keys(FAULTS) as FaultName[]).filter(isForLater);
  assert.deepEqual(later, [
    'conflict',
    'overloaded',
    'draining',
    'rateLimited',
    'outcomeUnknown',
    'quarantined',
    'limitReached',
    'unavailable',
  ]);
});
