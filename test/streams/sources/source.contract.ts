/**
 * What every source keeps, whatever it reads from.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Source, SourceHost } from '../../../src/streams/sources/port.ts';
import { linesOf, overload, refusalForGood, TestHost } from './test-host.ts';

/** Content of its own for one test. At least five batches, one behind the other. */
export interface SourceUnderTest {
  create(host: SourceHost): Source;
  /** Lines in order; null when they cannot be known before. */
  readonly expected: readonly string[] | null;
  /** Entries the broker counts as done with; 0 where there is no broker. */
  acknowledged(): Promise<number>;
}

/** Long enough for a source that does not wait to give itself away. */
const A_WHILE_MS = 60;

/** `resumes`: it goes on where the log is. */
export function sourceContract(name: string, resumes: boolean, open: () => Promise<SourceUnderTest>): void {
  describe(`source contract: ${name}`, () => {
    const begin = async (): Promise<{ made: SourceUnderTest; host: TestHost; source: Source }> => {
      const made = await open();
      const host = new TestHost();
      return { made, host, source: made.create(host) };
    };
    const enough = ({ expected }: SourceUnderTest, host: TestHost): boolean =>
      expected === null ? host.logged.length >= 5 : host.lines().length >= expected.length;

    test('hands over everything in order, one batch at a time', async () => {
      const { made, host, source } = await begin();
      await source.start(new Map());
      await host.until(() => enough(made, host));
      await source.stop();
      if (made.expected !== null) assert.deepEqual(host.lines(), made.expected);
      assert.equal(host.concurrentMax, 1);
      assert.ok(host.logged.length >= 5);
      assert.equal(new Set(host.logged.map(({ partition }) => partition)).size, 1);
    });

    test('makes and acknowledges nothing while a batch waits to be accepted', async () => {
      const { made, host, source } = await begin();
      host.holding = true;
      await source.start(new Map());
      await host.until(() => host.logged.length === 1);
      await pause(A_WHILE_MS);
      assert.equal(host.offered.length, 1);
      assert.equal(await made.acknowledged(), 0);
      host.release();
      await host.until(() => host.logged.length > 1);
      await source.stop();
    });

    test('offers a batch that was refused for now again, the same bytes, before any other', async () => {
      const { made, host, source } = await begin();
      host.refusals.push(overload(), overload());
      await source.start(new Map());
      await host.until(() => enough(made, host));
      await source.stop();
      const [first, second, third] = host.offered.map(({ body, position }) => `${position} ${Buffer.from(body)}`);
      assert.deepEqual([second, third], [first, first]);
      if (made.expected !== null) assert.deepEqual(host.lines(), made.expected);
    });

    test('fails when it is refused for good', async () => {
      const { host, source } = await begin();
      host.refusals.push(refusalForGood());
      await source.start(new Map());
      await assert.rejects(source.done, /no such stream/);
      await source.stop();
      assert.equal(host.logged.length, 0);
    });

    test('stops when what it has handed over is accepted, and hands over nothing more', async () => {
      const { host, source } = await begin();
      host.holding = true;
      await source.start(new Map());
      await host.until(() => host.logged.length === 1);
      let stopped = false;
      const stopping = source.stop().then(() => {
        stopped = true;
      });
      await pause(A_WHILE_MS);
      assert.equal(stopped, false);
      host.release();
      await stopping;
      assert.equal(host.offered.length, 1);
    });

    test('stops while it is refused', async () => {
      const { host, source } = await begin();
      host.refusals.push(...Array.from({ length: 100 }, overload));
      await source.start(new Map());
      await host.until(() => host.offered.length === 1);
      await source.stop();
      assert.equal(host.logged.length, 0);
      await source.done;
    });

    if (!resumes) return;
    test('goes on after a restart where the log is: nothing is lost and nothing comes twice', async () => {
      const { made, host, source } = await begin();
      // The second batch is in the log, and its acknowledgement never comes: what a crash leaves.
      host.holdFrom = 1;
      await source.start(new Map());
      await host.until(() => host.logged.length === 2);
      const after = host.successor();
      const next = made.create(after);
      await next.start(after.positions());
      await after.until(() => enough(made, after));
      await next.stop();
      assert.deepEqual(after.lines(), made.expected);
      assert.ok(after.offered.length >= 3);
      assert.ok(after.offered.every((batch) => !linesOf(batch).includes(made.expected?.[0] as string)));
      host.release();
      await source.stop();
    });
  });
}
