import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { BUS_LISTENERS_MAX, MemoryBus, PENDING_CHANGES_MAX } from '../../src/subscriptions/memory-bus.ts';
import { busContract } from './bus.contract.ts';

const quiet = { error: () => undefined };

/** Two rounds of the check phase: listeners that published in the first are delivered in the second. */
async function rounds(): Promise<void> {
  for (let n = 0; n < 4; n += 1) await new Promise((resolve) => setImmediate(resolve));
}

busContract('memory', () => ({ bus: new MemoryBus({ log: quiet }), settle: rounds, close: () => Promise.resolve() }));

describe('memory bus', () => {
  test('a failing listener is logged with its cause', () => {
    const logged: object[] = [];
    const deliveries: (() => void)[] = [];
    const bus = new MemoryBus({
      log: { error: (fields) => logged.push(fields) },
      defer: (deliver) => deliveries.push(deliver),
    });
    const cause = new Error('listener bug');
    bus.subscribe(() => {
      throw cause;
    });
    bus.publish({ kind: 'tools' });
    for (const deliver of deliveries) deliver();
    assert.deepEqual(logged, [{ err: cause, change: 'tools' }]);
  });

  test('nothing is delivered before the end of the turn, and one delivery is scheduled for many changes', () => {
    const deliveries: (() => void)[] = [];
    const bus = new MemoryBus({ log: quiet, defer: (deliver) => deliveries.push(deliver) });
    let told = 0;
    bus.subscribe(() => {
      told += 1;
    });
    for (let n = 0; n < 100; n += 1) bus.publish({ kind: 'resource', uri: `r${n % 10}` });
    assert.equal(told, 0);
    assert.equal(deliveries.length, 1);
    deliveries[0]?.();
    assert.equal(told, 10);
  });

  test('past the pending limit changes are delivered at once and none is lost', () => {
    const deliveries: (() => void)[] = [];
    const bus = new MemoryBus({ log: quiet, defer: (deliver) => deliveries.push(deliver) });
    let told = 0;
    bus.subscribe(() => {
      told += 1;
    });
    for (let n = 0; n <= PENDING_CHANGES_MAX; n += 1) bus.publish({ kind: 'resource', uri: `r${n}` });
    assert.equal(told, PENDING_CHANGES_MAX);
    for (const deliver of deliveries) deliver();
    assert.equal(told, PENDING_CHANGES_MAX + 1);
  });

  test('a listener that publishes without end is stopped by an exception of its own, and the others go on', () => {
    const deliveries: (() => void)[] = [];
    const logged: { err?: unknown }[] = [];
    const bus = new MemoryBus({
      log: { error: (fields) => logged.push(fields) },
      defer: (deliver) => deliveries.push(deliver),
    });
    bus.subscribe(() => {
      for (let n = 0; ; n += 1) bus.publish({ kind: 'resource', uri: `r${n}` });
    });
    let told = 0;
    bus.subscribe(() => {
      told += 1;
    });
    bus.publish({ kind: 'tools' });
    deliveries[0]?.();
    assert.equal(told, 1);
    assert.equal(logged.length, 1);
    assert.ok(logged[0]?.err instanceof RangeError);
  });

  test('a leak of listeners is an exception', () => {
    const bus = new MemoryBus({ log: quiet });
    for (let n = 0; n < BUS_LISTENERS_MAX; n += 1) bus.subscribe(() => undefined);
    assert.throws(() => bus.subscribe(() => undefined), RangeError);
  });
});
