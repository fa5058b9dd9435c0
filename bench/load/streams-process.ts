/**
 * The process that holds thousands of notification streams and tells how long news take to reach them.
 *
 * Role: started by the stream scenario. An announcement is one tool call; its latency on a stream counts from just
 * before the call to when the stream's bytes were read here, so it includes this process working through all of them.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { LatencyHistogram } from '../measure/histogram.ts';
import { openSessions, resultOf } from '../wire/exchange.ts';
import { LEGACY_CALLER, MODERN_CALLER, message, sessionHeaders, toolCall } from '../wire/messages.ts';
import { getBytes, httpBytes } from '../wire/request.ts';
import { EventStream, type StreamEvents } from './event-stream.ts';
import type { FromStreams, StreamsListen, StreamsOpen, ToStreams } from './streams-job.ts';

const ANNOUNCED = 'notifications/tools/list_changed';
const OPEN_AT_ONCE = 100;
const OPEN_MS_MAX = 60_000;
const HEAR_MS_MAX = 10_000;
/** Between announcements: changes close together may be told as one. */
const PAUSE_MS = 100;

class Streams implements StreamEvents {
  readonly #all: EventStream[] = [];
  readonly histogram = new LatencyHistogram();
  #open = 0;
  #heard = 0;
  #startMs = 0;
  problem = '';
  #whenMore: () => void = () => undefined;

  async open({ count, kind, url }: StreamsOpen): Promise<number> {
    const { hostname, port } = new URL(url);
    for (let opened = 0; opened < count; opened += OPEN_AT_ONCE) {
      const heads = await headsFor(url, kind, Math.min(OPEN_AT_ONCE, count - opened), this.#all.length);
      const wanted = this.#all.length + heads.length;
      for (const head of heads) this.#all.push(new EventStream(hostname, Number(port), head, ANNOUNCED, this));
      await this.#until(() => this.#open >= wanted || this.problem !== '', OPEN_MS_MAX);
      if (this.problem !== '') break;
    }
    return this.#open;
  }

  /** Calls the tool; resolves when every stream has heard of it, or with how many have not. */
  async announce(url: string): Promise<number> {
    this.#heard = 0;
    this.#startMs = performance.now();
    // A call that fails is told at once: nobody will hear of it.
    await Promise.all([
      resultOf(url, toolCall(MODERN_CALLER, 'announce', {}, 1)),
      this.#until(() => this.#heard >= this.#open, HEAR_MS_MAX),
    ]);
    return Math.max(0, this.#open - this.#heard);
  }

  opened(): void {
    this.#open++;
    this.#whenMore();
  }

  heard(_stream: EventStream, atMs: number): void {
    this.#heard++;
    if (this.#startMs > 0) this.histogram.record((atMs - this.#startMs) * 1000);
    this.#whenMore();
  }

  ended(_stream: EventStream, reason: string): void {
    if (this.problem === '') this.problem = reason;
    this.#whenMore();
  }

  close(): void {
    for (const stream of this.#all) stream.close();
  }

  async #until(condition: () => boolean, msMax: number): Promise<void> {
    const tooLate = wait(msMax, 'late', { ref: false });
    while (!condition()) {
      const more = new Promise<string>((resolve) => {
        this.#whenMore = () => resolve('more');
      });
      if ((await Promise.race([more, tooLate])) === 'late') return;
    }
  }
}

/** The bytes that open each stream. */
async function headsFor(url: string, kind: StreamsOpen['kind'], count: number, before: number): Promise<Buffer[]> {
  if (kind === 'listen') {
    const params = { notifications: { toolsListChanged: true } };
    return Array.from({ length: count }, (_, i) => {
      return httpBytes(new URL(url), message(MODERN_CALLER, 'subscriptions/listen', params, before + i + 1, ''));
    });
  }
  const callers = await openSessions(url, LEGACY_CALLER, count);
  return callers.map((caller) => getBytes(new URL(url), { ...sessionHeaders(caller), accept: 'text/event-stream' }));
}

const streams = new Streams();

function tell(message: FromStreams): void {
  process.send?.(message);
}

async function listen({ times, url }: StreamsListen): Promise<void> {
  let missing = 0;
  for (let i = 0; i < times; i++) {
    missing += await streams.announce(url);
    await wait(PAUSE_MS);
  }
  tell({ is: 'heard', histogram: streams.histogram.encode(), missing, problem: streams.problem });
}

async function receive(told: ToStreams): Promise<void> {
  if (told.do === 'open') {
    const open = await streams.open(told);
    tell({ is: 'opened', open, problem: streams.problem });
  } else if (told.do === 'listen') await listen(told);
  else {
    streams.close();
    process.disconnect();
  }
}

process.on('message', (message) => {
  receive(message as ToStreams).catch((error: unknown) => {
    tell({ is: 'failed', reason: error instanceof Error ? error.message : String(error) });
  });
});
// The harness decides when this process ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit());
