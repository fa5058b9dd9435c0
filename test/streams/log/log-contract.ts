/**
 * What every event log must do; each implementation's test runs it.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type EventLog, LogDamaged, type LogRecord, LogUnavailable } from '../../../src/streams/log/port.ts';
import { anyRecord, numberedRecord, plain, readAll } from './records.ts';
import { Scratch } from './scratch.ts';

/** Makes a new, empty log of at most so many bytes. */
type MakeLog = (scratch: Scratch, bytesMax?: number) => EventLog | Promise<EventLog>;

export function logContract(name: string, make: MakeLog): void {
  describe(`event log contract: ${name}`, () => {
    appending(make);
    truncating(make);
    bounds(make);
    modelled(make);
  });
}

function appending(make: MakeLog): void {
  test('numbers records from 1 without a gap and gives them back as they were, durable or not', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    assert.deepEqual([log.first, log.last, log.bytes, log.available], [1, 0, 0, true]);
    const records = fc.sample(anyRecord, { numRuns: 200, seed: 7 });
    const appended = records.map((record) => log.append(record));
    assert.deepEqual(
      appended.map(({ seq }) => seq),
      records.map((_, i) => i + 1),
    );
    const expected = records.map((record, i) => ({ seq: i + 1, record: plain(record) }));
    assert.deepEqual(await readAll(log, 0), expected, 'before it is durable');
    await Promise.all(appended.map(({ durable }) => durable));
    assert.deepEqual(await readAll(log, 0), expected);
    assert.deepEqual(await readAll(log, 150), expected.slice(150));
    assert.deepEqual(await readAll(log, 200), []);
    assert.deepEqual(await readAll(log, 999), []);
    await log.close();
  });

  test('keeps every byte of a body, from none to a megabyte, and bodies in shared memory', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    const shared = new Uint8Array(new SharedArrayBuffer(70_000)).map((_, i) => i);
    const bodies = [new Uint8Array(0), Uint8Array.from({ length: 256 }, (_, i) => i), shared, new Uint8Array(2 ** 20)];
    const records = bodies.map((body): LogRecord => ({ ...numberedRecord(1, 0), body }) as LogRecord);
    await Promise.all(records.map((record) => log.append(record).durable));
    assert.deepEqual(
      (await readAll(log, 0)).map(({ record }) => record),
      records.map(plain),
    );
    await log.close();
  });

  test('reads up to what was the newest when reading began', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    for (let i = 0; i < 5; i++) log.append(numberedRecord(i, 10));
    const seen: number[] = [];
    for await (const { seq } of log.read(0)) {
      seen.push(seq);
      await log.append(numberedRecord(99, 10)).durable;
    }
    assert.deepEqual(seen, [1, 2, 3, 4, 5]);
    await log.close();
  });

  test('takes nothing once it is closed', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    await log.append(numberedRecord(1, 10)).durable;
    await log.close();
    assert.equal(log.available, false);
    assert.throws(() => log.append(numberedRecord(2, 10)), LogUnavailable);
  });
}

function truncating(make: MakeLog): void {
  test('forgets the oldest, goes on counting, and says so to whoever asks for them', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    for (let i = 1; i <= 10; i++) log.append(numberedRecord(i, 1000));
    const full = log.bytes;
    await log.truncate(4);
    assert.deepEqual([log.first, log.last], [5, 10]);
    assert.ok(Math.abs(log.bytes - full * 0.6) < 100, `${log.bytes} of ${full} bytes`);
    assert.equal((await readAll(log, 4)).length, 6);
    await assert.rejects(readAll(log, 3), LogDamaged);
    await log.truncate(2);
    assert.equal(log.first, 5, 'nothing left to forget there');
    await log.truncate(10);
    assert.deepEqual([log.first, log.last, log.bytes], [11, 10, 0]);
    assert.equal(log.append(numberedRecord(11, 10)).seq, 11);
    assert.equal((await readAll(log, 10)).length, 1);
    assert.throws(() => void log.truncate(12), RangeError);
    await log.close();
  });

  test('forgets thousands at once, while others are appended', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch);
    let durable = Promise.resolve();
    for (let i = 1; i <= 3000; i++) durable = log.append(numberedRecord(i, 20)).durable;
    const gone = Promise.all([log.truncate(1500), log.truncate(2900)]);
    for (let i = 3001; i <= 3100; i++) durable = log.append(numberedRecord(i, 20)).durable;
    await Promise.all([gone, durable]);
    assert.deepEqual(
      (await readAll(log, 2900)).map(({ record }) => record),
      Array.from({ length: 200 }, (_, i) => plain(numberedRecord(2901 + i, 20))),
    );
    await log.close();
  });
}

function bounds(make: MakeLog): void {
  test('over its bound takes nothing, until something was truncated', async () => {
    await using scratch = new Scratch();
    const log = await make(scratch, 10_000);
    while (log.bytes < 8500) await log.append(numberedRecord(log.last + 1, 1000)).durable;
    const { last, bytes } = log;
    assert.throws(() => log.append(numberedRecord(0, 5000)), LogUnavailable);
    assert.deepEqual([log.last, log.bytes], [last, bytes]);
    await log.truncate(5);
    assert.equal(log.append(numberedRecord(0, 4000)).seq, last + 1);
    await log.recover();
    await log.close();
  });
}

type Step = { do: 'append'; record: LogRecord } | { do: 'flush' } | { do: 'truncate'; share: number } | { do: 'read' };

function modelled(make: MakeLog): void {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('append' as const), record: anyRecord }) },
    fc.constant({ do: 'flush' as const }),
    fc.record({ do: fc.constant('truncate' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
    fc.constant({ do: 'read' as const }),
  );
  test('model: any appends, truncations and reads leave what a list would hold', async () => {
    await using scratch = new Scratch();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const log = await make(scratch);
        const list: LogRecord[] = [];
        // The same log, or one in the same directory, may serve all runs: numbers go on.
        const base = log.last;
        let first = base + 1;
        let durable = Promise.resolve();
        for (const each of steps) {
          if (each.do === 'append') {
            const appended = log.append(each.record);
            durable = appended.durable;
            assert.equal(appended.seq, base + list.push(each.record));
          } else if (each.do === 'flush') await durable;
          else if (each.do === 'truncate') {
            const seq = base + Math.floor(each.share * list.length);
            await log.truncate(seq);
            first = Math.max(first, seq + 1);
          }
          if (each.do === 'read') {
            const expected = list
              .slice(first - base - 1)
              .map((record, i) => ({ seq: first + i, record: plain(record) }));
            assert.deepEqual(await readAll(log, first - 1), expected);
          }
          assert.deepEqual([log.first, log.last], [Math.max(first, log.first), base + list.length]);
        }
        await log.truncate(log.last);
        await log.close();
      }),
      { numRuns: 60 },
    );
  });
}
