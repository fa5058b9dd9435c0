/**
 * `POST /streams/{stream}/events`: batches of events over HTTP, acknowledged when they are durable and applied.
 *
 * Role: from a request to `Streams.accept`. The body is never looked at here; its media type says how it is written.
 * Headers: `Idempotency-Key` (the batch id, at most 256 characters, of each sender its own: the same one again gets the
 * same answer and counts nothing twice; with another body it is refused with 422),
 * `traceparent`, `X-Correlation-Id`, `X-Partition` (source partition of the watermark; default one per stream),
 * CloudEvents in binary mode (`ce-*` headers, the body is the data; not with a media type of CloudEvents).
 * Answer: 200 `{"accepted":n,"rejected":n,"late":n}`; 4xx and 5xx `{"error":text}`, with `Retry-After` where the same
 * request may succeed later; 422 for a batch that no thread could decode, and that is kept as a dead letter.
 * `GET` and `POST /streams/{stream}/dead-letters` list and replay poison events; a page may be short, the last one is
 * empty. Upgraded, the path of events is a WebSocket: see `socket-batches.ts`.
 */
import type { HeaderPairs, HttpCall, Reply, RequestHead, UpgradeRefusal, UpgradeTicket } from '../../frontend/port.ts';
import { JSON_TYPE, refuseMethod } from '../../frontend/refusal.ts';
import type { Endpoint } from '../../frontend/router.ts';
import type { Log } from '../../observe/port.ts';
import { type DeadLetterFacts, isConflict, STREAM_REFUSALS, StreamRefusal, type Streams } from '../engine/port.ts';
import type { WireFormat } from '../engine/task.ts';
import { scopedBatchId } from '../sources/port.ts';
import { type BinaryEvent, binaryEventOf, wrapBinaryEvent } from './binary-cloud-event.ts';
import { type Heading, SocketBatches } from './socket-batches.ts';

/** Media type → how the body is written. */
export const MEDIA_TYPES: ReadonlyMap<string, WireFormat> = new Map([
  ['application/x-ndjson', 'ndjson'],
  ['application/json', 'json'],
  ['application/msgpack', 'msgpack'],
  ['application/x-msgpack', 'msgpack'],
  ['application/cloudevents+json', 'cloudevent'],
  ['application/cloudevents-batch+json', 'cloudevents-batch'],
  ['application/vnd.millrace.columns', 'columns'],
]);

const PATH = /^\/streams\/([A-Za-z_][A-Za-z0-9_-]{0,63})\/(events|dead-letters)$/;
const TEXT_MAX = 256;
const LETTERS_MAX = 100;
/** Of the letters of one page, each of which may be as large as a body. The first one is in it, whatever it has. */
const LETTERS_CHARACTERS_MAX = 4 * 1024 * 1024;
const KEY_TOO_LONG = `an Idempotency-Key has at most ${TEXT_MAX} characters`;

export interface IngestOptions {
  readonly streams: Streams;
  readonly bodyBytesMax: number;
  /** 401 or 403 with headers and text, or who sends. */
  readonly admit: (head: RequestHead) => Admission | Promise<Admission>;
  readonly log: Pick<Log, 'error'>;
}

export type Admission = Refused | Sender;

export interface Sender {
  /** Name of the principal; `''` when nobody signs. */
  readonly sender: string;
}

export interface Refused {
  readonly status: number;
  readonly message: string;
  readonly headers: HeaderPairs;
}

export class StreamEndpoint implements Required<Endpoint> {
  readonly #options: IngestOptions;

  constructor(options: IngestOptions) {
    this.#options = options;
  }

  head(head: RequestHead, reply: Reply): HttpCall | null {
    const match = PATH.exec(head.path);
    if (match === null) return answer(reply, 404, { error: 'no such path; POST /streams/{stream}/events' });
    const stream = match[1] as string;
    const admission = this.#options.admit(head);
    if (match[2] === 'dead-letters') return this.#deadLetters(stream, head, reply, admission);
    if (head.method !== 'POST') {
      refuseMethod(reply, 'POST');
      return null;
    }
    return this.#events(stream, head, reply, admission);
  }

  upgrade(head: RequestHead): UpgradeRefusal | UpgradeTicket {
    const [, stream, what] = PATH.exec(head.path) ?? [];
    if (stream === undefined || what !== 'events') return { status: 404, message: 'no such path' };
    const admission = this.#options.admit(head);
    if (isRefused(admission)) return admission;
    const heading = headingOf(head);
    if (heading === null) return { status: 400, message: KEY_TOO_LONG };
    const { log, streams } = this.#options;
    if (!streams.definitions.some(({ name }) => name === stream)) return { status: 404, message: 'no such stream' };
    return { connect: (peer) => new SocketBatches({ stream, heading, admission, streams, log }, peer) };
  }

  #events(
    stream: string,
    head: RequestHead,
    reply: Reply,
    admission: ReturnType<IngestOptions['admit']>,
  ): HttpCall | null {
    const type = head.header('content-type').split(';', 1)[0]?.trim().toLowerCase() ?? '';
    const binary = binaryEventOf(head, type);
    const format = binary === null ? MEDIA_TYPES.get(type) : 'cloudevent';
    if (format === undefined) {
      const known = [...MEDIA_TYPES.keys()].join(', ');
      return answer(reply, 415, {
        error: `content type ${JSON.stringify(type.slice(0, TEXT_MAX))} is not one of ${known}`,
      });
    }
    const coding = head.header('content-encoding').trim().toLowerCase();
    if (coding !== '' && coding !== 'identity') {
      const shown = JSON.stringify(coding.slice(0, TEXT_MAX));
      return answer(reply, 415, { error: `content encoding ${shown}: bodies are taken as they are, expected none` }, [
        ['Accept-Encoding', 'identity'],
      ]);
    }
    const heading = headingOf(head);
    if (heading === null) return answer(reply, 400, { error: KEY_TOO_LONG });
    return this.#call(reply, admission, async (bytes, { sender }) => {
      const body = binary === null ? bytes : wrapped(binary, type, bytes);
      const batchId = scopedBatchId(sender, heading.batchId);
      return this.#options.streams.accept(stream, 'http', { ...heading, batchId, format, body }).catch(underItsKey);
    });
  }

  #deadLetters(
    stream: string,
    head: RequestHead,
    reply: Reply,
    admission: ReturnType<IngestOptions['admit']>,
  ): HttpCall | null {
    const query = new URLSearchParams(head.query);
    const { streams } = this.#options;
    if (head.method === 'GET') {
      const after = (query.get('after') ?? '').slice(0, TEXT_MAX);
      return this.#call(reply, admission, async () => ({
        letters: pageOf(await streams.deadLetters(stream, after, LETTERS_MAX)),
      }));
    }
    if (head.method !== 'POST') {
      refuseMethod(reply, 'GET, POST');
      return null;
    }
    return this.#call(reply, admission, async (bytes) => {
      const { action, ids } = orderOf(bytes);
      if (action === 'replay') return streams.replayDeadLetters(stream, ids);
      return { dropped: await streams.dropDeadLetters(stream, ids) };
    });
  }

  #call(
    reply: Reply,
    admission: ReturnType<IngestOptions['admit']>,
    work: (bytes: Uint8Array, sender: Sender) => Promise<object>,
  ): HttpCall | null {
    if (isRefused(admission)) return refuse(reply, admission);
    return {
      bodyBytesMax: this.#options.bodyBytesMax,
      body: (bytes, isLent) => void this.#work(reply, admission, isLent ? Buffer.from(bytes) : bytes, work),
      aborted: () => undefined,
    };
  }

  async #work(
    reply: Reply,
    admission: Sender | Promise<Admission>,
    bytes: Uint8Array,
    work: (bytes: Uint8Array, sender: Sender) => Promise<object>,
  ): Promise<void> {
    try {
      const admitted = await admission;
      if (isRefused(admitted)) refuse(reply, admitted);
      else answer(reply, 200, await work(bytes, admitted));
    } catch (error) {
      this.#fail(reply, error);
    }
  }

  #fail(reply: Reply, error: unknown): void {
    if (error instanceof StreamRefusal) {
      const { retry, status } = STREAM_REFUSALS[error.refusal];
      const seconds = Math.max(1, Math.ceil(error.retryAfterMs / 1000));
      answer(reply, status, { error: error.message }, retry ? [['Retry-After', String(seconds)]] : []);
      return;
    }
    this.#options.log.error({ err: error }, 'events could not be accepted');
    answer(reply, 500, { error: 'internal error' });
  }
}

const isRefused = (admission: Admission | Promise<Admission>): admission is Refused => 'status' in admission;

/** What goes with every batch; null when its key is too long. Only valid while the head can be read, hence copied now. */
function headingOf(head: RequestHead): Heading | null {
  const batchId = head.header('idempotency-key');
  // Cut, two of them might become one.
  if (batchId.length > TEXT_MAX) return null;
  return {
    partition: head.header('x-partition').slice(0, TEXT_MAX),
    batchId,
    traceparent: head.header('traceparent').slice(0, TEXT_MAX),
    correlationId: head.header('x-correlation-id').slice(0, TEXT_MAX),
    position: '',
  };
}

function underItsKey(error: unknown): never {
  throw isConflict(error) ? StreamRefusal.usedFor('this Idempotency-Key') : error;
}

function wrapped(event: BinaryEvent, type: string, data: Uint8Array): Uint8Array {
  const body = wrapBinaryEvent(event, type, data);
  if (body === null)
    throw new StreamRefusal('invalid', 'the data of a CloudEvent in binary mode must be JSON in UTF-8');
  return body;
}

function pageOf(letters: readonly DeadLetterFacts[]): readonly DeadLetterFacts[] {
  let characters = 0;
  const cut = letters.findIndex(({ text }, i) => {
    characters += text.length;
    return i > 0 && characters > LETTERS_CHARACTERS_MAX;
  });
  return cut < 0 ? letters : letters.slice(0, cut);
}

function orderOf(bytes: Uint8Array): { action: 'replay' | 'drop'; ids: readonly string[] } {
  const expected = 'expected {"action":"replay"|"drop","ids":[texts]}';
  let order: unknown;
  try {
    order = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new StreamRefusal('invalid', `${expected}: ${(cause as Error).message}`);
  }
  const { action, ids } = (order ?? {}) as { action?: unknown; ids?: unknown };
  const listed = Array.isArray(ids) && ids.length <= LETTERS_MAX && ids.every((id) => typeof id === 'string');
  if ((action !== 'replay' && action !== 'drop') || !listed) throw new StreamRefusal('invalid', expected);
  return { action, ids: ids as string[] };
}

function answer(reply: Reply, status: number, body: object, headers: HeaderPairs = []): null {
  reply.send(status, JSON_TYPE, JSON.stringify(body), headers);
  return null;
}

function refuse(reply: Reply, { headers, message, status }: Refused): null {
  return answer(reply, status, { error: message }, headers);
}
