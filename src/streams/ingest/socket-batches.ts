/**
 * `/streams/{stream}/events` as a WebSocket: one batch per message, one answer per message, in order.
 *
 * Messages: text is NDJSON, or a JSON array when it begins with `[`; binary is MessagePack.
 * Answers: `{"accepted":n,"rejected":n,"late":n}` as over HTTP, or `{"error":text,"retryAfterMs":n}`; 0 when the same
 * message would be refused again. A message that was refused is not held: who needs the order waits for the answers.
 * Headers of the upgrade go for all messages; with an `Idempotency-Key` message n (from 1) is the batch `{key}/{n}`, so
 * that a sender that lost its connection sends the same messages under the same key again and nothing counts twice.
 * Bounds: `WINDOW` messages without an answer; one more is refused in its turn with `retryAfterMs`. That, and the engine's
 * `pendingBytesMax`, is the backpressure: a front end cannot stop reading one socket. Until a token has been checked
 * `WINDOW_UNCHECKED` messages are held.
 */
import type { MessageConnection, MessagePeer } from '../../frontend/port.ts';
import { type RefusalName, STREAM_REFUSALS, StreamRefusal, type Streams } from '../engine/port.ts';
import type { WireFormat } from '../engine/task.ts';
import type { IncomingBatch } from '../sources/port.ts';

const WINDOW = 64;
const WINDOW_UNCHECKED = 16;
/** Refused ones included: who sends on without reading any answer is cut off. */
const UNANSWERED_MAX = 1024;
const RETRY_AFTER_MS = 100;
const BRACKET = 0x5b;
/** WebSocket close codes. */
const POLICY = 1008;
const TRY_AGAIN_LATER = 1013;

export type Heading = Omit<IncomingBatch, 'body' | 'format'>;

export interface SocketOptions {
  readonly stream: string;
  readonly heading: Heading;
  /** Resolves with the refusal of the caller, or null; null: it has been let in. */
  readonly verdict: Promise<{ readonly message: string } | null> | null;
  readonly streams: Pick<Streams, 'accept'>;
  readonly log: { error(fields: object, message: string): void };
}

export class SocketBatches implements MessageConnection {
  readonly #options: SocketOptions;
  readonly #peer: MessagePeer;
  /** Resolves when the caller has been let in; never when it was not. */
  readonly #admitted: Promise<void> | null;
  #checked: boolean;
  #unanswered = 0;
  #received = 0;
  #gone = false;
  /** The answers before this one. */
  #answers: Promise<void> = Promise.resolve();

  constructor(options: SocketOptions, peer: MessagePeer) {
    this.#options = options;
    this.#peer = peer;
    this.#checked = options.verdict === null;
    this.#admitted = options.verdict === null ? null : this.#admit(options.verdict);
  }

  message(bytes: Uint8Array): void {
    this.#take(bytes, firstByte(bytes) === BRACKET ? 'json' : 'ndjson');
  }

  binary(bytes: Uint8Array): void {
    this.#take(bytes, 'msgpack');
  }

  drained(): void {
    // Answers are small; a reader that leaves them lying is closed by the adapter.
  }

  closed(): void {
    this.#gone = true;
  }

  #take(bytes: Uint8Array, format: WireFormat): void {
    if (this.#gone) return;
    if (this.#unanswered >= UNANSWERED_MAX) {
      this.#gone = true;
      this.#peer.close(TRY_AGAIN_LATER, 'too many messages without an answer');
      return;
    }
    this.#received += 1;
    const outcome = this.#hasRoom ? this.#accept(Buffer.from(bytes), format, this.#received) : tooMany();
    this.#unanswered += 1;
    const before = this.#answers;
    this.#answers = outcome.then(
      (accepted) => this.#answer(before, accepted),
      (error: unknown) => this.#answer(before, this.#refusal(error)),
    );
  }

  get #hasRoom(): boolean {
    return this.#unanswered < (this.#checked ? WINDOW : WINDOW_UNCHECKED);
  }

  async #accept(body: Uint8Array, format: WireFormat, n: number): Promise<object> {
    const { heading, stream, streams } = this.#options;
    if (!this.#checked) await this.#admitted;
    if (this.#gone) return {};
    const batchId = heading.batchId === '' ? '' : `${heading.batchId}/${n}`;
    return streams.accept(stream, 'websocket', { ...heading, batchId, format, body });
  }

  async #answer(before: Promise<void>, answer: object): Promise<void> {
    await before;
    this.#unanswered -= 1;
    if (!this.#gone) this.#peer.send(JSON.stringify(answer));
  }

  #refusal(error: unknown): object {
    if (error instanceof StreamRefusal) {
      return { error: error.message, retryAfterMs: retryAfterMs(error.refusal, error.retryAfterMs) };
    }
    this.#options.log.error({ err: error }, 'events could not be accepted');
    return { error: 'internal error', retryAfterMs: 0 };
  }

  async #admit(verdict: NonNullable<SocketOptions['verdict']>): Promise<void> {
    let refused: { readonly message: string } | null;
    try {
      refused = await verdict;
    } catch (cause) {
      this.#options.log.error({ err: cause }, 'authentication of a connection failed');
      refused = { message: 'authentication failed' };
    }
    this.#checked = true;
    if (refused === null) return;
    const close = !this.#gone;
    this.#gone = true;
    if (close) this.#peer.close(POLICY, refused.message.slice(0, 120));
  }
}

function tooMany(): Promise<object> {
  return Promise.resolve({ error: `more than ${WINDOW} messages wait for an answer`, retryAfterMs: RETRY_AFTER_MS });
}

function retryAfterMs(refusal: RefusalName, ms: number): number {
  return STREAM_REFUSALS[refusal].retry ? Math.max(1, ms) : 0;
}

/** White space of JSON left out. */
function firstByte(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length && (bytes[at] as number) <= 0x20) at++;
  return bytes[at] ?? 0;
}
