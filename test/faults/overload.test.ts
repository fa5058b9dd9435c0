/**
 * More work than there is room for: the loop stays free, what is refused is refused at once and says when to come back,
 * what is accepted is done, one client's flood does not reach the others, and afterwards all is as before.
 *
 * What overload does to the worker and to those who wait is counted in calls, not in time: the machine is slow now and
 * then, and this process is the client, too. Where a time is looked at, it is beside what is usual at the same moment,
 * and again when it was too long.
 */
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { Watcher } from '../clients/watcher.ts';
import { type Call, Load, type Outcome, percentile } from './open-loop.ts';

const NS_PER_MS = 1e6;
const AGAIN_MAX = 3;
/** Of each polite caller. */
const POLITE_CALLS = 10;
const SLOW: Call = { tool: 'spin', argumentsText: '{"ms":500}' };
/** Nobody has it: refused on the front-end thread. */
const UNKNOWN: Call = { tool: 'no-such-tool', argumentsText: '{}' };

const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

function expectRefusals(refused: readonly Outcome[]): void {
  for (const { status, retryAfter, text } of refused) {
    assert.equal(status, 503, text);
    assert.ok(Number(retryAfter) >= 1, `Retry-After: ${retryAfter}`);
    const { error } = JSON.parse(text) as { error: { code: number; data: { retryAfterMs: number } } };
    assert.equal(error.code, -32000);
    assert.ok(error.data.retryAfterMs > 0, text);
  }
}

async function expectCalm(served: Served, load: Load): Promise<void> {
  for (const gauge of ['millrace_in_flight', 'millrace_queue_depth']) {
    await eventually(
      gauge,
      () => served.metric(gauge),
      (value) => value === 0,
    );
  }
  const calm = async (): Promise<number> => {
    const { status, ms } = await load.call('echo', '{"text":"calm"}');
    assert.equal(status, 200);
    return ms;
  };
  await eventually('an answer at once', calm, (ms) => ms < 500);
}

/** The wait in calls that others got done meanwhile. */
const medianWait = (outcomes: readonly Outcome[]): number =>
  percentile(
    outcomes.map(({ doneMeanwhile }) => doneMeanwhile),
    0.5,
  );

interface Watched<T> {
  readonly result: T;
  /** P99 of the event loop's delay. */
  readonly delayMs: number;
  /** P90 of `/health/live`, asked one after another: there are not many, and one may meet with a pause of the machine. */
  readonly probeMs: number;
}

/** Watches the event loop and the health endpoint while something is done. */
async function watched<T>(served: Served, work: () => Promise<T>): Promise<Watched<T>> {
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  let over = false;
  const result = work().finally(() => {
    over = true;
  });
  const probes: number[] = [];
  while (!over) {
    const begun = performance.now();
    const response = await fetch(new URL('/health/live', served.url));
    assert.equal(response.status, 200);
    await response.text();
    probes.push(performance.now() - begun);
  }
  delays.disable();
  return { result: await result, delayMs: delays.percentile(99) / NS_PER_MS, probeMs: percentile(probes, 0.9) };
}

for (const frontend of FRONT_ENDS) {
  test(`pool full of 500 ms loops, caller-runs on: the loop stays free, on ${frontend}`, async (t) => {
    const served = await serve(frontend, {
      maxConcurrent: 4,
      queueSize: 4,
      overload: 'caller-runs',
      requestTimeoutMs: 30_000,
    });
    const load = new Load(served.url);
    t.after(() => {
      load.close();
      return served.close();
    });
    await Promise.all([load.call('spin', '{"ms":1}'), load.call('echo', '{"text":"x"}')]);
    const free = async (): Promise<string> => {
      // Not in one burst: this thread is the client, too, and making sixty requests takes time.
      const { result, delayMs, probeMs } = await watched(served, () => load.openLoop(60, 1000, SLOW));
      const done = result.filter(({ status }) => status === 200);
      assert.ok(done.length >= 6, `${done.length} served`);
      expectRefusals(result.filter(({ status }) => status !== 200));
      assert.equal(await served.metric('millrace_caller_runs_total'), 0);
      await expectCalm(served, load);
      // Half of one call: a call on this thread holds it for all of its time.
      if (delayMs < 250 && probeMs < 250) return '';
      // What the machine does to this thread while both workers burn CPU, without overload.
      const usual = await watched(served, () => load.closedLoop(2, 1, SLOW));
      if (delayMs >= Math.max(250, 3 * usual.delayMs)) return `P99 of the delay ${delayMs}, usual ${usual.delayMs}`;
      if (probeMs >= Math.max(250, 3 * usual.probeMs)) return `P90 of a probe ${probeMs}, usual ${usual.probeMs}`;
      return '';
    };
    // What else the machine does for a while is not there each time, a loop that overload keeps busy is.
    let problem = await free();
    for (let again = 0; problem !== '' && again < AGAIN_MAX; again++) problem = await free();
    assert.equal(problem, '');
  });
}

test('ten times more than the pool can do, without waiting for what was refused', async (t) => {
  const watcher = new Watcher();
  const served = await serve('auto', {
    modules: [fixture('watched-tools')],
    workers: 1,
    maxConcurrent: 8,
    queueSize: 20,
    requestTimeoutMs: 60_000,
  });
  const load = new Load(served.url);
  t.after(() => {
    load.close();
    watcher.close();
    return served.close();
  });
  const spin = (label: string): Call => ({ tool: 'watched-spin', argumentsText: `{"label":"${label}","ms":20}` });
  const doneMin = 50;
  /** The part of the time in which the worker works, and what became of the calls. */
  const busy = async (first: readonly Call[], then: readonly Call[]): Promise<readonly [number, Outcome[]]> => {
    // It counts from the last look.
    await served.metric('millrace_worker_utilization');
    const outcomes = await load.surge(first, then, (done) => done >= doneMin);
    return [await served.metric('millrace_worker_utilization'), outcomes];
  };
  const starved = async (label: string): Promise<string> => {
    const [part, outcomes] = await busy(times(40, spin(label)), times(10, spin(label)));
    const done = outcomes.filter(({ status }) => status === 200);
    const refused = outcomes.filter(({ status }) => status !== 200);
    assert.ok(done.length >= doneMin, `${done.length} done`);
    assert.ok(refused.length > outcomes.length * 0.75, `${refused.length} of ${outcomes.length} refused`);
    expectRefusals(refused);
    // What is accepted waits for all before it, what is refused for nothing but its turn on this thread.
    const [median, accepted] = [medianWait(refused), medianWait(done)];
    assert.ok(median < accepted / 2, `a refusal waits for ${median} calls, an accepted call for ${accepted}`);
    // Nothing is done that nobody is told of: each call the worker began is one that was answered.
    await watcher.seen('started', label, done.length);
    assert.equal(watcher.count('started', label), done.length);
    await expectCalm(served, load);
    if (part > 0.5) return '';
    // As many calls, and none that the worker has no room for: what this thread leaves it, overload must leave it too.
    const [usual] = await busy(times(28, spin('usual')), [spin('usual'), ...times(9, UNKNOWN)]);
    return part > usual / 2 ? '' : `the worker was busy for ${part} of the time, without overload for ${usual}`;
  };
  let problem = await starved('overload');
  for (let again = 0; problem !== '' && again < AGAIN_MAX; again++) problem = await starved(`overload ${again}`);
  assert.equal(problem, '');
  const after = await load.closedLoop(8, 2, spin('after'));
  assert.ok(after.every(({ status }) => status === 200));
});

test('a principal that floods is refused, nine polite ones never are', async (t) => {
  const names = ['flood', ...Array.from({ length: 9 }, (_, i) => `polite-${i}`)];
  const tokens = names.map((id) => ({ id, token: `${id}-0123456789abcdef` }));
  const served = await serve('node', {
    workers: 1,
    maxConcurrent: 4,
    queueSize: 40,
    requestTimeoutMs: 60_000,
    auth: { tokens },
  });
  const done = { count: 0 };
  const loads = tokens.map(({ token }) => new Load(served.url, { authorization: `Bearer ${token}` }, done));
  t.after(() => {
    for (const load of loads) load.close();
    return served.close();
  });
  const [flooding, ...polite] = loads as [Load, ...Load[]];
  const spin: Call = { tool: 'spin', argumentsText: '{"ms":5}' };
  let isOver = false;
  // Its queue is full at once and stays so.
  const flood = flooding.surge(times(60, spin), times(3, spin), () => isOver);
  const outcomes = (await Promise.all(polite.map((load) => load.closedLoop(1, POLITE_CALLS, spin)))).flat();
  isOver = true;
  const flooded = await flood;
  assert.deepEqual(
    outcomes.filter(({ status }) => status !== 200),
    [],
  );
  const refused = flooded.filter(({ status }) => status !== 200);
  assert.ok(refused.length > 0);
  expectRefusals(refused);
  // Ten share one worker: a polite call waits for about nine others, one of the flood for all before it in its queue too.
  const [waited, inFlood] = [medianWait(outcomes), medianWait(flooded.filter(({ status }) => status === 200))];
  assert.ok(waited < inFlood, `a polite call waits for ${waited} calls, one of the flood for ${inFlood}`);
});
