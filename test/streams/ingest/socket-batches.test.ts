/**
 * Messages of a WebSocket under a key, with refusals and lost connections in any order: each counts once.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pack } from 'msgpackr';
import { StreamRefusal } from '../../../src/streams/engine/port.ts';
import { SocketBatches } from '../../../src/streams/ingest/socket-batches.ts';
import type { Accepted, IncomingBatch } from '../../../src/streams/sources/port.ts';

const HEADING = { partition: '', batchId: 'key', traceparent: '', correlationId: '', position: '' };
const TAKEN: Accepted = { accepted: 1, rejected: 0, late: 0 };

/** Remembers ids as the engine does; what it refuses leaves no trace. */
class FakeStreams {
  readonly counted: string[] = [];
  readonly ids: string[] = [];
  refuses: () => boolean = () => false;

  accept(_stream: string, _source: string, { batchId, body }: IncomingBatch): Promise<Accepted> {
    if (batchId !== '' && this.ids.includes(batchId)) {
      const isSame = this.counted[this.ids.indexOf(batchId)] === Buffer.from(body).toString();
      return isSame ? Promise.resolve(TAKEN) : Promise.reject(StreamRefusal.usedFor('this batch id'));
    }
    if (this.refuses()) return Promise.reject(new StreamRefusal('pending', 'too much waits', 5));
    this.ids.push(batchId);
    this.counted.push(Buffer.from(body).toString());
    return Promise.resolve(TAKEN);
  }
}

interface Connection {
  readonly socket: SocketBatches;
  readonly answers: Record<string, unknown>[];
  readonly closes: number[];
}

function connect(streams: FakeStreams, batchId = HEADING.batchId): Connection {
  const answers: Record<string, unknown>[] = [];
  const closes: number[] = [];
  const peer = {
    send: (text: string) => {
      answers.push(JSON.parse(text) as Record<string, unknown>);
      return true;
    },
    close: (code: number) => void closes.push(code),
  };
  const log = { error: () => assert.fail('no error is expected') };
  const heading = { ...HEADING, batchId };
  const socket = new SocketBatches({ stream: 's', heading, admission: { sender: 'me' }, streams, log }, peer as never);
  return { socket, answers, closes };
}

const text = (value: string): Buffer => Buffer.from(value);
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('after a refusal nothing more is taken by its place: it ends the connection, and all is sent again on the next', async () => {
  const streams = new FakeStreams();
  const first = connect(streams);
  first.socket.message(text('m1'));
  streams.refuses = () => true;
  first.socket.message(text('m2'));
  streams.refuses = () => false;
  // It was on its way, and keeps its place.
  first.socket.message(text('m3'));
  await settle();
  first.socket.message(text('m2'));
  await settle();
  assert.deepEqual(streams.ids, ['me|key/1', 'me|key/3']);
  assert.deepEqual(
    first.answers.map((answer) => answer['retryAfterMs']),
    [undefined, 5, undefined],
  );
  assert.deepEqual(first.closes, [1013]);
  const second = connect(streams);
  for (const message of ['m1', 'm2', 'm3']) second.socket.message(text(message));
  await settle();
  assert.deepEqual(second.answers, [TAKEN, TAKEN, TAKEN]);
  assert.deepEqual(streams.counted, ['m1', 'm3', 'm2']);
});

test('what would be refused again for good keeps its place, and the connection goes on', async () => {
  const streams = new FakeStreams();
  const { answers, closes, socket } = connect(streams);
  streams.refuses = () => {
    throw new StreamRefusal('invalid', 'not so');
  };
  socket.message(text('m1'));
  await settle();
  streams.refuses = () => false;
  socket.message(text('m2'));
  await settle();
  assert.deepEqual(answers, [{ error: 'not so', retryAfterMs: 0 }, TAKEN]);
  assert.deepEqual([streams.ids, closes], [['me|key/2'], []]);
});

test('a message with an id of its own is sent again wherever it suits, as text or MessagePack', async () => {
  const streams = new FakeStreams();
  const { answers, closes, socket } = connect(streams);
  streams.refuses = () => true;
  socket.message(text('#one\n{"k":1}'));
  await settle();
  streams.refuses = () => false;
  socket.message(text('#two\n{"k":2}'));
  socket.message(text('#one\n{"k":1}'));
  socket.binary(Buffer.concat([pack('three'), pack({ k: 3 })]));
  await settle();
  const again = connect(streams);
  again.socket.message(text('#one\n{"k":1}'));
  again.socket.binary(Buffer.concat([pack('three'), pack({ k: 3 })]));
  await settle();
  assert.deepEqual(
    answers.map((answer) => answer['retryAfterMs']),
    [5, undefined, undefined, undefined],
  );
  assert.deepEqual([closes, again.answers], [[], [TAKEN, TAKEN]]);
  assert.deepEqual(streams.ids, ['me|key/#two', 'me|key/#one', 'me|key/#three']);
  assert.deepEqual(streams.counted, ['{"k":2}', '{"k":1}', pack({ k: 3 }).toString()]);
});

test('ids need no key; those that are none are refused', async () => {
  const streams = new FakeStreams();
  const { answers, socket } = connect(streams, '');
  socket.message(text('#one\r\n{"k":1}'));
  socket.message(text('{"k":2}'));
  socket.message(text('#\n{"k":3}'));
  socket.message(text(`#${'x'.repeat(129)}\n{"k":4}`));
  socket.message(text('#no-line'));
  socket.binary(pack('x'.repeat(300)));
  await settle();
  assert.deepEqual(streams.ids, ['me|/#one', '']);
  assert.deepEqual(
    answers.map((answer) => answer['retryAfterMs']),
    [undefined, undefined, 0, 0, 0, 0],
  );
  for (const answer of answers.slice(2)) assert.match(String(answer['error']), /id of 1 to 128/);
});

test('an id, or a place, that was used for another message is told as the client named it', async () => {
  const streams = new FakeStreams();
  const { answers, socket } = connect(streams);
  socket.message(text('#one\n{"k":1}'));
  socket.message(text('#one\n{"k":2}'));
  socket.binary(Buffer.concat([pack('one'), pack({ k: 3 })]));
  socket.message(text('{"k":4}'));
  await settle();
  const again = connect(streams);
  for (let k = 1; k <= 4; k++) again.socket.message(text(`{"k":${k + 4}}`));
  await settle();
  const error = (what: string) => ({ error: `${what} was used for a batch with another body`, retryAfterMs: 0 });
  assert.deepEqual(answers, [TAKEN, error('the id "one"'), error('the id "one"'), TAKEN]);
  assert.deepEqual(again.answers, [TAKEN, TAKEN, TAKEN, error('message 4 of this Idempotency-Key')]);
});

test('ids that are no UTF-8 are none: two of them are not taken for one', async () => {
  const streams = new FakeStreams();
  const { answers, socket } = connect(streams);
  for (const byte of [0x80, 0x81]) socket.binary(Buffer.concat([Buffer.from([0xa2, 0x61, byte]), pack({ k: byte })]));
  await settle();
  assert.deepEqual([streams.ids, answers.map((answer) => answer['retryAfterMs'])], [[], [0, 0]]);
});

test('whatever is refused, and whenever a connection is lost, every message counts once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.infiniteStream(fc.nat(9)), async (named, numbers) => {
      const next = (): number => numbers.next().value as number;
      const streams = new FakeStreams();
      streams.refuses = () => next() < 3;
      const messages = Array.from({ length: 8 }, (_, i) => `m${i}`);
      const bodyOf = (message: string): Buffer => text(named ? `#${message}\n${message}` : message);
      for (let tries = 0; tries < 200; tries++) {
        const { answers, socket } = connect(streams);
        const sent = messages.flatMap((message) => (named && next() < 2 ? [message, message] : [message]));
        for (const message of sent) {
          socket.message(bodyOf(message));
          if (next() === 0) await settle();
        }
        if (next() < 5) socket.closed();
        await settle();
        if (answers.length === sent.length && answers.every((answer) => !('error' in answer))) break;
        socket.closed();
      }
      assert.deepEqual(streams.counted.toSorted(), messages);
    }),
    { numRuns: 200 },
  );
});
