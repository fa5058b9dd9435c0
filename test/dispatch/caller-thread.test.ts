/**
 * Calls on the front-end thread: inline tools, and what the caller runs when the queue is full. What they do must not
 * end the server, nor keep it from its sockets.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Ended, type Rig, startRig, textOf } from './harness.ts';

/** One call runs, one waits: the next finds the queue full. */
async function whenFull(rig: Rig, calls: () => Promise<Ended>[]): Promise<string[]> {
  const occupied = [rig.call('pause', { ms: 60 }, { share: 'x' }), rig.call('pause', { ms: 1 }, { share: 'y' })];
  const endings = await Promise.all(calls());
  await Promise.all(occupied.map(({ ended }) => ended));
  return endings.map((ended) => ended.fault?.name ?? textOf(ended));
}

/** On a busy machine the longest of cheap calls counts: the budget is far above it, and dear calls are above that. */
const BUDGET_MS = 200;
const DEAR_MS = 300;
const FULL = { workers: 1, maxConcurrent: 1, queueSize: 1, callerRunsBudgetMs: BUDGET_MS } as const;
const ROUNDS_MAX = 50;

async function known(rig: Rig, tool: string, args: object = {}): Promise<void> {
  // The first calls pay for compilation; their worst case sinks with those that follow.
  for (let i = 0; i < 60; i++) await rig.call(tool, args).ended;
}

/** How a call of a cheap tool ends that finds the queue full; a machine that was busy may have made it look dear. */
async function cheapWhenFull(rig: Rig, tool: string, args: object = {}): Promise<string | undefined> {
  let text: string | undefined;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    await known(rig, tool);
    [text] = await whenFull(rig, () => [rig.call(tool, args).ended]);
    if (text !== 'overloaded') break;
  }
  return text;
}

describe('caller-runs', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ ...FULL, callerRunsShare: 1 });
  });
  after(() => rig.close());

  test('a tool never seen before is not run here', async () => {
    assert.deepEqual(await whenFull(rig, () => [rig.call('cheap').ended]), ['overloaded']);
  });

  test('a tool known to be cheap is', async () => {
    assert.equal(await cheapWhenFull(rig, 'cheap'), 'caller');
    assert.match(await rig.meters.render(), /millrace_caller_runs_total 1/);
  });

  test('with a request and a result larger than their slots', async () => {
    const args = { bytes: 20_000, pad: 'x'.repeat(20_000) };
    assert.equal(await cheapWhenFull(rig, 'cheap', args), 'x'.repeat(20_000));
  });

  test('one that forbids it is not', async () => {
    await known(rig, 'cheap-home');
    assert.deepEqual(await whenFull(rig, () => [rig.call('cheap-home').ended]), ['overloaded']);
  });

  test('one that computes after an await is not, however little it does before', async () => {
    const args = { ms: 0, spin: DEAR_MS };
    for (let i = 0; i < 5; i++) await rig.call('deep-wait', args).ended;
    assert.deepEqual(await whenFull(rig, () => [rig.call('deep-wait', args).ended]), ['overloaded']);
  });

  test('refusals teach nothing: an expensive tool is not run here after bad requests', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': 7 };
    for (let i = 0; i < 10; i++) assert.notEqual((await rig.call('busy', {}, { meta }).ended).message.error, undefined);
    assert.deepEqual(await whenFull(rig, () => [rig.call('busy', { ms: 300 }).ended]), ['overloaded']);
  });

  test('process.exit of a tool that the caller runs is an error result', async () => {
    assert.match(String(await cheapWhenFull(rig, 'cheap', { exit: true })), /not available to a tool/);
  });
});

test('the budget holds: of many cheap calls only some are run here at once', async () => {
  const rig = await startRig({ ...FULL, callerRunsShare: 0.05, callerRunsBudgetMs: 500 });
  let ran = 0;
  for (let round = 0; round < ROUNDS_MAX && ran === 0; round++) {
    for (let i = 0; i < 10; i++) await rig.call('busy', { ms: 80 }).ended;
    const texts = await whenFull(rig, () => Array.from({ length: 20 }, () => rig.call('busy', { ms: 80 }).ended));
    ran = texts.filter((text) => text === 'spun').length;
  }
  // 500 ms at first, and a twentieth of the time it takes.
  assert.ok(ran >= 1 && ran <= 8, `${ran} of 20 were run`);
  await rig.close();
});

describe('inline tools', () => {
  let rig: Rig;
  before(async () => {
    rig = await startRig({ workers: 1, maxConcurrent: 4, killGraceMs: 20, quarantineAfter: 1000 });
  });
  after(() => rig.close());

  test('asynchronous ones are answered at their deadline', async () => {
    assert.equal((await rig.call('here-for', { ms: 5000 }).ended).fault?.name, 'timeout');
    assert.equal(textOf(await rig.call('here-for', { ms: 1 }, { timeoutMs: 60_000 }).ended), 'here');
  });
});

for (const [last, code] of [
  ['exit', 5],
  ['throw', 7],
] as const) {
  test(`what inline tools leave behind is survived and blamed on them; ${last} of others ends the process`, async () => {
    const { lines, exitCode } = await runStrays(last);
    assert.deepEqual(JSON.parse(lines[0] ?? ''), [
      'exit: process.exit(3) is not available to a tool',
      'exit-later: here',
      'throw-later: here',
      'reject-later: here',
      'then: quarantined',
    ]);
    assert.equal(exitCode, code);
  });
}

function runStrays(last: string): Promise<{ lines: string[]; exitCode: number | null }> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const script = fileURLToPath(new URL(`./fixtures/inline-strays.${extension}`, import.meta.url));
  const loader = extension === 'ts' ? ['--import', import.meta.resolve('tsx')] : [];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...loader, script, last], (error, stdout) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ lines: stdout.split('\n'), exitCode: error === null ? 0 : Number(error.code) });
    });
  });
}

test('handlers that never settle here use up the inline calls, not the slots of others', async () => {
  const rig = await startRig({ workers: 1, maxConcurrent: 4, queueSize: 1, killGraceMs: 10 });
  const faults = new Set<string | undefined>();
  for (let i = 0; i < 60; i++) {
    const ended = await rig.call('here-for-ever').ended;
    faults.add(ended.fault?.name);
    if (ended.fault?.name === 'timeout') await rig.settledDown();
  }
  assert.deepEqual([...faults], ['timeout', 'overloaded']);
  for (let i = 0; i < 20; i++) assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  await rig.engine.dispatcher.idle();
  await rig.close();
});

test('handlers that never settle on a worker do not use up the slots of others', async () => {
  const rig = await startRig({ workers: 1, maxConcurrent: 20, queueSize: 50, killGraceMs: 10, quarantineAfter: 1000 });
  const long = rig.call('rests-deaf', { ms: 600_000 }, { timeoutMs: 600_000 });
  await rig.started(long.job);
  let isOver = false;
  const over = long.ended.then((ended) => {
    isOver = true;
    return ended;
  });
  while (!isOver) {
    await Promise.all(Array.from({ length: 19 }, () => rig.call('for-ever', {}, { timeoutMs: 200 }).ended));
  }
  // There were too many to wait for it any longer, and it may not be repeated.
  assert.equal((await over).fault?.name, 'workerLost');
  for (let i = 0; i < 20; i++) assert.equal(textOf(await rig.call('polite', { text: 'p' }).ended), 'p');
  await rig.close();
});
