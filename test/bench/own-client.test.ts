/**
 * The own load client against servers that misbehave in known ways: every request is accounted for, and a stall shows.
 */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { describe, test } from 'node:test';
import { type Connection, HttpConnection } from '../../bench/load/connection.ts';
import { closedLoop, type GroupReport, type LoadGroup } from '../../bench/load/job.ts';
import { runOwn } from '../../bench/load/own-client.ts';
import { LatencyHistogram } from '../../bench/measure/histogram.ts';
import { CURVE_PERCENTILES } from '../../bench/measure/percentiles.ts';
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

  test('requests that were due and never left have waited until the end', async () => {
    // The server stands still from the 20th request on; no connection is free for those that are due then.
    const server = await scriptedServer((res, at) => void (at < 20 && res.end('pong')));
    const report = await load(server.url, { ...group(2), ratePerSecond: 200 }, 1000);
    await server.close();
    assert.ok(report.unsent > 0 && report.good <= 20);
    const histogram = LatencyHistogram.decode(report.histogram);
    // The youngest became due as the time was over.
    assert.ok(histogram.count >= report.good + report.unsent - 1);
    // Half of them waited for longer than half the time there was.
    const waitedMs = (report.unsent * 1000) / 200;
    assert.ok(histogram.maxUs >= waitedMs * 900, `${histogram.maxUs} us of ${waitedMs} ms`);
    assert.ok(histogram.percentileUs(75) >= waitedMs * 400, `${histogram.percentileUs(75)} us of ${waitedMs} ms`);
  });

  test('requests that were never answered have waited until the end, and nothing was there in between', async () => {
    const server = await scriptedServer((res, at) => void (at < 20 && res.end('pong')));
    const report = await load(server.url, { ...group(40), ratePerSecond: 50 }, 1000);
    await server.close();
    assert.equal(report.good + report.broken + report.unsent, LatencyHistogram.decode(report.histogram).count);
    assert.ok(report.broken > 0 && report.unsent === 0, `${report.broken} broken, ${report.unsent} unsent`);
    const median = CURVE_PERCENTILES.indexOf(50);
    // More than half of 50 were waited for until the load was over, and then for 3 s.
    assert.ok((report.curveUs[median] ?? 0) > 3_000_000, `P50 ${report.curveUs[median]} us`);
    assert.ok((report.intervals.at(-1)?.atMs ?? 0) >= 800, 'until the end');
    assert.equal(report.intervals.at(-1)?.count, 0);
  });

  test('reads a body that ends with its connection', async () => {
    const stop = new AbortController();
    const server = await scriptedServer((_res, at, _body, { socket }) => {
      socket.write('HTTP/1.0 200 OK\r\n\r\n');
      socket.end('pong');
      if (at === 20) stop.abort();
    });
    const report = await loadUntil(server.url, group(2), stop);
    await server.close();
    assert.ok(report.good > 10 && report.broken === 0, report.firstProblem);
  });

  test('a stall in a closed loop counts for what its connections would have sent meanwhile', async () => {
    const stop = new AbortController();
    const server = await scriptedServer((res, at) => {
      if (at === 100) setTimeout(() => res.end('pong'), 500);
      else res.end('pong');
      if (at === 200) stop.abort();
    });
    const report = await loadUntil(server.url, group(1), stop);
    await server.close();
    // Of the answers themselves one in two hundred was slow; of the time, almost all.
    assert.ok(LatencyHistogram.decode(report.histogram).percentileUs(95) < 250_000);
    const at95 = CURVE_PERCENTILES.indexOf(95);
    assert.ok((report.curveUs[at95] ?? 0) > 300_000, `P95 ${report.curveUs[at95]} us`);
  });

  test('connects anew at once where the server announced the end of the connection', { timeout: 30_000 }, async (t) => {
    const server = await scriptedServer((res) => void res.setHeader('connection', 'close').end('pong'));
    t.after(() => server.close());
    // A pause would never end.
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let opened = 0;
    await new Promise<void>((resolve) => {
      const events = {
        opened: (connection: Connection): void => {
          opened++;
          if (opened === 3) resolve();
          else connection.send();
        },
        answered: () => undefined,
        lost: (_connection: Connection, reason: string): void => assert.fail(reason),
      };
      const connection = new HttpConnection(new URL(server.url), events, { headers: {}, body: 'ping' }, 0, 0);
      t.after(() => connection.close());
      connection.open();
    });
    assert.equal(opened, 3);
  });

  test('stops while it opens connections', { timeout: 20_000 }, async () => {
    const stop = new AbortController();
    // Takes connections, and never ends the handshake.
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      stop.abort();
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', () => resolve()));
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const job = { url, groups: [group(1)], warmupMs: 0, durationMs: ENDLESS_MS };
    await assert.rejects(runOwn(job, nothing, stop.signal), /stopped before anything was measured/);
    server.close();
  });
});
