/**
 * Runs a load job with autocannon: an independent client, for figures the own client should not be alone with.
 *
 * Role: autocannon sends and parses; each request is timed and accounted for here, by the events of its connections.
 * Its own summary counts whole milliseconds, and neither the requests that a server dropped nor those that it never
 * answered; the latencies of its `response` events are those of the request before once one was dropped.
 * Its rate is no open loop: every connection sends its share of a second as fast as answers come and then waits for the
 * second to end. So a rate here is corrected with the expected interval, and open-loop scenarios use the own client.
 */
import { setTimeout as wait } from 'node:timers/promises';
import autocannon from 'autocannon';
import { pauseUnless } from '../../src/waiting.ts';
import { goodBody } from './good-answer.ts';
import { type LoadGroup, type LoadJob, type LoadReport, STOPPED_EARLY } from './job.ts';
import { Tally } from './tally.ts';

const SAMPLE_MS = 100;
/** It is ended by hand: it counts whole seconds, and ends when it next takes a sample. */
const LONGER_S = 600;
const DRAIN_PAUSE_MS = 5;

/** Why this job is none for autocannon; null: it is. */
export function autocannonRefuses(groups: readonly LoadGroup[]): string | null {
  const [group, another] = groups;
  if (group === undefined || another !== undefined) return 'autocannon runs one group of requests';
  if (group.transport !== 'http') return 'autocannon has no WebSocket';
  if (group.pieceBytes > 0 || group.thinkMs > 0) return 'autocannon sends whole requests without a pause';
  if (!Number.isInteger(group.ratePerSecond)) return 'autocannon sends a whole number of requests in a second';
  return null;
}

export async function runAutocannon(job: LoadJob, measuring: () => void, stopped: AbortSignal): Promise<LoadReport> {
  const group = job.groups[0] as LoadGroup;
  const tally = new Tally(goodBody(group), job.durationMs);
  const shootFor = (ms: number, drains: boolean): Promise<number> => {
    return shoot(job.url, group, ms, new Answers(tally, group), drains, stopped);
  };
  // Nothing counts before the tally begins.
  if (job.warmupMs > 0) await shootFor(job.warmupMs, false);
  if (stopped.aborted) throw new Error(STOPPED_EARLY);
  tally.begin(performance.now());
  measuring();
  const elapsedMs = await shootFor(job.durationMs, true);
  return { elapsedMs, groups: [tally.report(group.name, elapsedMs, group.ratePerSecond > 0 ? 0 : group.connections)] };
}

/** Resolves with how long it lasted. `drains`: what is on its way at the end is waited for. */
async function shoot(
  url: string,
  group: LoadGroup,
  ms: number,
  answers: Answers,
  drains: boolean,
  stopped: AbortSignal,
): Promise<number> {
  let next = 0;
  let stop = (): void => undefined;
  const options: autocannon.Options = {
    url,
    method: 'POST',
    connections: connectionsOf(group),
    duration: Math.ceil(ms / 1000) + LONGER_S,
    timeout: LONGER_S,
    sampleInt: SAMPLE_MS,
    ...(group.ratePerSecond > 0 ? { overallRate: group.ratePerSecond } : {}),
    setupClient: (client) => {
      const request = group.requests[next++ % group.requests.length];
      if (request !== undefined) client.setHeadersAndBody({ ...request.headers }, request.body);
      answers.follow(client);
    },
    // Called right after the `response` event of the same answer.
    verifyBody: (body) => answers.count(Buffer.from(String(body))),
  };
  const beganMs = performance.now();
  const ended = new Promise<void>((resolve, reject) => {
    const instance = autocannon(options, (error: unknown) => (error === null ? resolve() : reject(error)));
    stop = () => instance.stop();
  });
  await pauseUnless(stopped, ms);
  const elapsedMs = performance.now() - beganMs;
  if (drains) await answers.end(stopped);
  stop();
  await ended;
  return elapsedMs;
}

/** At a rate it opens no more than one a second for each. */
function connectionsOf({ connections, ratePerSecond }: LoadGroup): number {
  return ratePerSecond > 0 ? Math.min(connections, ratePerSecond) : connections;
}

/** What one connection has on its way: one request at most. */
interface OnTheWay {
  isWaiting: boolean;
  sentMs: number;
  /** The server said that it will close the connection, which autocannon does not hear. */
  closes: boolean;
  /** Sent since the bytes came that are being read: they hold no answer to it. */
  isFresh: boolean;
  /** Sends no more. */
  readonly leave: () => void;
}

interface LastAnswer {
  readonly us: number;
  readonly atMs: number;
  readonly status: number;
  readonly counts: boolean;
}

class Answers {
  readonly #tally: Tally;
  readonly #isGood: (body: Buffer) => boolean;
  readonly #intervalUs: number;
  readonly #connections: OnTheWay[] = [];
  /** Null while it goes on. */
  #endedMs: number | null = null;
  /** Whose body comes next. */
  #last: LastAnswer | null = null;

  constructor(tally: Tally, group: LoadGroup) {
    this.#tally = tally;
    this.#isGood = goodBody(group);
    this.#intervalUs = group.ratePerSecond > 0 ? (1_000_000 * connectionsOf(group)) / group.ratePerSecond : 0;
  }

  follow(client: autocannon.Client): void {
    // The declarations do not have all that is used here.
    const events: NodeJS.EventEmitter = client;
    const { destroy } = client as unknown as { destroy(): void };
    const leave = (): void => destroy.call(client);
    const one: OnTheWay = { isWaiting: false, sentMs: 0, closes: false, isFresh: false, leave };
    this.#connections.push(one);
    events.on('request', () => this.#sent(one));
    events.on('headers', ({ shouldKeepAlive }: { readonly shouldKeepAlive: boolean }) => {
      one.closes = !shouldKeepAlive;
    });
    events.on('response', (status: number) => this.#answered(one, status));
    events.on('connError', (error: unknown) => this.#lost(one, String(error)));
  }

  /** The last answer's. */
  count(body: Buffer): true {
    const last = this.#last;
    this.#last = null;
    if (last !== null) {
      const wrongBody = this.#isGood(body) ? null : body.toString();
      this.#tally.took(last.us, last.atMs, last.status, wrongBody, this.#intervalUs, last.counts);
    }
    return true;
  }

  /** Nothing new is sent; what is on its way is waited for, except where the run was stopped before its time. */
  async end(stopped: AbortSignal): Promise<void> {
    const endedMs = performance.now();
    this.#endedMs = endedMs;
    for (const one of this.#connections) if (!one.isWaiting || stopped.aborted) one.leave();
    if (stopped.aborted) return;
    const open = (): OnTheWay[] => this.#connections.filter(({ isWaiting }) => isWaiting);
    while (open().length > 0 && performance.now() < endedMs + this.#tally.drainMs && !stopped.aborted) {
      await wait(DRAIN_PAUSE_MS);
    }
    if (stopped.aborted) return;
    for (const { sentMs } of open()) this.#tally.neverAnswered(sentMs, performance.now());
  }

  #sent(one: OnTheWay): void {
    // It has connected anew, and says so by this alone.
    if (one.isWaiting) {
      if (!one.closes) this.#lost(one, 'connection closed by the server');
      one.closes = false;
    }
    one.isWaiting = this.#endedMs === null;
    one.sentMs = performance.now();
    one.isFresh = true;
    queueMicrotask(() => {
      one.isFresh = false;
    });
  }

  #answered(one: OnTheWay, status: number): void {
    if (!one.isWaiting) return;
    const atMs = performance.now();
    if (one.isFresh) this.#lost(one, 'the server sent an answer that nobody asked for');
    else this.#last = { us: (atMs - one.sentMs) * 1000, atMs, status, counts: this.#endedMs === null };
    one.isWaiting = false;
    // Not within its own event: it is about to send the next one.
    if (this.#endedMs !== null) setImmediate(one.leave);
  }

  #lost(one: OnTheWay, reason: string): void {
    if (this.#endedMs === null || one.isWaiting) this.#tally.lost(performance.now(), reason);
    one.isWaiting = false;
  }
}
