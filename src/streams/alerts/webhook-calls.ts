/**
 * Webhook calls of alerts on their way: at least once, in order per URL, under the alert's id.
 *
 * Role: beside the book that decides who is told. What was not taken yet is part of a checkpoint (`pending`), and what
 * follows from the log after it comes again with the replay; the receiver tells repetitions by `Idempotency-Key`.
 * A call is repeated until it is taken or refused for good (`webhook.ts`), each URL by itself: one that is away holds up
 * no other, nor the streams.
 * Bounds: `CALLS_PENDING_MAX` per URL, of `BYTES_PENDING_MAX` as JSON, for results may be as large as a body; past either the
 * oldest that wait are given up, the newest never. What no receiver has taken is counted, and said so in the log.
 */
import type { Log } from '../../observe/port.ts';
import { Changes, pauseUnless } from '../../waiting.ts';
import type { RaisedAlert } from '../engine/port.ts';
import { callWebhook } from './webhook.ts';

export const CALLS_PENDING_MAX = 1000;
export const BYTES_PENDING_MAX = 16 * 1024 * 1024;
const RETRY_MS = 200;
const RETRY_MS_MAX = 10_000;
/** Longer than this no receiver is left alone. */
const RETRY_AFTER_MS_MAX = 60_000;

export interface WebhookCall {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly alert: RaisedAlert;
}

interface Queue {
  /** The first one is being called. */
  readonly calls: { readonly call: WebhookCall; readonly bytes: number }[];
  /** Of those behind the first one. */
  waitingBytes: number;
}

export class WebhookCalls {
  readonly #log: Pick<Log, 'warn'>;
  /** By URL: as many as the plans have had. */
  readonly #queues = new Map<string, Queue>();
  /** Calls that were given up or refused for good, by stream. */
  readonly #lost = new Map<string, number>();
  /** URLs whose newest call was not taken. */
  readonly #failing = new Set<string>();
  readonly #abort = new AbortController();
  readonly #changes = new Changes();

  constructor(log: Pick<Log, 'warn'>) {
    this.#log = log;
  }

  push(call: WebhookCall): void {
    const { alert, url } = call;
    const bytes = Buffer.byteLength(JSON.stringify(alert));
    const queue = this.#queues.get(url);
    if (queue === undefined) {
      this.#queues.set(url, { calls: [{ call, bytes }], waitingBytes: 0 });
      void this.#run(url);
      return;
    }
    queue.calls.push({ call, bytes });
    queue.waitingBytes += bytes;
    this.#keepToLimit(queue);
  }

  #keepToLimit(queue: Queue): void {
    const { calls } = queue;
    // One is being called, and the newest may be larger than all are to be.
    while (calls.length > 2 && (calls.length > CALLS_PENDING_MAX || queue.waitingBytes > BYTES_PENDING_MAX)) {
      const [given] = calls.splice(1, 1);
      if (given === undefined) return;
      queue.waitingBytes -= given.bytes;
      const { alert, url } = given.call;
      this.#lose(given.call);
      this.#log.warn({ url, alert: alert.id }, 'too many webhook calls wait: the oldest is given up');
    }
  }

  #lose({ alert: { stream } }: WebhookCall): void {
    this.#lost.set(stream, this.lost(stream) + 1);
  }

  /** Calls about alerts of this stream that no receiver has taken, nor ever will. */
  lost(stream: string): number {
    return this.#lost.get(stream) ?? 0;
  }

  /** Not known to be taken. */
  pending(): readonly WebhookCall[] {
    return [...this.#queues.values()].flatMap(({ calls }) => calls.map(({ call }) => call));
  }

  /** Resolves when all is taken but what fails, at the latest after `ms`. */
  async settled(ms: number): Promise<void> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#changes.tell();
    }, ms);
    while (!isLate && [...this.#queues.keys()].some((url) => !this.#failing.has(url))) await this.#changes.next();
    clearTimeout(timer);
  }

  close(): void {
    this.#abort.abort();
    this.#queues.clear();
    this.#changes.tell();
  }

  async #run(url: string): Promise<void> {
    const queue = this.#queues.get(url) ?? { calls: [], waitingBytes: 0 };
    const { calls } = queue;
    let failures = 0;
    for (let call = calls[0]?.call; call !== undefined; call = calls[0]?.call) {
      const failure = await callWebhook(url, call.headers, call.alert.id, call.alert, this.#abort.signal);
      if (this.#abort.signal.aborted) return;
      if (failure?.retry === true) {
        failures += 1;
        this.#fail(call, failure.message, failures);
        const wanted = Math.min(RETRY_AFTER_MS_MAX, failure.retryAfterMs);
        await pauseUnless(this.#abort.signal, Math.max(wanted, Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** (failures - 1))));
        continue;
      }
      if (failure !== null) {
        const facts = { url, alert: call.alert.id, failure: failure.message };
        this.#lose(call);
        this.#log.warn(facts, 'the webhook of an alert refuses it for good');
      }
      failures = 0;
      this.#failing.delete(url);
      calls.shift();
      queue.waitingBytes -= calls[0]?.bytes ?? 0;
      this.#changes.tell();
    }
    this.#queues.delete(url);
    this.#changes.tell();
  }

  #fail({ alert, url }: WebhookCall, message: string, failures: number): void {
    this.#failing.add(url);
    this.#changes.tell();
    if (failures === 1)
      this.#log.warn({ url, alert: alert.id, failure: message }, 'the webhook of an alert is tried again');
  }
}
