/**
 * More work than there is room for: the loop stays free, what is refused is refused at once and says when to come back,
 * what is accepted is done, one client's flood does not reach the others, and afterwards all is as before.
 *
 * Times are generous: they are far from what is usual and still far from what a fault would give.
 */
import assert from 'node:assert/strict';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { test } from 'node:test';
import { eventually } from '../clients/eventually.ts';
import { FRONT_ENDS, type Served, serve } from '../clients/serve.ts';
import { Load, type Outcome, percentile } from './open-loop.ts';

const NS_PER_MS = 1e6;
const AGAIN_MAX = 3;
/** Of each polite caller. */
const CALLS_MIN = 3;
const SPIN = '{"ms":10}';
const SLOW = '{"ms":500}';

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

const medianOf = (outcomes: readonly Outcome[]): number =>
  percentile(
    outcomes.map(({ ms }) => ms),
    0.5,
  );

interface Watched<T> {
  readonly result: T;
  /** P99 of the event loop's delay. */
  readonly delayMs: number;
  /** P99 of `/health/live`, asked one after another. */
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
  return { result: await result, delayMs: delays.percentile(99) / NS_PER_MS, probeMs: percentile(probes, 0.99) };
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
      // What the machine does to this thread while both workers burn CPU, without overload.
      const usual = await watched(served, () => Promise.all([SLOW, SLOW].map((args) => load.call('spin', args))));
      // Not in one burst: this thread is the client, too, and making sixty requests takes time.
      const { result, delayMs, probeMs } = await watched(served, () => load.openLoop(60, 1000, 'spin', SLOW));
      const done = result.filter(({ status }) => status === 200);
      assert.ok(done.length >= 6, `${done.length} served`);
      expectRefusals(result.filter(({ status }) => status !== 200));
      assert.equal(await served.metric('millrace_caller_runs_total'), 0);
      await expectCalm(served, load);
      if (delayMs >= Math.max(50, 3 * usual.delayMs)) return `P99 of the delay ${delayMs}, usual ${usual.delayMs}`;
      if (probeMs >= Math.max(100, 3 * usual.probeMs)) return `P99 of a probe ${probeMs}, usual ${usual.probeMs}`;
      return '';
    };
    // What else the machine does for a while is not there each time, a loop that overload keeps busy is.
    let problem = await free();
    for (let again = 0; problem !== '' && again < AGAIN_MAX; again++) problem = await free();
    assert.equal(problem, '');
  });
}

test('ten times more than the pool can do, without waiting for answers', async (t) => {
  const served = await serve('uws', { workers: 1, maxConcurrent: 8, queueSize: 20, requestTimeoutMs: 10_000 });
  const load = new Load(served.url);
  t.after(() => {
    load.close();
    return served.close();
  });
  const aloneMs = 700;
  const alone = await load.closedLoop(8, aloneMs, 'spin', SPIN);
  assert.ok(alone.every(({ status }) => status === 200));
  const capacity = (alone.length * 1000) / aloneMs;
  const overloadMs = 2000;
  const begun = performance.now();
  const outcomes = await load.openLoop(capacity * 10, overloadMs, 'spin', SPIN);
  const tookMs = performance.now() - begun;
  const done = outcomes.filter(({ status }) => status === 200);
  const refused = outcomes.filter(({ status }) => status !== 200);
  assert.ok(refused.length > outcomes.length / 2, `${refused.length} of ${outcomes.length} refused`);
  expectRefusals(refused);
  const goodput = (done.length * 1000) / tookMs;
  // Both are as late as this thread is, which is the client too; what is refused waits for nothing else.
  const [median, accepted] = [medianOf(refused), medianOf(done)];
  assert.ok(median < Math.max(50, accepted), `median of refusals: ${median} ms, of accepted calls ${accepted} ms`);
  await expectCalm(served, load);
  const after = await load.closedLoop(8, aloneMs, 'spin', SPIN);
  assert.ok(after.every(({ status }) => status === 200));
  // The machine may have had more to do for others meanwhile.
  const least = Math.min(capacity, (after.length * 1000) / aloneMs);
  assert.ok(goodput > least * 0.5, `goodput ${goodput}/s, capacity ${least}/s`);
});

test('a principal that floods is refused, nine polite ones never are', async (t) => {
  const names = ['flood', ...Array.from({ length: 9 }, (_, i) => `polite-${i}`)];
  const tokens = names.map((id) => ({ id, token: `${id}-0123456789abcdef` }));
  const served = await serve('node', {
    workers: 1,
    maxConcurrent: 4,
    queueSize: 40,
    requestTimeoutMs: 10_000,
    auth: { tokens },
  });
  const loads = tokens.map(({ token }) => new Load(served.url, { authorization: `Bearer ${token}` }));
  t.after(() => {
    for (const load of loads) load.close();
    return served.close();
  });
  const [flooding, ...polite] = loads as [Load, ...Load[]];
  // Three times what the worker can do; more would only keep this process, which is also the client, busy.
  let isOver = false;
  const flood = flooding.openLoop(600, 60_000, 'spin', '{"ms":5}', () => isOver);
  const calls = polite.map((load) => load.closedLoop(1, 1500, 'spin', '{"ms":5}', CALLS_MIN));
  const outcomes = (await Promise.all(calls)).flat();
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
  const [waited, inFlood] = [medianOf(outcomes), medianOf(flooded.filter(({ status }) => status === 200))];
  assert.ok(waited < inFlood, `median of polite calls: ${waited} ms, of the flood's ${inFlood} ms`);
});
