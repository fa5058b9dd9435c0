import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { randomFrom } from '../../random.ts';
import { Child } from './child.ts';
import { crashBodyBytes } from './crash-body-bytes.ts';
import { numberedRecord, plain } from './records.ts';
import { Scratch } from './scratch.ts';

const KILLS = 12;
const SEED = 20_261_121;

/** Highest number said after the word; 0 when it was not said. */
function highest(child: Child, word: string): number {
  const said = child.lines.filter((line) => line.startsWith(`${word} `)).map((line) => Number(line.split(' ')[1]));
  return Math.max(0, ...said);
}

test(`killed ${KILLS} times at any moment, the log holds every durable record once, in order, and goes on`, async () => {
  await using scratch = new Scratch();
  const directory = join(scratch.directory, 'data');
  const random = randomFrom(SEED);
  const start = (run: number): Child =>
    scratch.own(new Child(import.meta.url, 'crash-child', [directory, `${SEED + run}`]));
  const known = { durable: 0, truncating: 0, truncated: 0 };
  // The next one starts up while this one works.
  let next = start(0);
  for (let run = 1; run <= KILLS; run++) {
    const child = next;
    next = start(run);
    child.tell('go');
    await child.says('open');
    const lines = Math.floor(random() * 120);
    await child.line(() => child.lines.length > lines);
    await setTimeout(random() * 6);
    await child.kill();
    for (const word of ['durable', 'truncating', 'truncated'] as const) {
      known[word] = Math.max(known[word], highest(child, word));
    }
    await check(scratch, known, `kill ${run}`);
  }
  await next.kill();
  assert.ok(known.durable > 300 && known.truncated > 30, `only ${JSON.stringify(known)} done`);
});

async function check(
  scratch: Scratch,
  known: { durable: number; truncating: number; truncated: number },
  when: string,
): Promise<void> {
  const environment = scratch.open('data');
  const log = openLmdbLog(environment);
  assert.ok(log.last >= known.durable, `${when}: durable up to ${known.durable}, there up to ${log.last}`);
  assert.ok(log.first > known.truncated, `${when}: truncated up to ${known.truncated}, there from ${log.first}`);
  assert.ok(log.first <= Math.max(known.truncating, known.truncated) + 1, `${when}: ${log.first} on, nobody asked`);
  let expected = log.first;
  for await (const { seq, record } of log.read(log.first - 1)) {
    assert.equal(seq, expected++, when);
    assert.deepEqual(plain(record), plain(numberedRecord(seq, crashBodyBytes(seq))), `${when}: record ${seq}`);
  }
  assert.equal(expected, log.last + 1, when);
  // What is there now stays there, acknowledged or not.
  known.durable = log.last;
  await log.close();
  await environment.close();
}
