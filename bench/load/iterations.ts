/**
 * Users who visit: each visit is a few short sessions, one after the other, on the user's own connection.
 *
 * Role: the load of the I/O scenario. A session is `initialize` and one request. In the closed loop a user pauses between
 * visits, and latencies are of single requests. In the open loop visits are due by the clock, and latencies are of whole
 * visits from when they were due, since that is what waits when the server is behind.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { pauseUnless } from '../../src/waiting.ts';
import { httpBytes } from '../wire/request.ts';
import { type Connection, type ConnectionEvents, HttpConnection } from './connection.ts';
import { type IterationJob, type LoadReport, type SessionStep, STOPPED_EARLY } from './job.ts';
import { Tally } from './tally.ts';

const PACE_MS = 1;
const DRAIN_MS_MAX = 3000;

interface Shared {
  readonly job: IterationJob;
  readonly url: URL;
  readonly tally: Tally;
  running: boolean;
}

class User implements ConnectionEvents {
  readonly #shared: Shared;
  readonly #visit: readonly SessionStep[];
  readonly #connection: HttpConnection;
  readonly #initialize: Buffer;
  /** 0, 2, 4 …: initialize; 1, 3, 5 …: the request of the session. */
  #at = 0;
  #dueMs = 0;
  visiting = false;
  isOpen = false;

  constructor(shared: Shared, index: number) {
    const { job, url } = shared;
    const visit = job.visits[index % job.visits.length];
    if (visit === undefined) throw new Error('a user without anything to do');
    this.#shared = shared;
    this.#visit = visit;
    this.#initialize = httpBytes(url, job.initialize);
    this.#connection = new HttpConnection(url, this, job.initialize, 0, 0);
    this.#connection.open();
  }

  /** `dueMs`: when the visit should have begun. */
  begin(dueMs: number): void {
    this.#at = 0;
    this.#dueMs = dueMs;
    this.visiting = true;
    this.#send(this.#initialize);
  }

  close(): void {
    this.#connection.close();
  }

  opened(): void {
    this.isOpen = true;
    // The connection was lost on the way: the visit begins anew.
    if (this.visiting) this.begin(this.#dueMs);
  }

  answered(connection: Connection, status: number, body: Buffer): void {
    const nowMs = performance.now();
    const { job, tally } = this.#shared;
    const step = this.#visit[this.#at >> 1];
    const isOpenLoop = job.visitsPerSecond > 0;
    const contains = this.#at % 2 === 0 ? 'protocolVersion' : (step?.contains ?? '');
    const good = status === 200 && body.includes(contains);
    const sessionId = this.#connection.header('mcp-session-id');
    const last = this.#at === this.#visit.length * 2 - 1;
    if (!isOpenLoop || last || !good) {
      const startedMs = isOpenLoop ? this.#dueMs : connection.startedMs;
      tally.took((nowMs - startedMs) * 1000, nowMs, status, good || status !== 200 ? null : body.toString(), 0, true);
    }
    if (last || !good) this.#end();
    else this.#next(sessionId);
  }

  lost(_connection: Connection, reason: string): void {
    this.#shared.tally.lost(performance.now(), reason);
  }

  #next(sessionId: string): void {
    const step = this.#visit[this.#at >> 1];
    this.#at++;
    if (this.#at % 2 === 0 || step === undefined) {
      this.#send(this.#initialize);
      return;
    }
    const { headers, body } = step.request;
    const inSession = sessionId === '' ? headers : { ...headers, 'mcp-session-id': sessionId };
    this.#send(httpBytes(this.#shared.url, { headers: inSession, body }));
  }

  #end(): void {
    const { job } = this.#shared;
    this.visiting = false;
    if (job.visitsPerSecond > 0) return;
    setTimeout(() => {
      if (this.#shared.running) this.begin(performance.now());
    }, job.pauseMs);
  }

  #send(bytes: Buffer): void {
    if (!this.#connection.ready) return;
    this.#connection.startedMs = performance.now();
    this.#connection.send(bytes);
  }
}

export async function runIterations(
  job: IterationJob,
  measuring: () => void,
  stopped: AbortSignal,
): Promise<LoadReport> {
  const tally = new Tally(() => true, job.durationMs);
  const shared: Shared = { job, url: new URL(job.url), tally, running: true };
  const users = Array.from({ length: job.users }, (_, index) => new User(shared, index));
  while (users.some((user) => !user.isOpen) && !stopped.aborted) await wait(1);
  const ended = job.visitsPerSecond > 0 ? pace(shared, users) : begin(users);
  await pauseUnless(stopped, job.warmupMs);
  if (stopped.aborted) throw new Error(STOPPED_EARLY);
  const beganMs = performance.now();
  tally.begin(beganMs);
  measuring();
  await pauseUnless(stopped, job.durationMs);
  const elapsedMs = performance.now() - beganMs;
  shared.running = false;
  const { oldestMs, periodMs, unsent } = await ended;
  // Begun in time, so they count: only the open loop has any.
  const untilMs = performance.now() + DRAIN_MS_MAX;
  const isOpenLoop = job.visitsPerSecond > 0;
  while (isOpenLoop && users.some((user) => user.visiting) && performance.now() < untilMs) await wait(5);
  if (unsent > 1) tally.neverSent(unsent, oldestMs * 1000, periodMs * 1000);
  for (const user of users) user.close();
  return { elapsedMs, groups: [tally.report('visits', elapsedMs, isOpenLoop ? 0 : job.users)] };
}

/** Visits that were due and never began, and for how long the first of them was. */
interface Unsent {
  readonly unsent: number;
  readonly oldestMs: number;
  readonly periodMs: number;
}

async function begin(users: readonly User[]): Promise<Unsent> {
  for (const user of users) user.begin(performance.now());
  return { unsent: 0, oldestMs: 0, periodMs: 0 };
}

/** Begins visits when they are due and a user is free; resolves with those that had to stay away. */
async function pace(shared: Shared, users: readonly User[]): Promise<Unsent> {
  const periodMs = 1000 / shared.job.visitsPerSecond;
  const startMs = performance.now();
  let begun = 0;
  while (shared.running) {
    const due = Math.floor((performance.now() - startMs) / periodMs);
    for (const user of users) {
      if (begun >= due) break;
      if (user.visiting || !user.isOpen) continue;
      user.begin(startMs + begun * periodMs);
      begun++;
    }
    await wait(PACE_MS);
  }
  const elapsedMs = performance.now() - startMs;
  const oldestMs = elapsedMs - begun * periodMs;
  return { unsent: Math.floor(elapsedMs / periodMs) - begun, oldestMs, periodMs };
}
