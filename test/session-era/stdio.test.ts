/** The stdio front end: framing, bounds, backpressure and the end of either stream. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { MessageConnection, MessageHandler, MessagePeer } from '../../src/frontend/port.ts';
import { LineSplitter } from '../../src/frontend/stdio/line-splitter.ts';
import { serveStdio } from '../../src/frontend/stdio/stdio.ts';

const LIMITS = { messageBytesMax: 64, streamBufferBytesMax: 4096, drainMsMax: 60_000 };

/** What the splitter made of chunks: lines as text, `!` for one that was too long. */
function split(chunks: readonly Uint8Array[], lineBytesMax: number): string[] {
  const lines: string[] = [];
  const splitter = new LineSplitter(lineBytesMax, {
    line: (bytes) => lines.push(Buffer.from(bytes).toString('latin1')),
    oversize: () => lines.push('!'),
  });
  for (const chunk of chunks) {
    const lent = Buffer.from(chunk);
    splitter.push(lent);
    lent.fill(0x7e);
  }
  splitter.end();
  return lines;
}

describe('lines', () => {
  test('are the same however the bytes are cut into chunks', () => {
    const piece = fc.constantFrom('a', 'bc', '\n', '\r\n', '\r', '\n\n', 'x'.repeat(9), 'é');
    const text = fc.array(piece, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join('')));
    const cuts = fc.array(fc.nat(100), { maxLength: 8 });
    fc.assert(
      fc.property(text, cuts, (bytes, where) => {
        const at = [...new Set([0, ...where.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort(
          (a, b) => a - b,
        );
        const chunks = at.slice(1).map((to, i) => bytes.subarray(at[i], to));
        const expected = bytes
          .toString('latin1')
          .split('\n')
          .map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
          .filter((line) => line !== '')
          .map((line) => (line.length > 8 ? '!' : line));
        assert.deepEqual(split(chunks, 8), expected);
      }),
    );
  });

  test('too long are reported once, as soon as that is known, and the next line is read again', () => {
    const lines: string[] = [];
    const splitter = new LineSplitter(4, {
      line: (bytes) => lines.push(Buffer.from(bytes).toString()),
      oversize: () => lines.push('!'),
    });
    splitter.push(Buffer.from('abc'));
    assert.deepEqual(lines, []);
    for (let i = 0; i < 100; i++) splitter.push(Buffer.from('def'));
    assert.deepEqual(lines, ['!']);
    splitter.push(Buffer.from('tail\nok\n'));
    assert.deepEqual(lines, ['!', 'ok']);
  });
});

/** A handler that keeps what it is given. */
class FakeHandler implements MessageHandler {
  received: string[] = [];
  events: string[] = [];
  peer: MessagePeer | null = null;
  onEnded: (peer: MessagePeer) => void = (peer) => peer.close(1000, '');

  upgrade() {
    return { connect: (peer: MessagePeer) => this.#connect(peer) };
  }

  #connect(peer: MessagePeer): MessageConnection {
    this.peer = peer;
    return {
      message: (bytes) => this.received.push(Buffer.from(bytes).toString('utf8')),
      drained: () => this.events.push('drained'),
      ended: () => {
        this.events.push('ended');
        this.onEnded(peer);
      },
      closed: () => this.events.push('closed'),
    };
  }
}

/** Output of which nobody reads more than the test lets through. */
class SlowOutput extends Writable {
  text = '';
  #release: (() => void) | null = null;

  constructor() {
    super({ highWaterMark: 16 });
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString('utf8');
    this.#release = done;
  }

  /** Lets the chunk that waits go through. */
  next(): void {
    const release = this.#release;
    this.#release = null;
    release?.();
  }
}

function serve(stdout: Writable = new PassThrough()) {
  const handler = new FakeHandler();
  const stdin = new PassThrough();
  const server = serveStdio(handler, { stdin, stdout }, LIMITS);
  return { handler, stdin, stdout, server };
}

async function read(stdout: Writable): Promise<string> {
  let text = '';
  for await (const chunk of stdout as PassThrough) text += String(chunk);
  return text;
}

describe('stdio', () => {
  test('takes one message per line and writes one line per message', async () => {
    const { handler, stdin, stdout, server } = serve();
    stdin.write('{"a":1}\r\n{"b"');
    stdin.write(':"é"}\n\n{"c":3}\n');
    handler.onEnded = (peer) => {
      peer.send('{"x":1}');
      peer.send(Buffer.from('{"y":"é"}'));
      peer.close(1000, '');
      assert.equal(peer.send('late'), false);
    };
    stdin.end();
    assert.equal(await read(stdout), '{"x":1}\n{"y":"é"}\n');
    await server.done;
    assert.deepEqual(handler.received, ['{"a":1}', '{"b":"é"}', '{"c":3}']);
    assert.deepEqual(handler.events, ['ended', 'closed']);
  });

  test('writes no character that readers of lines take for an end, and says the same', async () => {
    const { handler, stdin, stdout, server } = serve();
    const message = JSON.stringify({ text: 'a\u2028b\\\u2029\u0085é' });
    handler.onEnded = (peer) => {
      for (const each of [message, Buffer.from(message), Buffer.from(`-${message}-`).subarray(1, -1)]) peer.send(each);
      peer.close(1000, '');
    };
    stdin.end();
    const lines = (await read(stdout)).trimEnd().split(/\n|\u2028|\u2029/);
    await server.done;
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [1, 2, 3].map(() => JSON.parse(message)),
    );
  });

  test('serves a last line without an end', async () => {
    const { handler, stdin, server, stdout } = serve();
    stdin.end('{"last":1}');
    stdout.on('data', () => undefined);
    await server.done;
    assert.deepEqual(handler.received, ['{"last":1}']);
  });

  test('answers a line that is too long and goes on with the next', async () => {
    const { handler, stdin, stdout } = serve();
    stdin.write(`${'x'.repeat(LIMITS.messageBytesMax + 2)}\n{"ok":1}\n`);
    stdin.end();
    const answer = JSON.parse(await read(stdout));
    assert.equal(answer.error.code, -32600);
    assert.equal('id' in answer, false);
    assert.deepEqual(handler.received, ['{"ok":1}']);
  });

  test('hands on bytes that are not UTF-8: the protocol refuses them', async () => {
    const { handler, stdin, server, stdout } = serve();
    stdout.on('data', () => undefined);
    stdin.end(Buffer.from([0x22, 0xff, 0x22, 0x0a, 0x31, 0x0a]));
    await server.done;
    assert.deepEqual(handler.received, ['"\ufffd"', '1']);
  });

  test('waits at the end of input until the protocol is through', async () => {
    const { handler, stdin, stdout, server } = serve();
    const ended = new Promise<MessagePeer>((resolve) => {
      handler.onEnded = resolve;
    });
    stdin.end('{"a":1}\n');
    const peer = await ended;
    assert.equal(peer.open, true);
    peer.send('{"answer":1}');
    peer.close(1000, '');
    assert.equal(await read(stdout), '{"answer":1}\n');
    await server.done;
  });

  test('does not wait longer than it may', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { handler, stdin, stdout, server } = serve();
    const ended = new Promise<MessagePeer>((resolve) => {
      handler.onEnded = resolve;
    });
    stdout.on('data', () => undefined);
    stdin.end();
    const peer = await ended;
    t.mock.timers.tick(LIMITS.drainMsMax - 1);
    assert.equal(peer.open, true);
    t.mock.timers.tick(1);
    assert.equal(peer.open, false);
    await server.done;
    assert.deepEqual(handler.events, ['ended', 'closed']);
  });

  test('can be closed from this side: input is over, answers go out', async () => {
    const { handler, stdin, stdout, server } = serve();
    handler.onEnded = (peer) => {
      peer.send('{"last":1}');
      peer.close(1000, '');
    };
    server.close();
    stdin.write('{"unheard":1}\n');
    assert.equal(await read(stdout), '{"last":1}\n');
    await server.done;
    assert.deepEqual(handler.received, []);
  });

  test('stops reading while its output is congested, and goes on when it drains', async () => {
    const stdout = new SlowOutput();
    const { handler, stdin } = serve(stdout);
    const { peer } = handler;
    assert.ok(peer);
    peer.send('a message longer than the high-water mark');
    assert.equal(peer.congested, true);
    assert.equal(stdin.isPaused(), true);
    stdin.write('{"later":1}\n');
    await new Promise(setImmediate);
    assert.deepEqual(handler.received, []);
    const drained = once(stdout, 'drain');
    stdout.next();
    await drained;
    assert.equal(peer.congested, false);
    if (handler.received.length === 0) await once(stdin, 'data');
    assert.deepEqual(handler.received, ['{"later":1}']);
    assert.deepEqual(handler.events, ['drained']);
    stdout.destroy();
  });

  test('keeps answers for a client that has not read yet, whatever their size', async () => {
    const { handler, stdin, stdout, server } = serve();
    const line = 'x'.repeat(LIMITS.streamBufferBytesMax * 2);
    for (let i = 0; i < 3; i++) assert.equal(handler.peer?.send(line), true);
    handler.onEnded = (peer) => peer.close(1000, '');
    stdin.end();
    const text = await read(stdout);
    assert.ok(text === `${line}\n`.repeat(3), `${text.length} characters`);
    await server.done;
  });

  test('gives up a client that reads nothing, notices past the limit', async () => {
    const stdout = new SlowOutput();
    const { handler, server } = serve(stdout);
    const line = 'x'.repeat(1000);
    let sent = 0;
    while (handler.peer?.send(line, true) === true) sent++;
    assert.equal(sent, 4);
    await server.done;
    assert.deepEqual(handler.events, ['closed']);
    assert.equal(stdout.destroyed, true);
  });

  test('ends when nobody reads its output any more', async () => {
    const { handler, stdout, server } = serve();
    stdout.destroy(new Error('EPIPE'));
    await server.done;
    assert.deepEqual(handler.events, ['closed']);
    assert.equal(handler.peer?.send('x'), false);
  });
});
