/**
 * What every `Bus` promises, as tests. Each implementation runs this suite from a test file of its own.
 *
 * `settle` resolves once everything published before it, by listeners too, has been delivered.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Bus, Change } from '../../src/subscriptions/port.ts';

export interface BusUnderTest {
  readonly bus: Bus;
  settle(): Promise<void>;
  close(): Promise<void>;
}

const task = (taskId: string, status: string): Change => ({
  kind: 'task',
  taskId,
  taskJson: JSON.stringify({ taskId, status }),
});

export function busContract(name: string, open: () => BusUnderTest | Promise<BusUnderTest>): void {
  describe(`bus contract: ${name}`, () => {
    let under: BusUnderTest;
    beforeEach(async () => {
      under = await open();
    });
    afterEach(() => under.close());

    test('a change reaches every listener with its content', async () => {
      const a: Change[] = [];
      const b: Change[] = [];
      under.bus.subscribe((change) => a.push(change));
      under.bus.subscribe((change) => b.push(change));
      const sent: Change[] = [{ kind: 'tools' }, { kind: 'resource', uri: 'test://ä?b=1' }, task('t', 'working')];
      for (const change of sent) under.bus.publish(change);
      await under.settle();
      assert.deepEqual(a, sent);
      assert.deepEqual(b, sent);
    });

    test('equal changes of one turn are told once, in the order they were first published', async () => {
      const seen: Change[] = [];
      under.bus.subscribe((change) => seen.push(change));
      under.bus.publish({ kind: 'resource', uri: 'a' });
      under.bus.publish({ kind: 'prompts' });
      under.bus.publish({ kind: 'resource', uri: 'a' });
      under.bus.publish({ kind: 'resource', uri: 'b' });
      under.bus.publish({ kind: 'prompts' });
      await under.settle();
      assert.deepEqual(seen, [{ kind: 'resource', uri: 'a' }, { kind: 'prompts' }, { kind: 'resource', uri: 'b' }]);
    });

    test('of several states of one task in a turn the last is told, and other tasks are untouched', async () => {
      const seen: Change[] = [];
      under.bus.subscribe((change) => seen.push(change));
      under.bus.publish(task('a', 'working'));
      under.bus.publish(task('b', 'working'));
      under.bus.publish(task('a', 'completed'));
      await under.settle();
      assert.deepEqual(seen, [task('a', 'completed'), task('b', 'working')]);
    });

    test('changes of different turns are told each', async () => {
      let told = 0;
      under.bus.subscribe(() => {
        told += 1;
      });
      under.bus.publish({ kind: 'tools' });
      await under.settle();
      under.bus.publish({ kind: 'tools' });
      await under.settle();
      assert.equal(told, 2);
    });

    test('a resource named like a list is not mistaken for the list', async () => {
      const seen: Change[] = [];
      under.bus.subscribe((change) => seen.push(change));
      under.bus.publish({ kind: 'tools' });
      under.bus.publish({ kind: 'resource', uri: 'tools' });
      under.bus.publish(task('tools', 'working'));
      await under.settle();
      assert.equal(seen.length, 3);
    });

    test('a listener is never called inside a publisher or another listener', async () => {
      let depth = 0;
      let deepest = 0;
      let calls = 0;
      const enter = (republish: Change | null) => (change: Change) => {
        depth += 1;
        deepest = Math.max(deepest, depth);
        calls += 1;
        if (republish !== null && change.kind === 'tools') under.bus.publish(republish);
        depth -= 1;
      };
      under.bus.subscribe(enter({ kind: 'prompts' }));
      under.bus.subscribe(enter(null));
      under.bus.publish({ kind: 'tools' });
      await under.settle();
      assert.equal(deepest, 1);
      assert.equal(calls, 4, 'tools and prompts, each to both');
    });

    test('after unsubscribing nothing more is told, also when it happens during a delivery', async () => {
      const seen: string[] = [];
      const stop = under.bus.subscribe((change) => {
        seen.push(change.kind);
        stop();
      });
      under.bus.publish({ kind: 'tools' });
      under.bus.publish({ kind: 'prompts' });
      await under.settle();
      under.bus.publish({ kind: 'resources' });
      await under.settle();
      assert.deepEqual(seen, ['tools']);
    });

    test('a listener that throws does not keep the change from the others', async () => {
      const seen: string[] = [];
      under.bus.subscribe(() => {
        throw new Error('listener bug');
      });
      under.bus.subscribe((change) => seen.push(change.kind));
      under.bus.publish({ kind: 'tools' });
      await under.settle();
      under.bus.publish({ kind: 'prompts' });
      await under.settle();
      assert.deepEqual(seen, ['tools', 'prompts']);
    });
  });
}
