/**
 * The own load client against servers that misbehave in known ways: every request is accounted for, and a stall shows.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closedLoop, type GroupReport, type LoadGroup } from '../../bench/load/job.ts';
import { runOwn } from '../../bench/load/own-client.ts';
import { LatencyHistogram } from '../../bench/measure/histogram.ts';
import { scriptedServer } from './scripted-server.ts';

const NEVER = new AbortController().signal;
const nothing = (): void => undefined;
const AGAIN_MAX = 5;
const ENDLESS_MS = 120_000;
const ANSWERS = 100;
const group = (connections: number): LoadGroup =>
  closedLoop('test', [{ headers: { 'content-type': 'text/plain' }, body: 'ping' }], connections, 'pong');

async function load(url: string, one: LoadGroup, durationMs: number, warmupMs = 0): Promise<GroupReport> {
  const { groups } = await runOwn({ url, groups: [one], warmupMs, durationMs }, nothing, NEVER);
  return groups[0] as GroupReport;
}

/** What a machine that stands still does to a rate it does not do each time, a client that is wrong does. */
async function inTime(attempt: () => Promise<void>): Promise<void> {
  for (let again = 0; again < AGAIN_MAX; again++) {
    const failed = await attempt().then(
      () => false,
      () => true,
    );
    if (!failed) return;
  }
  await attempt();
}

/** Ends when the server stops it. */
async function loadUntil(url: string, one: LoadGroup, stop: AbortController): Promise<GroupReport> {
  const job = { url, groups: [one], warmupMs: 0, durationMs: ENDLESS_MS };
  return (await runOwn(job, nothing, stop.signal)).groups[0] as GroupReport;
}

describe('own client', () => {
  test('counts good, refused, wrong and broken apart', async () => {
    const stop = new AbortController();
    const server = await scriptedServer((res, at) => {
      const kind = at % 5;
      if (at === ANSWERS) stop.abort();
      if (kind === 1) res.writeHead(503).end('busy');
      else if (kind === 2) res.writeHead(500).end('no');
      else if (kind === 3) res.end('something else');
      else if (kind === 4) res.destroy();
      else res.end('pong');
    });
    const report = await loadUntil(server.url, group(1), stop);
    await server.close();
    const counts = [report.good, report.refused, report.broken, report.wrong / 2];
    const most = Math.max(...counts);
    assert.ok(most >= 2, `only ${counts.join()}`);
    // One connection asks in turn, so no kind can be ahead of another by more than the last round and the drops.
    for (const count of counts) assert.ok(most - count <= 1, counts.join());
    assert.match(report.firstProblem, /^500 no$/);
    assert.equal(LatencyHistogram.decode(report.histogram).count, report.good);
    assert.equal(LatencyHistogram.decode(report.refusals).count, report.refused);
  });

  test('keeps at most one request on the way per connection in the closed loop', async () => {
    let now = 0;
    let most = 0;
    const stop = new AbortController();
    const server = await scriptedServer((res, at) => {
      if (at === ANSWERS) stop.abort();
      now++;
      most = Math.max(most, now);
      setImmediate(() => {
        now--;
        res.end('pong');
      });
    });
    const report = await loadUntil(server.url, group(4), stop);
    await server.close();
    assert.ok(report.good > 10);
    assert.ok(most > 1 && most <= 4, `${most} at once`);
  });

  test('offers a rate evenly, and counts the latency of a stall from when each request was due', () =>
    inTime(async () => {
      // One connection at a time can be answered; the 20th answer takes 200 ms, so about 40 more become due meanwhile.
      const server = await scriptedServer((res, at) => {
        if (at === 20) setTimeout(() => res.end('pong'), 200);
        else res.end('pong');
      });
      const report = await load(server.url, { ...group(1), ratePerSecond: 200 }, 600);
      await server.close();
      const histogram = LatencyHistogram.decode(report.histogram);
      const slow = histogram.count * 0.2;
      // A client that only timed what it sent would have one slow answer of 120.
      assert.ok(histogram.percentileUs(100 - 20) > 20_000, `a fifth waited, P80 is ${histogram.percentileUs(80)} us`);
      assert.ok(histogram.maxUs >= 199_000);
      assert.ok(report.good + report.unsent >= 100 && report.good <= 125, `${report.good} good`);
      assert.ok(slow > 10);
    }));

  test('says what it could not send when every connection is busy', () =>
    inTime(async () => {
      const server = await scriptedServer((res) => void setTimeout(() => res.end('pong'), 100));
      const report = await load(server.url, { ...group(2), ratePerSecond: 500 }, 400);
      await server.close();
      // Two connections, ten answers a second each: about 8 of 200 leave.
      assert.ok(report.unsent > 150, `${report.unsent} unsent`);
      assert.match(report.firstProblem, /were due while every connection was busy/);
    }));

  test('leaves the warm-up out', () =>
    inTime(async () => {
      let slowest = true;
      const server = await scriptedServer((res, at) => {
        if (at === 0) setTimeout(() => res.end('pong'), 150);
        else {
          slowest = false;
          res.end('pong');
        }
      });
      const report = await load(server.url, { ...group(1), ratePerSecond: 100 }, 200, 300);
      await server.close();
      assert.equal(slowest, false);
      assert.ok(report.good >= 15 && report.good <= 22, `${report.good} good`);
    }));

  test('gives each connection its turn in the open loop', () =>
    inTime(async () => {
      const seen = new Set<number | undefined>();
      const server = await scriptedServer((res, _at, _body, req) => {
        seen.add(req.socket.remotePort);
        res.end('pong');
      });
      await load(server.url, { ...group(20), ratePerSecond: 400 }, 250);
      await server.close();
      assert.equal(seen.size, 20);
    }));

  test('ends early with what there is when it is stopped', async () => {
    const stop = new AbortController();
    const server = await scriptedServer((res, at) => {
      if (at === 50) stop.abort();
      res.end('pong');
    });
    const job = { url: server.url, groups: [group(1)], warmupMs: 0, durationMs: ENDLESS_MS };
    const report = await runOwn(job, nothing, stop.signal);
    await server.close();
    assert.ok(report.elapsedMs < ENDLESS_MS);
    assert.ok((report.groups[0]?.good ?? 0) >= 49);
  });

  test('what was on its way when it was stopped has not failed', async () => {
    const stop = new AbortController();
    const server = await scriptedServer((res, at) => {
      if (at === 20) stop.abort();
      else res.end('pong');
    });
    const groups = [{ ...group(2), ratePerSecond: 500 }];
    const report = await runOwn({ url: server.url, groups, warmupMs: 0, durationMs: ENDLESS_MS }, nothing, stop.signal);
    await server.close();
    assert.equal(report.groups[0]?.broken, 0, report.groups[0]?.firstProblem);
    // Of 21, those on the way at either end are not counted.
    assert.ok((report.groups[0]?.good ?? 0) >= 15, `${report.groups[0]?.good} good`);
  });
});
