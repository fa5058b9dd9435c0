/**
 * Runs a load job with autocannon: an independent client, for figures the own client should not be alone with.
 *
 * Role: autocannon sends and parses; the latency of each response is taken from its `response` event, which has
 * nanoseconds in it, and not from its summary, which counts whole milliseconds. It checks the body of every answer.
 * Its rate is no open loop: every connection sends its share of a second as fast as answers come and then waits for the
 * second to end. So a rate here is corrected with the expected interval, and open-loop scenarios use the own client.
 */
import { setTimeout as wait } from 'node:timers/promises';
import autocannon from 'autocannon';
import type { LoadGroup, LoadJob, LoadReport } from './job.ts';
import { Tally } from './tally.ts';

/** Why this job is none for autocannon; null: it is. */
export function autocannonRefuses(groups: readonly LoadGroup[]): string | null {
  const [group, another] = groups;
  if (group === undefined || another !== undefined) return 'autocannon runs one group of requests';
  if (group.transport !== 'http') return 'autocannon has no WebSocket';
  if (group.pieceBytes > 0 || group.thinkMs > 0) return 'autocannon sends whole requests without a pause';
  return null;
}

export async function runAutocannon(job: LoadJob, measuring: () => void, stopped: AbortSignal): Promise<LoadReport> {
  const group = job.groups[0] as LoadGroup;
  const tally = new Tally(group.contains, job.durationMs);
  if (job.warmupMs > 0) await shoot(job, group, job.warmupMs, null, stopped);
  const beganMs = performance.now();
  tally.begin(beganMs);
  measuring();
  await shoot(job, group, job.durationMs, tally, stopped);
  return { elapsedMs: performance.now() - beganMs, groups: [tally.report(group.name)] };
}

async function shoot(
  job: LoadJob,
  group: LoadGroup,
  ms: number,
  tally: Tally | null,
  stopped: AbortSignal,
): Promise<void> {
  let next = 0;
  const intervalUs = group.ratePerSecond > 0 ? (1_000_000 * group.connections) / group.ratePerSecond : 0;
  const instance = autocannon({
    url: job.url,
    method: 'POST',
    connections: group.connections,
    // Ended by hand: autocannon only counts whole seconds.
    duration: Math.ceil(ms / 1000) + 1,
    ...(group.ratePerSecond > 0 ? { overallRate: group.ratePerSecond } : {}),
    setupClient: (client) => {
      const request = group.requests[next++ % group.requests.length];
      if (request !== undefined) client.setHeadersAndBody({ ...request.headers }, request.body);
    },
    verifyBody: (body) => group.contains === '' || String(body).includes(group.contains),
  });
  if (tally !== null) record(instance, tally, intervalUs);
  const ended = new Promise<void>((resolve) => void instance.on('done', () => resolve()));
  await wait(ms, undefined, { signal: stopped }).catch((error: unknown) => {
    if (!stopped.aborted) throw error;
  });
  if (tally !== null) tally.close();
  instance.stop();
  await ended;
}

function record(instance: autocannon.Instance, tally: Tally, intervalUs: number): void {
  instance.on('response', (_client, statusCode, _bytes, responseMs) => {
    tally.took(responseMs * 1000, performance.now(), statusCode, intervalUs);
  });
  instance.on('reqError', (error) => tally.lost(performance.now(), String(error)));
  // Reported after the response itself, which therefore was counted as good.
  instance.on('tick', () => undefined);
}
