/**
 * Results as webhook calls: one POST of a JSON array per batch, with an idempotency key made of the ids in it.
 *
 * At least once: after a crash the same results may come again, under the same ids, so that the receiver can tell.
 */
import { createHash } from 'node:crypto';
import { callWebhook } from '../alerts/webhook.ts';
import { httpUrl, optionalHeaders } from '../connector-options.ts';
import type { Sink, SinkBatch, SinkKind } from './port.ts';

const LINES_PER_CALL = 500;

export const webhookSinkKind: SinkKind = {
  type: 'webhook',
  guarantee: 'at-least-once',
  create: (options, name) => new WebhookSink(httpUrl(options, name, 'url'), optionalHeaders(options, name, 'headers')),
};

class WebhookSink implements Sink {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #abort = new AbortController();

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  open(): Promise<number> {
    return Promise.resolve(0);
  }

  async write({ lines }: SinkBatch): Promise<void> {
    for (let at = 0; at < lines.length; at += LINES_PER_CALL) {
      const results = lines.slice(at, at + LINES_PER_CALL).map((line) => JSON.parse(line) as { id: string });
      const key = createHash('sha256')
        .update(results.map(({ id }) => id).join('\n'))
        .digest('hex');
      const failure = await callWebhook(this.#url, this.#headers, key, results, this.#abort.signal);
      if (failure !== null) throw new Error(`the webhook ${this.#url} did not take results: ${failure.message}`);
    }
  }

  close(): Promise<void> {
    this.#abort.abort();
    return Promise.resolve();
  }
}
