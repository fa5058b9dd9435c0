/**
 * Runs a load job with autocannon: an independent client, for figures the own client should not be alone with.
 *
 * Role: autocannon sends and parses; the latency of each response is taken from its `response` event, which has
 * nanoseconds in it, and not from its summary, which counts whole milliseconds. It checks the body of every answer.
 * Its rate is no open loop: every connection sends its share of a second as fast as answers come and then waits for the
 * second to end. So a rate here is corrected with the expected interval, and open-loop scenarios use the own client. It
 * tells of a wrong body after the answer that had it: each answer is counted when the next one is there.
 */
import { setTimeout as wait } from 'node:timers/promises';
import autocannon from 'autocannon';
import { goodBody } from './good-answer.ts';
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
  const tally = new Tally(goodBody(group), job.durationMs);
  const answers = new Answers(tally, group);
  if (job.warmupMs > 0) await shoot(job.url, group, job.warmupMs, () => undefined, stopped);
  if (stopped.aborted) throw new Error(STOPPED_EARLY);
  const beganMs = performance.now();
  tally.begin(beganMs);
  measuring();
  await shoot(job.url, group, job.durationMs, (instance) => answers.record(instance), stopped);
  answers.count(null);
  const elapsedMs = performance.now() - beganMs;
  const closedLoop = group.ratePerSecond > 0 ? null : { elapsedMs, connections: group.connections };
  return { elapsedMs, groups: [tally.report(group.name, closedLoop)] };
}

/** `watch` is called with the instance, and answers are reported to it until `ms` are over. */
async function shoot(
  url: string,
  group: LoadGroup,
  ms: number,
  watch: (instance: autocannon.Instance) => void,
  stopped: AbortSignal,
): Promise<void> {
  const isGood = goodBody(group);
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
    verifyBody: (body) => isGood(Buffer.from(String(body))),
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

class Answers {
  readonly #tally: Tally;
  readonly #intervalUs: number;
  #last: { readonly us: number; readonly atMs: number; readonly status: number } | null = null;

  constructor(tally: Tally, { connections, ratePerSecond }: LoadGroup) {
    this.#tally = tally;
    this.#intervalUs = ratePerSecond > 0 ? (1_000_000 * connections) / ratePerSecond : 0;
  }

  record(instance: autocannon.Instance): void {
    instance.on('response', (_client, status, _bytes, responseMs) => {
      this.count(null);
      this.#last = { us: responseMs * 1000, atMs: performance.now(), status };
    });
    instance.on('reqError', (error) => this.#tally.lost(performance.now(), String(error)));
    // The declarations do not have it.
    const events: NodeJS.EventEmitter = instance;
    events.on('reqMismatch', (body: unknown) => this.count(String(body)));
  }

  /** The last answer. `wrongBody`: null when it was as it should be. */
  count(wrongBody: string | null): void {
    const last = this.#last;
    this.#last = null;
    if (last !== null) this.#tally.took(last.us, last.atMs, last.status, wrongBody, this.#intervalUs);
  }
}
