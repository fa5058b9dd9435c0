/** Who is closed for a slow body, and when, against a plain list. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ReceiveDeadlines, type Receiving } from '../../src/frontend/uws/receive-deadlines.ts';

/** Ticks after which an item has surely waited for the limit of four. */
const TICKS_TO_LIVE = 5;
const NEVER_MS = 1_000_000_000;

class Item implements Receiving {
  earlier: Receiving | null = null;
  later: Receiving | null = null;
  joinedTick = -1;
  timeouts = 0;
  /** In the model: tick of joining, or null when not waiting. */
  since: number | null = null;

  receiveTimedOut(): void {
    this.timeouts++;
  }
}

describe('receive deadlines', () => {
  test('end exactly those that waited too long, whoever else joined and left', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('join' as const), item: fc.nat(7) }),
      fc.record({ kind: fc.constant('leave' as const), item: fc.nat(7) }),
      fc.record({ kind: fc.constant('tick' as const), item: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const deadlines = new ReceiveDeadlines(NEVER_MS);
        const items = Array.from({ length: 8 }, () => new Item());
        let now = 0;
        for (const { kind, item: index } of steps) {
          const item = items[index] as Item;
          if (kind === 'join' && item.since === null) {
            deadlines.join(item);
            item.since = now;
          } else if (kind === 'leave') {
            deadlines.leave(item);
            item.since = null;
          } else if (kind === 'tick') {
            now++;
            const due = items.filter((each) => each.since !== null && now - each.since >= TICKS_TO_LIVE);
            const before = items.map((each) => each.timeouts);
            deadlines.advance();
            for (const [i, each] of items.entries()) {
              assert.equal(each.timeouts - (before[i] as number), due.includes(each) ? 1 : 0);
            }
            for (const each of due) each.since = null;
          }
          for (const each of items) assert.equal(each.joinedTick >= 0, each.since !== null);
        }
        deadlines.stop();
      }),
    );
  });
});
