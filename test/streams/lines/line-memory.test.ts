/** Memory of lines: chunks of a task share blocks, which come again when the last holder has let go, and not before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LineBuffer } from '../../../src/streams/lines/line-buffer.ts';
import {
  apart,
  FREE_BYTES_MAX,
  LineMemory,
  LineRooms,
  LineSpace,
  OWN_BYTES_MAX,
} from '../../../src/streams/lines/line-memory.ts';

const LONG = 2 * OWN_BYTES_MAX;

function linesOf(letter: string, length: number): LineBuffer {
  const lines = new LineBuffer();
  lines.text(letter.repeat(length));
  return lines;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

test('long chunks of a task lie side by side in its block, short ones have memory of their own', () => {
  const space = new LineSpace([new LineMemory().block(4 * LONG)]);
  const buffer = linesOf('a', LONG);
  const [a, b] = [space.put(buffer), space.put(linesOf('b', LONG + 1))];
  const short = space.put(linesOf('c', OWN_BYTES_MAX - 1));
  assert.equal(buffer.at, 0);
  assert.equal(a.buffer, b.buffer);
  assert.ok(a.buffer instanceof SharedArrayBuffer);
  assert.ok(short.buffer instanceof ArrayBuffer);
  assert.deepEqual([a, b, short].map(textOf), ['a'.repeat(LONG), 'b'.repeat(LONG + 1), 'c'.repeat(OWN_BYTES_MAX - 1)]);
});

test('what does not fit begins another block, and what is longer than any has one of its own', () => {
  const memory = new LineMemory();
  const room = memory.block(1);
  const space = new LineSpace([room]);
  const chunks = [room.byteLength - 8, LONG, 20 * 2 ** 20].map((length, i) => space.put(linesOf(`${i}`, length)));
  assert.equal(chunks[0]?.buffer, room);
  assert.equal(new Set(chunks.map(({ buffer }) => buffer)).size, 3);
  for (const [i, chunk] of chunks.entries()) assert.ok(chunk.every((byte) => byte === 48 + i));
  for (const chunk of chunks) memory.hold(chunk);
  for (const chunk of chunks) memory.release(chunk);
  // The longest is not kept.
  assert.ok(memory.freeBytes < 2 ** 20, `${memory.freeBytes}`);
});

test('a block comes again when all that hold chunks of it have let go', () => {
  const memory = new LineMemory();
  const block = memory.block(LONG);
  const space = new LineSpace([block]);
  const [a, b] = [space.put(linesOf('a', LONG)), space.put(linesOf('b', LONG))];
  for (const chunk of [a, b, a]) memory.hold(chunk);
  memory.release(a);
  memory.release(b);
  assert.equal(memory.freeBytes, 0);
  assert.notEqual(memory.block(LONG), block);
  memory.release(a);
  assert.equal(memory.freeBytes, block.byteLength);
  assert.equal(memory.block(LONG), block);
  assert.equal(memory.freeBytes, 0);
});

test('chunks that nobody held, and lines in other memory, change nothing', () => {
  const memory = new LineMemory();
  const own = new Uint8Array(OWN_BYTES_MAX);
  memory.hold(own);
  memory.release(own);
  memory.release(new LineSpace([]).put(linesOf('a', LONG)));
  assert.equal(memory.freeBytes, 0);
});

test('no more than so much waits to be written again', () => {
  const memory = new LineMemory();
  const blocks = Array.from({ length: 40 }, () => memory.block(2 ** 20));
  for (const block of blocks) memory.hold(new Uint8Array(block));
  for (const block of blocks) memory.release(new Uint8Array(block));
  assert.equal(memory.freeBytes, FREE_BYTES_MAX);
});

test('a chunk of an operator that has little of a block is copied, others are not', () => {
  const space = new LineSpace([new LineMemory().block(64 * LONG)]);
  const chunk = (operator: number, count: number): { operator: number; lines: Uint8Array } => ({
    operator,
    lines: space.put(linesOf(`${operator}`, count * LONG)),
  });
  const given = [chunk(0, 1), chunk(1, 20), chunk(0, 1), chunk(1, 8)];
  const taken = apart(given);
  assert.deepEqual(
    taken.map(({ lines }) => lines.buffer instanceof SharedArrayBuffer),
    [false, true, false, true],
  );
  assert.deepEqual(
    taken.map(({ lines }) => textOf(lines)),
    given.map(({ lines }) => textOf(lines)),
  );
});

test('lines are written in the block itself, one writer at a time, and copied when they grow past its end', () => {
  const room = new SharedArrayBuffer(2 ** 16);
  const space = new LineSpace([room]);
  const first = space.lines();
  const other = space.lines();
  assert.equal(first.bytes.buffer, room);
  assert.notEqual(other.bytes.buffer, room);
  first.text('a'.repeat(LONG));
  other.text('b'.repeat(LONG));
  const chunks = [space.put(first), space.put(other)];
  assert.deepEqual(
    chunks.map(({ buffer }) => buffer === room),
    [true, true],
  );
  const long = space.lines();
  long.text('c'.repeat(room.byteLength));
  chunks.push(space.put(long));
  assert.notEqual(chunks[2]?.buffer, room);
  assert.deepEqual(chunks.map(textOf), ['a'.repeat(LONG), 'b'.repeat(LONG), 'c'.repeat(room.byteLength)]);
  assert.equal(space.roomsLeft, 0);
});

test('rooms are used in their order, and those that hold nothing are told', () => {
  const rooms = Array.from({ length: 3 }, () => new SharedArrayBuffer(2 ** 16));
  const space = new LineSpace(rooms);
  assert.equal(space.roomsLeft, 3);
  const short = space.lines();
  short.text('short');
  assert.equal(textOf(space.put(short)), 'short');
  assert.equal(space.roomsLeft, 3);
  for (const letter of 'ab') {
    const lines = space.lines();
    lines.text(letter.repeat(2 ** 15 + 2 ** 14 + 2 ** 13));
    assert.equal(space.put(lines).buffer, rooms['ab'.indexOf(letter)]);
  }
  assert.equal(space.roomsLeft, 1);
});

test('whoever writes, however much and in whatever order they end, finds what it wrote, and nobody else', () => {
  const writes = fc.array(fc.record({ writer: fc.nat({ max: 2 }), kib: fc.nat({ max: 40 }), ends: fc.boolean() }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(writes, fc.nat({ max: 3 }), (steps, count) => {
      const space = new LineSpace(Array.from({ length: count }, () => new SharedArrayBuffer(2 ** 17)));
      const open = new Map<number, { lines: LineBuffer; text: string }>();
      const ended: { bytes: Uint8Array; text: string }[] = [];
      for (const [i, { ends, kib, writer }] of steps.entries()) {
        const own = open.get(writer) ?? { lines: space.lines(), text: '' };
        open.set(writer, own);
        const text = String.fromCharCode(97 + (i % 26)).repeat(1024 * kib + i);
        own.lines.text(text);
        own.text += text;
        if (!ends) continue;
        ended.push({ bytes: space.put(own.lines), text: own.text });
        open.delete(writer);
      }
      for (const { bytes, text } of ended) assert.ok(textOf(bytes) === text);
    }),
    { numRuns: 200 },
  );
});

test('tasks get room for about what the last ones gave, and give back what they did not need', () => {
  const memory = new LineMemory();
  const rooms = new LineRooms(memory);
  assert.deepEqual(rooms.take(), []);
  rooms.used([], 0, [{ lines: new Uint8Array(new SharedArrayBuffer(20 * 2 ** 20)) }]);
  const taken = rooms.take();
  assert.ok(taken.reduce((sum, { byteLength }) => sum + byteLength, 0) >= 20 * 2 ** 20);
  rooms.used(taken, taken.length - 1, []);
  assert.equal(
    memory.freeBytes,
    taken.slice(1).reduce((sum, { byteLength }) => sum + byteLength, 0),
  );
  for (let i = 0; i < 200; i++) rooms.used([], 0, [{ lines: new Uint8Array(10) }]);
  assert.deepEqual(rooms.take(), []);
});
