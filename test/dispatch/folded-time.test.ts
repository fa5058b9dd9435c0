/**
 * Times folded into one word, calls right across the moment at which they begin anew, every 24.8 days, and a wall clock
 * that is set meanwhile.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { FOLDED_AHEAD_MS_MAX, foldedAfter, foldedNow, foldedSince } from '../../src/dispatch/folded-time.ts';
import { asChild } from '../cli/millrace.ts';
import { callTool, readyUrl } from '../cli/served.ts';

const FOLD_MS = 0x7fffffff;
const HOUR_MS = 3_600_000;
/** Calls go on for so long after the fold. */
const AFTER_MS = 300;

/** Loaded into every thread of a process. */
const loaded = (code: string): Record<string, string> => {
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
};

/** The clock that all threads share is `ms` ahead. */
const ahead = (ms: number): Record<string, string> =>
  loaded(`const read=process.hrtime.bigint;process.hrtime.bigint=()=>read()+${ms}000000n;`);

/** The wall clock of the workers differs by `ms` from the front end's: it was set while calls were on their way. */
const wallSet = (ms: number): Record<string, string> =>
  loaded(
    `import{isMainThread}from'node:worker_threads';const read=Date.now;if(!isMainThread)Date.now=()=>read()+(${ms});`,
  );

const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

interface Answer {
  result?: { isError?: boolean };
}

async function assertAnswered(url: string, tool: string, args: object): Promise<void> {
  const answer = (await (await callTool(url, tool, args)).json()) as Answer;
  assert.ok(answer.result !== undefined && answer.result.isError !== true, JSON.stringify(answer));
}

describe('folded times', () => {
  test('order across the fold', () => {
    assert.equal(foldedSince(FOLD_MS - 5, 5), 10);
    assert.equal(foldedSince(5, FOLD_MS - 5), -10);
    assert.equal(foldedSince(100, 250), 150);
  });

  test('what is after another one is as far from it, and fits its word, wherever the fold is', () => {
    for (const from of [0, 1, FOLD_MS - 6, FOLD_MS - 5, FOLD_MS - 1, foldedNow()]) {
      for (const ms of [0, 5, 100_000, FOLDED_AHEAD_MS_MAX]) {
        const after = foldedAfter(from, ms);
        assert.equal(new Int32Array([after])[0], after);
        assert.equal(foldedSince(from, after), ms);
      }
    }
  });

  test('calls are answered right across the fold', async (context) => {
    // So that the server listens before the fold, however slow the machine is.
    for (let leadMs = 2000; ; leadMs *= 2) {
      const foldAtMs = monotonicMs() + leadMs;
      const toFoldMs = FOLD_MS - Math.trunc(foldAtMs % FOLD_MS);
      const child = asChild(context, ['serve', '--port', '0', '--workers', '1'], { env: ahead(toFoldMs) });
      const url = await readyUrl(child);
      const beganBefore = monotonicMs() < foldAtMs;
      while (beganBefore && monotonicMs() < foldAtMs + AFTER_MS) await assertAnswered(url, 'echo', { text: 'x' });
      child.process.kill('SIGTERM');
      await child.ended;
      if (beganBefore) return;
    }
  });

  test('a wall clock that is set does not move them', (context) => {
    const before = foldedNow();
    const wallMs = Date.now();
    const wall = context.mock.method(Date, 'now', () => wallMs + HOUR_MS);
    assert.ok(foldedSince(before, foldedNow()) < HOUR_MS);
    wall.mock.mockImplementation(() => wallMs - HOUR_MS);
    assert.ok(foldedSince(before, foldedNow()) >= 0);
  });

  test('calls are answered though the wall clock is put forward before they start', async (context) => {
    const child = asChild(context, ['serve', '--port', '0', '--workers', '1'], { env: wallSet(HOUR_MS) });
    const url = await readyUrl(child);
    for (let i = 0; i < 5; i++) await assertAnswered(url, 'echo', { text: 'x' });
    child.process.kill('SIGTERM');
    await child.ended;
  });
});
