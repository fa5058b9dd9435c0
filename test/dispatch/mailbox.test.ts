/**
 * Mailboxes: every entry put in is taken once and seen once, in order, across the wrap of places and counters, and
 * whatever the order of puts and looks, nothing is left lying with nobody sent for.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Mailbox, mailboxCapacity, mailboxWords } from '../../src/dispatch/mailbox.ts';

const SLOTS = 70;

function pair(): { front: Mailbox; worker: Mailbox } {
  const words = new Int32Array(new SharedArrayBuffer(4 * (5 + mailboxWords(SLOTS))));
  return { front: new Mailbox(words, 5, SLOTS), worker: new Mailbox(words, 5, SLOTS) };
}

const step = fc.constantFrom('put', 'put', 'put', 'take', 'take', 'see', 'call', 'leave');

describe('mailbox', () => {
  test('has room for every slot', () => {
    for (const slots of [1, 64, 65, 1000, 4096]) assert.ok(mailboxCapacity(slots) >= slots);
  });

  test('gives back what was put in, in order, and never more than it has room for', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 1500 }), (steps) => {
        const { front, worker } = pair();
        let put = 0;
        let taken = 0;
        let seen = 0;
        let called = false;
        for (const what of steps) {
          if (what === 'put' && front.hasRoom()) front.put(put % SLOTS, put++);
          else if (what === 'take' && called && !worker.isEmpty()) {
            assert.equal(worker.slotNext(), taken % SLOTS);
            assert.equal(worker.sequenceNext(), taken++);
            worker.take();
          } else if (what === 'see' && front.unseen() > 0) {
            assert.equal(front.slotSeen(), seen % SLOTS);
            assert.equal(front.sequenceSeen(), seen++);
            front.see();
          } else if (what === 'call') called = front.mustCall() || called;
          else if (what === 'leave' && called) called = !worker.sleep();
          assert.equal(front.unseen(), taken - seen);
          assert.ok(put - seen <= mailboxCapacity(SLOTS));
          // Whoever has gone is sent for as soon as somebody asks.
          if (!called && taken < put) {
            called = front.mustCall();
            assert.ok(called);
          }
        }
        assert.equal(front.countSeen(), seen);
        assert.equal(front.countSeen(), 0);
      }),
      { numRuns: 300 },
    );
  });

  test('sends for the worker once, and again when it has gone with work left', () => {
    const { front, worker } = pair();
    assert.equal(front.mustCall(), false);
    front.put(3, 7);
    assert.equal(front.mustCall(), true);
    assert.equal(front.mustCall(), false);
    worker.wake();
    worker.leave();
    assert.equal(front.mustCall(), true);
    worker.take();
    assert.equal(worker.sleep(), true);
    assert.equal(front.mustCall(), false);
  });

  test('keeps the worker when something came after its last look, unless another call is on its way', () => {
    const { front, worker } = pair();
    worker.wake();
    front.put(1, 1);
    assert.equal(worker.sleep(), false);
    worker.leave();
    assert.equal(front.mustCall(), true);
    assert.equal(worker.sleep(), false);
  });

  test('is empty for the thread that takes over', () => {
    const { front } = pair();
    front.put(1, 1);
    assert.equal(front.mustCall(), true);
    front.reset();
    assert.equal(front.unseen(), 0);
    assert.equal(front.mustCall(), false);
    front.put(2, 2);
    assert.equal(front.mustCall(), true);
  });
});
