/**
 * The own client's parsers: whatever the pieces in which bytes arrive, the same answers come out.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FrameParser } from '../../bench/load/frame-parser.ts';
import { ResponseParser } from '../../bench/load/response-parser.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly closes: boolean;
}

function inPieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((from, i) => bytes.subarray(from, at[i] ?? bytes.length)).filter((piece) => piece.length > 0);
}

function parse(pieces: readonly Buffer[]): Answer[] {
  const parser = new ResponseParser();
  const answers: Answer[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let look = parser.next(); look !== 'more'; look = parser.next()) {
      assert.equal(look, 'response');
      answers.push({ status: parser.status, body: parser.body.toString(), closes: parser.closes });
    }
  }
  return answers;
}

function withLength({ body, closes, status }: Answer): string {
  const close = closes ? 'Connection: close\r\n' : '';
  return `HTTP/1.1 ${status} Whatever\r\nX: y\r\n${close}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

function inChunks({ body, closes, status }: Answer): string {
  const close = closes ? 'connection: close\r\n' : '';
  const bytes = Buffer.from(body);
  const half = bytes.length >> 1;
  const chunks = [bytes.subarray(0, half), bytes.subarray(half)]
    .filter((chunk) => chunk.length > 0)
    .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk.toString('latin1')}\r\n`);
  return `HTTP/1.1 ${status} OK\r\ntransfer-encoding: chunked\r\n${close}\r\n${chunks.join('')}0\r\n\r\n`;
}

describe('response parser', () => {
  test('finds every answer, however the bytes are cut', () => {
    const answer = fc.record(
      { status: fc.constantFrom(200, 202, 404, 503), body: fc.string({ maxLength: 60 }), closes: fc.boolean() },
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(answer, fc.boolean()), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (answers, cuts) => {
          const bytes = Buffer.from(
            answers.map(([one, chunked]) => (chunked ? inChunks(one) : withLength(one))).join(''),
            'latin1',
          );
          assert.deepEqual(
            parse(inPieces(bytes, cuts)),
            answers.map(([one]) => one),
          );
        },
      ),
    );
  });

  test('knows what else HTTP allows around a body', () => {
    const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding:chunked\r\nConnection:close\r\n\r\n4\r\npong\r\n0\r\n';
    for (const text of [
      `${chunked}\r\n`,
      `${chunked}x-trailer: 1\r\ny: 2\r\n\r\n`,
      'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.0 200 OK\r\nContent-Length:4\r\n\r\npong',
    ]) {
      for (let cut = 0; cut < text.length; cut++) {
        assert.deepEqual(parse(inPieces(Buffer.from(text), [cut])), [{ status: 200, body: 'pong', closes: true }]);
      }
    }
  });

  test('takes the end of the connection for the end of a body only where it was announced', () => {
    for (const head of ['HTTP/1.0 200 OK', 'HTTP/1.1 200 OK\r\nconnection: close']) {
      const parser = new ResponseParser();
      assert.equal(parser.end(), false);
      for (const piece of [head, '\r\n\r\npo', 'ng']) {
        parser.push(Buffer.from(piece));
        assert.equal(parser.next(), 'more');
      }
      assert.equal(parser.end(), true);
      assert.deepEqual([parser.status, parser.body.toString(), parser.closes], [200, 'pong', true]);
    }
    const cutOff = new ResponseParser();
    cutOff.push(Buffer.from('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 9\r\n\r\npong'));
    assert.equal(cutOff.next(), 'more');
    assert.equal(cutOff.end(), false);
  });

  test('gives headers as they were sent, under any spelling of their name', () => {
    const parser = new ResponseParser();
    parser.push(Buffer.from('HTTP/1.1 200 OK\r\nMcp-Session-Id:  AbC \r\nContent-Length: 0\r\n\r\n'));
    assert.equal(parser.next(), 'response');
    assert.equal(parser.header('mcp-session-id'), 'AbC');
    assert.equal(parser.header('mcp-session'), '');
  });

  test('does not guess', () => {
    for (const bytes of ['SSH-2.0-x\r\n\r\n', 'HTTP/1.1 200 OK\r\nX: y\r\n\r\nbody', 'x'.repeat(70_000)]) {
      const parser = new ResponseParser();
      parser.push(Buffer.from(bytes));
      assert.equal(parser.next(), 'unreadable', bytes.slice(0, 40));
    }
  });
});

function frame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.from([0x80 | opcode, length])
      : length < 65_536
        ? Buffer.from([0x80 | opcode, 126, length >> 8, length & 255])
        : Buffer.concat([
            Buffer.from([0x80 | opcode, 127]),
            Buffer.from(BigUint64Array.of(BigInt(length)).buffer).reverse(),
          ]);
  return Buffer.concat([head, payload]);
}

describe('frame parser', () => {
  test('finds every message, however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(0, 1, 125, 126, 300, 65_535, 65_536), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        (sizes, cuts) => {
          const payloads = sizes.map((size, i) => Buffer.alloc(size, 97 + i));
          const bytes = Buffer.concat(payloads.map((payload) => frame(1, payload)));
          const parser = new FrameParser();
          const found: Buffer[] = [];
          for (const piece of inPieces(bytes, cuts)) {
            parser.push(piece);
            for (let look = parser.next(); look !== 'more'; look = parser.next()) {
              assert.equal(look, 'message');
              found.push(Buffer.from(parser.payload));
            }
          }
          assert.deepEqual(found, payloads);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('tells pings, closes and what it cannot read apart', () => {
    const parser = new FrameParser();
    const masked = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 120]);
    parser.push(
      Buffer.concat([frame(9, Buffer.alloc(2)), frame(10, Buffer.alloc(0)), frame(8, Buffer.alloc(2)), masked]),
    );
    assert.deepEqual(
      [parser.next(), parser.next(), parser.next(), parser.next()],
      ['ping', 'other', 'close', 'unreadable'],
    );
  });
});
