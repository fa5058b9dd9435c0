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
import { type LoadGroup, type LoadJob, type LoadReport, STOPPED_EARLY } from './job.ts';
import { Tally } from './tally.ts';

const SAMPLE_MS = 100;

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
  if (job.warmupMs > 0) await shoot(job.url, group, job.warmupMs, () => undefined, stopped);
  if (stopped.aborted) throw new Error(STOPPED_EARLY);
  const beganMs = performance.now();
  tally.begin(beganMs);
  measuring();
  await shoot(job.url, group, job.durationMs, (instance) => record(instance, tally, group), stopped);
  const elapsedMs = performance.now() - beganMs;
  return { elapsedMs, groups: [tally.report(group.name)] };
}

/** `watch` is called with the instance, and answers are reported to it until `ms` are over. */
async function shoot(
  url: string,
  group: LoadGroup,
  ms: number,
  watch: (instance: autocannon.Instance) => void,
  stopped: AbortSignal,
): Promise<void> {
  let next = 0;
  let stop = (): void => undefined;
  const options: autocannon.Options = {
    url,
    method: 'POST',
    connections: group.connections,
    // Ended by hand: it counts whole seconds, and ends when it next takes a sample.
    duration: Math.ceil(ms / 1000) + 1,
    sampleInt: SAMPLE_MS,
    ...(group.ratePerSecond > 0 ? { overallRate: group.ratePerSecond } : {}),
    setupClient: (client) => {
      const request = group.requests[next++ % group.requests.length];
      if (request !== undefined) client.setHeadersAndBody({ ...request.headers }, request.body);
    },
    verifyBody: (body) => group.contains === '' || String(body).includes(group.contains),
  };
  const ended = new Promise<void>((resolve, reject) => {
    const instance = autocannon(options, (error: unknown) => (error === null ? resolve() : reject(error)));
    watch(instance);
    stop = () => instance.stop();
  });
  await wait(ms, undefined, { signal: stopped }).catch((error: unknown) => {
    if (!stopped.aborted) throw error;
  });
  stop();
  await ended;
}

function record(instance: autocannon.Instance, tally: Tally, group: LoadGroup): void {
  const intervalUs = group.ratePerSecond > 0 ? (1_000_000 * group.connections) / group.ratePerSecond : 0;
  instance.on('response', (_client, status, _bytes, responseMs) => {
    tally.took(responseMs * 1000, performance.now(), status, intervalUs);
  });
  instance.on('reqError', (error) => tally.lost(performance.now(), String(error)));
  // Comes after the response, which by then has been counted as good. The declarations do not have it.
  const events: NodeJS.EventEmitter = instance;
  events.on('reqMismatch', (body: unknown) => tally.mismatched(performance.now(), String(body)));
}
