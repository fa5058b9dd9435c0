/**
 * A log that refuses is tried again, and what is wrong with it does not fill what is logged.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogRecovery } from '../../../src/streams/engine/log-recovery.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';

test('an hour of a full disk is a line a minute, and writing goes on within a second of room', async () => {
  let why: string | null = 'cannot write: disk full';
  let tries = 0;
  const lines: string[] = [];
  const write = (fields: { err?: unknown }, message: string): void =>
    void lines.push(fields.err instanceof Error ? `${message}: ${fields.err.message}` : message);
  const eventLog = {
    async recover() {
      tries += 1;
      if (why !== null) throw new LogUnavailable(why);
    },
  };
  const recovery = new LogRecovery(eventLog, { info: write, warn: write });
  let nowMs = 1_000_000;
  const wait = async (ms: number): Promise<void> => {
    for (const until = nowMs + ms; nowMs < until; nowMs += 200) await recovery.try(nowMs);
  };
  await wait(3_600_000);
  assert.equal(tries, 3600);
  assert.deepEqual([...new Set(lines)], ['the stream log cannot take records: cannot write: disk full']);
  assert.equal(lines.length, 60);
  why = 'cannot write: disk gone';
  await wait(1000);
  assert.match(lines.at(-1) ?? '', /disk gone/);
  why = null;
  await wait(1000);
  assert.equal(lines.at(-1), 'the stream log takes records again');
  why = 'cannot write: disk gone';
  await wait(1000);
  assert.match(lines.at(-1) ?? '', /disk gone/);
});
