/**
 * From event to notification: how long after the event that closes a window does a client hear that it closed.
 *
 * Role: variant of the scenario `streams`. Events come at a fixed rate with the time of sending; each is posted on its
 * schedule whether or not the last was answered. The first event of the next window closes the one before; the time runs
 * from when it should have been sent to when the update was read from a `subscriptions/listen` stream.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { EventStream } from '../load/event-stream.ts';
import { LatencyHistogram } from '../measure/histogram.ts';
import type { Sample } from '../report/model.ts';
import { ingest, startStreamServer } from '../servers/stream-server.ts';
import { MODERN_CALLER, message } from '../wire/messages.ts';
import { httpBytes } from '../wire/request.ts';
import type { Round, Variant } from './scenario.ts';

const WINDOW_MS = 50;
const EVENTS_PER_MS = 1;
const KEYS = 100;
/** Between posts: so many events are in each. */
const POST_EVERY_MS = 5;
const OPEN_MS_MAX = 5000;
/** For the last updates to arrive. */
const AFTER_MS = 500;
const UPDATED = 'notifications/resources/updated';

export function latencyVariants(): Variant[] {
  return [
    {
      name: `event to notification, ${(EVENTS_PER_MS * 1000).toLocaleString('en')} events/s`,
      role: 'millrace',
      quick: true,
      measure,
    },
  ];
}

async function measure({ plan, stopped }: Round): Promise<Sample> {
  const server = await startStreamServer({ workers: plan.workers, durability: 'memory', windowMs: WINDOW_MS });
  try {
    const { durationMs, warmupMs } = plan;
    return await server.during(stopped, (until) => latencies(server.url, warmupMs, durationMs, until));
  } finally {
    await server.end();
  }
}

async function latencies(url: string, warmupMs: number, durationMs: number, stopped: AbortSignal): Promise<Sample> {
  const closings: number[] = [];
  const histogram = new LatencyHistogram();
  let problem = '';
  let opened: () => void = () => undefined;
  const isOpen = new Promise<void>((resolve) => {
    opened = resolve;
  });
  const { hostname, port } = new URL(url);
  const stream = new EventStream(hostname, Number(port), listenRequest(url), UPDATED, {
    opened: () => opened(),
    heard: (_stream, atMs) => {
      const since = closings.shift();
      if (since !== undefined && since >= measureFromMs) histogram.record((atMs - since) * 1000);
    },
    ended: (_stream, reason) => {
      if (problem === '') problem = reason;
    },
  });
  let measureFromMs = Number.POSITIVE_INFINITY;
  await Promise.race([isOpen, wait(OPEN_MS_MAX, undefined, { signal: stopped })]);
  const beganMs = performance.now();
  measureFromMs = beganMs + warmupMs;
  const failed = await send(url, beganMs, warmupMs + durationMs, closings, stopped);
  await wait(AFTER_MS);
  stream.close();
  return {
    figures: {
      p50Us: histogram.percentileUs(50),
      p99Us: histogram.percentileUs(99),
      p999Us: histogram.percentileUs(99.9),
      failed: failed + closings.length,
    },
    curveUs: histogram.curve(),
    curveCount: histogram.count,
    intervals: [],
    client: 'own',
    problem,
  };
}

function listenRequest(url: string): Buffer {
  const params = { notifications: { resourceSubscriptions: ['stream://bench/windows/w'] } };
  return httpBytes(new URL(url), message(MODERN_CALLER, 'subscriptions/listen', params, 1, ''));
}

/** Posts on schedule; notes when the post that closes a window should have left. Resolves with posts that failed. */
async function send(
  url: string,
  beganMs: number,
  durationMs: number,
  closings: number[],
  stopped: AbortSignal,
): Promise<number> {
  const posts: Promise<void>[] = [];
  let failed = 0;
  let window = 0;
  for (let at = 0; at < durationMs && !stopped.aborted; at += POST_EVERY_MS) {
    const dueMs = beganMs + at;
    const lateMs = performance.now() - dueMs;
    if (lateMs < 0) await wait(-lateMs);
    if (Math.floor(at / WINDOW_MS) > window) {
      window = Math.floor(at / WINDOW_MS);
      closings.push(dueMs);
    }
    const post = ingest(url, eventsAt(at)).then(
      (accepted) => {
        if (accepted === 0) failed += 1;
      },
      () => {
        failed += 1;
      },
    );
    posts.push(post);
  }
  await Promise.all(posts);
  return failed;
}

function eventsAt(fromMs: number): Uint8Array<ArrayBuffer> {
  let text = '';
  for (let i = 0; i < POST_EVERY_MS * EVENTS_PER_MS; i++) {
    const ts = fromMs + Math.floor(i / EVENTS_PER_MS);
    text += `{"ts":${ts},"key":"host-${(fromMs + i) % KEYS}","value":${i}}\n`;
  }
  return Uint8Array.from(Buffer.from(text));
}
