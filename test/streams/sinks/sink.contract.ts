/**
 * What every sink keeps; what those that promise exactly once keep on top of it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Delivery } from '../../../src/streams/engine/results/delivery.ts';
import type { Sink, SinkKind } from '../../../src/streams/sinks/port.ts';

/** A place of its own for one test. */
export interface SinkUnderTest {
  readonly kind: SinkKind;
  create(): Sink;
  /** Result lines that are there, in order. */
  lines(): Promise<readonly string[]>;
  /** The next write fails: before, and after what was written is there but for its acknowledgement. Called while it is open. */
  readonly breakNext: { readonly before: () => Promise<void>; readonly after: () => Promise<void> };
  /** Where it does not mend by itself: called when the failure was told, long before the next try. */
  readonly mend?: () => void;
  /** Makes what a crash in the middle of a write leaves, while it is closed. */
  readonly tear: () => Promise<void>;
}

export function line(n: number): string {
  const values = { n, text: n % 3 === 0 ? 'Grüße' : null };
  return JSON.stringify({
    id: `s/w/{"k":${n}}/0/0`,
    stream: 's',
    name: 'w',
    key: { k: n },
    start: 0,
    end: 1000,
    pane: 0,
    timing: 'on-time',
    final: true,
    values,
  });
}

const linesFrom = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => line(from + i));

export function sinkContract(type: string, open: () => Promise<SinkUnderTest>, guarantee: SinkKind['guarantee']): void {
  describe(`sink contract: ${type}`, () => {
    test('promises what its row in the table says', async () => {
      const { kind } = await open();
      assert.deepEqual([kind.type, kind.guarantee], [type, guarantee]);
    });

    test('takes batches in order, empty ones and places between records too', async () => {
      const made = await open();
      const sink = made.create();
      assert.equal(await sink.open(), 0);
      await sink.write({ seq: 1, lines: linesFrom(0, 3) });
      await sink.write({ seq: 2, lines: [] });
      await sink.write({ seq: 2 + 3 / 4096, lines: linesFrom(3, 4) });
      await sink.write({ seq: 900, lines: linesFrom(4, 1204) });
      await sink.close();
      assert.deepEqual(await made.lines(), linesFrom(0, 1204));
    });

    for (const when of ['before', 'after'] as const) {
      test(`delivers after a failure ${when} the write ${guarantee === 'exactly-once' ? 'exactly once' : 'again'}`, async () => {
        const made = await open();
        const troubles: string[] = [];
        const log = {
          warn(_: object, text: string) {
            troubles.push(text);
            made.mend?.();
          },
          info: () => undefined,
          error: () => undefined,
        };
        const delivery = new Delivery('s/sink', made.create(), log);
        await delivery.open(0, [], 0);
        delivery.push({ seq: 1, lines: linesFrom(0, 2) });
        await delivery.settled();
        await made.breakNext[when]();
        delivery.push({ seq: 2, lines: linesFrom(2, 4) });
        delivery.push({ seq: 3, lines: linesFrom(4, 5) });
        while (delivery.pending().length > 0) await delivery.room().then(() => new Promise((r) => setTimeout(r, 5)));
        await delivery.close();
        assert.equal(troubles.length, 1);
        const lines = await made.lines();
        assert.deepEqual(guarantee === 'exactly-once' ? lines : [...new Set(lines)], linesFrom(0, 5));
      });
    }

    if (guarantee !== 'exactly-once') return;

    test('says after it is opened again how far it is', async () => {
      const made = await open();
      let sink = made.create();
      for (const seq of [7, 8.25, 100]) {
        await sink.open();
        await sink.write({ seq, lines: linesFrom(seq, seq + 2) });
        await sink.close();
        sink = made.create();
        assert.equal(await sink.open(), seq);
        await sink.close();
        sink = made.create();
      }
      assert.equal((await made.lines()).length, 6);
    });

    test('forgets what a crash left half written, and goes on behind what is whole', async () => {
      const made = await open();
      const before = made.create();
      await before.open();
      await before.write({ seq: 5, lines: linesFrom(0, 3) });
      await before.close();
      await made.tear();
      const sink = made.create();
      assert.equal(await sink.open(), 5);
      await sink.write({ seq: 6, lines: linesFrom(3, 4) });
      await sink.close();
      assert.deepEqual(await made.lines(), linesFrom(0, 4));
    });

    test('follows a log that began anew', async () => {
      const made = await open();
      const log = { warn: () => undefined, info: () => undefined, error: () => undefined };
      for (const [from, lastSeq] of [
        [0, 0],
        [10, 1],
      ] as const) {
        const delivery = new Delivery('s/sink', made.create(), log);
        await delivery.open(null, [], lastSeq);
        delivery.push({ seq: 50, lines: linesFrom(from, from + 1) });
        delivery.push({ seq: 51, lines: linesFrom(from + 1, from + 2) });
        await delivery.settled();
        await delivery.close();
      }
      // Its first results may be of the very number that the last ones of the other log were.
      const delivery = new Delivery('s/sink', made.create(), log);
      await delivery.open(null, [], 1);
      delivery.push({ seq: 51, lines: linesFrom(20, 21) });
      await delivery.settled();
      await delivery.close();
      assert.deepEqual(await made.lines(), [...linesFrom(0, 2), ...linesFrom(10, 12), ...linesFrom(20, 21)]);
    });
  });
}
