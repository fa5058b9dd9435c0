/**
 * Webhook calls of alerts on their way: at least once, in order per URL, under the alert's id.
 *
 * Role: beside the book that decides who is told. What was not taken yet is part of a checkpoint (`pending`), and what
 * follows from the log after it comes again with the replay; the receiver tells repetitions by `Idempotency-Key`.
 * A call is repeated until it is taken or refused for good (`webhook.ts`), each URL by itself: one that is away holds up
 * no other, nor the streams.
 * Bound: `CALLS_PENDING_MAX` per URL; past it the oldest that waits is given up, and said so in the log.
 */
import type { RaisedAlert } from '../engine/port.ts';
import { callWebhook } from './webhook.ts';

export const CALLS_PENDING_MAX = 1000;
const RETRY_MS = 200;
const RETRY_MS_MAX = 10_000;
/** Longer than this no receiver is left alone. */
const RETRY_AFTER_MS_MAX = 60_000;

export interface WebhookCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly alert: RaisedAlert;
}

export class WebhookCalls {
  readonly #log: { warn(fields: object, message: string): void };
  /** By URL: as many as the plans have had. The first one is being called. */
  readonly #queues = new Map<string, WebhookCall[]>();
  /** URLs whose newest call was not taken. */
  readonly #failing = new Set<string>();
  readonly #abort = new AbortController();
  #waiters: (() => void)[] = [];

  constructor(log: { warn(fields: object, message: string): void }) {
    this.#log = log;
  }

  push(call: WebhookCall): void {
    const { url } = call;
    const queue = this.#queues.get(url);
    if (queue === undefined) {
      this.#queues.set(url, [call]);
      void this.#run(url);
      return;
    }
    queue.push(call);
    if (queue.length <= CALLS_PENDING_MAX) return;
    const [given] = queue.splice(1, 1);
    this.#log.warn({ url, alert: given?.alert.id }, 'too many webhook calls wait: the oldest is given up');
  }

  /** Not known to be taken. */
  pending(): readonly WebhookCall[] {
    return [...this.#queues.values()].flat();
  }

  /** Resolves when all is taken but what fails, at the latest after `ms`. */
  async settled(ms: number): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#changed();
    }, ms);
    while (!isLate && [...this.#queues.keys()].some((url) => !this.#failing.has(url))) await this.#change();
    clearTimeout(timer);
  }

  close(): void {
    this.#abort.abort();
    this.#queues.clear();
    this.#changed();
  }

  async #run(url: string): Promise<void> {
    const queue = this.#queues.get(url) ?? [];
    let failures = 0;
    for (let call = queue[0]; call !== undefined; call = queue[0]) {
      const failure = await callWebhook(url, call.headers, call.alert.id, call.alert, this.#abort.signal);
      if (this.#abort.signal.aborted) return;
      if (failure?.retry === true) {
        failures += 1;
        this.#fail(call, failure.message, failures);
        const wanted = Math.min(RETRY_AFTER_MS_MAX, failure.retryAfterMs);
        await pause(Math.max(wanted, Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (failures - 1))), this.#abort.signal);
        continue;
      }
      if (failure !== null) {
        const facts = { url, alert: call.alert.id, failure: failure.message };
        this.#log.warn(facts, 'the webhook of an alert refuses it for good');
      }
      failures = 0;
      this.#failing.delete(url);
      queue.shift();
      this.#changed();
    }
    this.#queues.delete(url);
    this.#changed();
  }

  #fail({ alert, url }: WebhookCall, message: string, failures: number): void {
    this.#failing.add(url);
    this.#changed();
    if (failures === 1)
      this.#log.warn({ url, alert: alert.id, failure: message }, 'the webhook of an alert is tried again');
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve);
    });
  }

  #changed(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
