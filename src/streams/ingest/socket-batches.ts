/**
 * `/streams/{stream}/events` as a WebSocket: one batch per message, one answer per message, in order.
 *
 * Messages: text is NDJSON, or a JSON array when it begins with `[`; binary is MessagePack. A message may begin with an
 * id of its own, 1 to 128 bytes of UTF-8: a line `#id` of text, a string before the maps of MessagePack.
 * Answers: `{"accepted":n,"rejected":n,"late":n}` as over HTTP, or `{"error":text,"retryAfterMs":n}`; 0 when the same
 * message would be refused again. A refused message is not kept: a sender that needs the order waits for each answer.
 * Headers of the upgrade apply to all messages. A message with an id is the batch `{Idempotency-Key}/#{id}`: sent
 * again, on this connection or another one, it counts once. With an `Idempotency-Key`, message n (from 1) without an id
 * is the batch `{key}/{n}`: a sender that lost its connection sends the same messages under the same key again. Since
 * only its place identifies such a message, once one is refused for now those behind it are refused too and the
 * connection is closed
 * (1013): sent again on the same connection it would have another place.
 * Bounds: `WINDOW` messages without an answer; one more is refused in its turn with `retryAfterMs`. That, and the
 * engine's `pendingBytesMax`, is the backpressure: a front end cannot stop reading one socket. Until a token has been
 * checked `WINDOW_UNCHECKED` messages are held.
 */
import { isUtf8 } from 'node:buffer';
import type { MessageConnection, MessagePeer } from '../../frontend/port.ts';
import type { Log } from '../../observe/port.ts';
import { isConflict, type RefusalName, STREAM_REFUSALS, StreamRefusal, type Streams } from '../engine/port.ts';
import type { WireFormat } from '../engine/task.ts';
import { type IncomingBatch, scopedBatchId } from '../sources/port.ts';

const WINDOW = 64;
const WINDOW_UNCHECKED = 16;
/** Refused ones included: who sends on without reading any answer is cut off. */
const UNANSWERED_MAX = 1024;
const RETRY_AFTER_MS = 100;
const ID_BYTES_MAX = 128;
const BRACKET = 0x5b;
const HASH = 0x23;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
/** MessagePack: a string of up to 31 bytes, one whose length is a byte, longer ones. */
const SHORT_STRING = 0xa0;
const SHORT_STRING_END = 0xc0;
const STRING_8 = 0xd9;
const STRING_32 = 0xdb;
/** WebSocket close codes. */
const POLICY = 1008;
const TRY_AGAIN_LATER = 1013;

export type Heading = Omit<IncomingBatch, 'body' | 'format'>;

type Admission = { readonly sender: string } | { readonly message: string };

export interface SocketOptions {
  readonly stream: string;
  readonly heading: Heading;
  /** Who sends, or what says so, or that the caller is refused. */
  readonly admission: Admission | Promise<Admission>;
  readonly streams: Pick<Streams, 'accept'>;
  readonly log: Pick<Log, 'error'>;
}

export class SocketBatches implements MessageConnection {
  readonly #options: SocketOptions;
  readonly #peer: MessagePeer;
  /** Resolves when the caller has been let in; never when it was not. */
  readonly #admitted: Promise<void> | null;
  #checked = false;
  #sender = '';
  #unanswered = 0;
  #received = 0;
  #gone = false;
  /** Why messages that only their place tells are not taken any more; null while they are. */
  #placesLost: StreamRefusal | null = null;
  /** The answers before this one. */
  #answers: Promise<void> = Promise.resolve();

  constructor(options: SocketOptions, peer: MessagePeer) {
    this.#options = options;
    this.#peer = peer;
    if (options.admission instanceof Promise) this.#admitted = this.#admit(options.admission);
    else {
      this.#admitted = null;
      this.#letIn(options.admission);
    }
  }

  message(bytes: Uint8Array): void {
    const { body, id } = cutText(bytes);
    this.#take(id, body, firstByte(body) === BRACKET ? 'json' : 'ndjson');
  }

  binary(bytes: Uint8Array): void {
    const { body, id } = cutBinary(bytes);
    this.#take(id, body, 'msgpack');
  }

  drained(): void {
    // Answers are small; a reader that leaves them lying is closed by the adapter.
  }

  closed(): void {
    this.#gone = true;
  }

  /** `id`: `''` for none, null when it cannot be one. */
  #take(id: string | null, bytes: Uint8Array, format: WireFormat): void {
    if (this.#gone) return;
    if (this.#unanswered >= UNANSWERED_MAX) {
      this.#gone = true;
      this.#peer.close(TRY_AGAIN_LATER, 'too many messages without an answer');
      return;
    }
    this.#received += 1;
    const byPlace = id === '' && this.#options.heading.batchId !== '';
    const batchId = this.#batchId(id ?? '', this.#received);
    const sentAs = byPlace ? `message ${this.#received} of this Idempotency-Key` : `the id ${JSON.stringify(id)}`;
    const outcome =
      id === null ? noId() : this.#hasRoom ? this.#accept(Buffer.from(bytes), format, batchId, byPlace) : tooMany();
    this.#unanswered += 1;
    const before = this.#answers;
    this.#answers = outcome.then(
      (accepted) => this.#answer(before, accepted),
      (error: unknown) => {
        if (byPlace) this.#losePlaces(before, error);
        return this.#answer(before, this.#refusal(isConflict(error) ? StreamRefusal.usedFor(sentAs) : error));
      },
    );
  }

  #batchId(id: string, n: number): string {
    const key = this.#options.heading.batchId;
    if (id !== '') return `${key}/#${id}`;
    return key === '' ? '' : `${key}/${n}`;
  }

  get #hasRoom(): boolean {
    return this.#unanswered < (this.#checked ? WINDOW : WINDOW_UNCHECKED);
  }

  async #accept(body: Uint8Array, format: WireFormat, batchId: string, byPlace: boolean): Promise<object> {
    const { heading, stream, streams } = this.#options;
    if (!this.#checked) await this.#admitted;
    if (this.#gone) return {};
    if (byPlace && this.#placesLost !== null) throw this.#placesLost;
    const scopedId = scopedBatchId(this.#sender, batchId);
    return streams.accept(stream, 'websocket', { ...heading, batchId: scopedId, format, body });
  }

  async #answer(before: Promise<void>, answer: object): Promise<void> {
    await before;
    this.#unanswered -= 1;
    if (!this.#gone) this.#peer.send(JSON.stringify(answer));
  }

  /** What was refused for now comes again, and on this connection not where it stood. */
  #losePlaces(before: Promise<void>, error: unknown): void {
    if (this.#placesLost !== null || !(error instanceof StreamRefusal)) return;
    if (!STREAM_REFUSALS[error.refusal].retry) return;
    const text = `an earlier message was refused (${error.message}): connect again and send all under the same key`;
    this.#placesLost = new StreamRefusal(error.refusal, text, error.retryAfterMs);
    void before.then(() => this.#end());
  }

  /** When the answers to what has come are out. */
  async #end(): Promise<void> {
    let answers: Promise<void>;
    do {
      answers = this.#answers;
      await answers;
    } while (answers !== this.#answers);
    if (!this.#gone) this.#peer.close(TRY_AGAIN_LATER, 'a message was refused: send all again');
    this.#gone = true;
  }

  #refusal(error: unknown): object {
    if (error instanceof StreamRefusal) {
      return { error: error.message, retryAfterMs: retryAfterMs(error.refusal, error.retryAfterMs) };
    }
    this.#options.log.error({ err: error }, 'events could not be accepted');
    return { error: 'internal error', retryAfterMs: 0 };
  }

  async #admit(admission: Promise<Admission>): Promise<void> {
    try {
      this.#letIn(await admission);
    } catch (cause) {
      this.#options.log.error({ err: cause }, 'authentication of a connection failed');
      this.#letIn({ message: 'authentication failed' });
    }
  }

  #letIn(admission: Admission): void {
    this.#checked = true;
    if ('sender' in admission) {
      this.#sender = admission.sender;
      return;
    }
    const close = !this.#gone;
    this.#gone = true;
    if (close) this.#peer.close(POLICY, admission.message.slice(0, 120));
  }
}

function tooMany(): Promise<never> {
  const text = `more than ${WINDOW} messages wait for an answer`;
  return Promise.reject(new StreamRefusal('pending', text, RETRY_AFTER_MS));
}

function noId(): Promise<object> {
  const error = `a message that begins with "#" or a string begins with a line, or a string, that is an id of 1 to ${ID_BYTES_MAX} bytes of UTF-8`;
  return Promise.resolve({ error, retryAfterMs: 0 });
}

interface Cut {
  readonly id: string | null;
  readonly body: Uint8Array;
}

function cutText(bytes: Uint8Array): Cut {
  if (bytes[0] !== HASH) return { id: '', body: bytes };
  const end = bytes.subarray(0, ID_BYTES_MAX + 3).indexOf(LINE_FEED);
  const idEnd = bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
  return cutAt(bytes, 1, idEnd - 1, end + 1);
}

function cutBinary(bytes: Uint8Array): Cut {
  const first = bytes[0] ?? 0;
  if (first >= SHORT_STRING && first < SHORT_STRING_END) {
    const length = first - SHORT_STRING;
    return cutAt(bytes, 1, length, 1 + length);
  }
  if (first === STRING_8) return cutAt(bytes, 2, bytes[1] ?? 0, 2 + (bytes[1] ?? 0));
  return { id: first > STRING_8 && first <= STRING_32 ? null : '', body: bytes };
}

function cutAt(bytes: Uint8Array, at: number, length: number, bodyAt: number): Cut {
  const fits = length > 0 && length <= ID_BYTES_MAX && at + length <= bytes.length;
  const id = fits ? bytes.subarray(at, at + length) : null;
  // What is no UTF-8 would become the same text as others.
  return { id: id !== null && isUtf8(id) ? Buffer.from(id).toString('utf8') : null, body: bytes.subarray(bodyAt) };
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
