/**
 * Results as webhook calls: one POST of a JSON array per batch, with an idempotency key made of the ids in it.
 *
 * At least once: after a crash the same results may come again, under the same ids, so that the receiver can tell.
 * Calls of a batch that were answered are not repeated with those that were not.
 */
import { createHash } from 'node:crypto';
import { callWebhook } from '../alerts/webhook.ts';
import { httpUrl, optionalHeaders } from '../connector-options.ts';
import { type Sink, SinkAway, type SinkBatch, type SinkKind, SinkRefusal } from './port.ts';

const LINES_PER_CALL = 500;

export const webhookSinkKind: SinkKind = {
  type: 'webhook',
  guarantee: 'at-least-once',
  options: ['url', 'headers'],
  create: (options, name) => new WebhookSink(httpUrl(options, name, 'url'), optionalHeaders(options, name, 'headers')),
};

class WebhookSink implements Sink {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #abort = new AbortController();
  /** How far the batch of this number has come, when it is given again. */
  readonly #under = { seq: -1, lines: 0, refused: 0, why: '' };

  constructor(url: string, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  open(): Promise<number> {
    return Promise.resolve(0);
  }

  async write({ lines, seq }: SinkBatch): Promise<void> {
    const under = this.#under;
    if (under.seq !== seq) Object.assign(under, { seq, lines: 0, refused: 0, why: '' });
    while (under.lines < lines.length) {
      const results = lines
        .slice(under.lines, under.lines + LINES_PER_CALL)
        .map((line) => JSON.parse(line) as { id: string });
      const key = createHash('sha256')
        .update(results.map(({ id }) => id).join('\n'))
        .digest('hex');
      const failure = await callWebhook(this.#url, this.#headers, key, results, this.#abort.signal);
      if (failure?.retry === true) {
        throw new SinkAway(`the webhook ${this.#url} did not take results: ${failure.message}`, failure.retryAfterMs);
      }
      under.lines += results.length;
      if (failure === null) continue;
      under.refused += results.length;
      under.why = failure.message;
    }
    under.seq = -1;
    if (under.refused > 0) {
      throw new SinkRefusal(`the webhook ${this.#url} refuses results: ${under.why}`, under.refused);
    }
  }

  close(): Promise<void> {
    this.#abort.abort();
    return Promise.resolve();
  }
}
