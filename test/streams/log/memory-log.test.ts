import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryLog } from '../../../src/streams/log/memory-log.ts';
import { randomFrom } from '../../random.ts';
import { logContract } from './log-contract.ts';
import { numberedRecord, plain, readAll } from './records.ts';

logContract('memory', (_, bytesMax) => new MemoryLog(bytesMax === undefined ? {} : { bytesMax }));

describe('bodies in memory that comes again', () => {
  /** More than a segment now and then, many to a segment mostly, sometimes nothing. */
  const lengthOf = (random: () => number): number => {
    const dice = random();
    if (dice < 0.05) return 4_194_304 + Math.floor(random() * 1000);
    return dice < 0.2 ? 0 : Math.floor(random() * 900_000);
  };

  for (let seed = 1; seed <= 3; seed++) {
    test(`stay as they were while others come and go, seed ${seed}`, async () => {
      const APPENDS = 120;
      const random = randomFrom(seed);
      const log = new MemoryLog();
      const lengths: number[] = [];
      for (let number = 1; number <= APPENDS; number++) {
        const length = lengthOf(random);
        lengths.push(length);
        log.append(numberedRecord(number, length));
        if (random() < 0.3) await log.truncate(log.first - 1 + Math.floor(random() * (log.last - log.first + 2)));
        if (number % 20 !== 0) continue;
        for (const { record, seq } of await readAll(log, log.first - 1)) {
          assert.deepEqual(record, numberedRecord(seq, lengths[seq - 1] as number));
        }
      }
      await log.close();
    });
  }

  test('what was read stays as it was when its record is truncated and its memory used again', async () => {
    const LENGTH = 1_000_000;
    const log = new MemoryLog();
    log.append(numberedRecord(1, LENGTH));
    const [first] = await readAll(log, 0);
    const reading = log.read(0);
    const { value } = await reading.next();
    for (let number = 2; number <= 40; number++) {
      log.append(numberedRecord(number, LENGTH));
      await log.truncate(number - 1);
    }
    assert.deepEqual(first?.record, numberedRecord(1, LENGTH));
    assert.deepEqual(plain(value.record), numberedRecord(1, LENGTH));
    await log.close();
  });
});
