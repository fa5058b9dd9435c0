/**
 * The job board: bodies and results in shared memory, states by compare-and-swap, times that fold.
 */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import fc from 'fast-check';
import { FreeSlots, JobBoard, REQUEST_BYTES, SEQUENCE_MASK, SLOT_BYTES, STATE } from '../../src/dispatch/job-board.ts';

test('a body and its extras come back as they were, and what does not fit says so', () => {
  const board = JobBoard.create(1, 3);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: REQUEST_BYTES + 50 }),
      fc.string({ maxLength: 40 }),
      fc.nat(2),
      (body, extras, slot) => {
        const fits = board.writeBody(slot, body, extras);
        assert.equal(fits, body.length + Buffer.byteLength(extras) <= REQUEST_BYTES);
        if (!fits) return;
        const at = board.requestAt(slot);
        assert.deepEqual(Buffer.from(board.bytes.subarray(at, at + board.bodyBytes(slot))), Buffer.from(body));
        const end = at + board.bodyBytes(slot);
        assert.equal(board.bytes.utf8Slice(end, end + board.extrasBytes(slot)), Buffer.from(extras).toString());
      },
    ),
  );
});

test('the words of one slot do not touch its neighbours', () => {
  const board = JobBoard.create(2, 3);
  for (const slot of [0, 1, 2]) board.writeBody(slot, Buffer.alloc(REQUEST_BYTES, slot + 1), '');
  board.publish(1, 77, 4, 5, 123, 9);
  board.setCurrent(0, 2);
  assert.equal(board.state(0), STATE.FREE);
  assert.equal(board.state(2), STATE.FREE);
  assert.deepEqual(
    [board.entryKey(1), board.revisionIndex(1), board.flags(1), board.deadlineAt(1), board.sequence(1)],
    [77, 4, 5, 123, 9],
  );
  for (const slot of [0, 1, 2]) {
    const at = board.requestAt(slot);
    assert.ok(board.bytes.subarray(at, at + REQUEST_BYTES).every((byte) => byte === slot + 1));
  }
  assert.equal(board.current(1), -1);
});

test('only one of two wins a slot', () => {
  const board = JobBoard.create(1, 1);
  board.writeBody(0, Buffer.from('{}'), '');
  board.publish(0, 1, 4, 0, 0, 1);
  assert.equal(board.claim(0, 1), true);
  assert.equal(board.takeBack(0), false);
  assert.equal(board.state(0), STATE.RUNNING);
});

test('an old message about a slot that was taken back and assigned again wins nothing', () => {
  const board = JobBoard.create(1, 1);
  board.writeBody(0, Buffer.from('{}'), '');
  for (const sequence of [1, SEQUENCE_MASK, 0]) {
    board.publish(0, 1, 4, 0, 0, sequence);
    assert.equal(board.sequence(0), sequence);
    assert.equal(board.takeBack(0), true);
    assert.equal(board.claim(0, sequence), false);
  }
  board.publish(0, 1, 4, 0, 0, 2);
  assert.equal(board.claim(0, 1), false);
  assert.equal(board.claim(0, 2), true);
  board.finish(0, 200, 0, 0);
  assert.deepEqual([board.state(0), board.sequence(0)], [STATE.DONE, 2]);
});

test('free slots are handed out once each', () => {
  const free = new FreeSlots(4);
  const taken = [free.take(), free.take(), free.take(), free.take()];
  assert.equal(new Set(taken).size, 4);
  assert.equal(free.take(), -1);
  free.give(taken[2] as number);
  assert.equal(free.take(), taken[2]);
});

test('each slot has a place of its own, however many there are', () => {
  // Beyond 2 and 4 GiB: places are looked at, memory is not.
  const slots = 600_000;
  const board = new JobBoard(new SharedArrayBuffer(64), 1, slots);
  for (let slot = 1; slot < slots; slot++) {
    assert.equal(board.requestAt(slot) - board.requestAt(slot - 1), SLOT_BYTES);
    assert.equal(board.resultAt(slot) - board.requestAt(slot), REQUEST_BYTES);
  }
});
