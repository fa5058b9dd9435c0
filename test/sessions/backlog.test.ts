/** What waits for Redis: numbered, bounded, and never with a hole that nobody knows of. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Backlog, type PendingEvent } from '../../src/sessions/backlog.ts';
import { STANDALONE_STREAM } from '../../src/sessions/port.ts';

const LIMITS = { eventsMax: 5, eventBytesMax: 100 };

type Step =
  | { readonly do: 'say' | 'mark'; readonly stream: number; readonly bytes: number }
  | { readonly do: 'send' | 'fail' | 'shed' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom('say' as const, 'mark' as const),
      stream: fc.integer({ min: 1, max: 3 }),
      bytes: fc.nat(40),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('send' as const, 'fail' as const, 'shed' as const) }) },
);

describe('a backlog', () => {
  test('sends each number once and in order, and its sums are those of what waits', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const backlog = new Backlog(LIMITS);
        const sent: PendingEvent[] = [];
        const send = (): void => {
          sent.push(...backlog.begin(3, 60));
          backlog.sent();
        };
        for (const s of steps) {
          if (s.do === 'send') send();
          else if (s.do === 'fail') {
            backlog.begin(3, 60);
            backlog.failed(new Error('away'));
          } else if (!('stream' in s)) backlog.shed();
          else
            backlog.push(
              s.stream,
              backlog.issue(s.stream),
              s.do === 'say' ? 'm' : 'k',
              s.do === 'say' ? 'x'.repeat(s.bytes) : '',
            );
          assert.ok(backlog.bytes <= LIMITS.eventBytesMax);
          assert.ok(backlog.length <= LIMITS.eventsMax * 2 + 1);
        }
        while (!backlog.empty) send();
        assert.equal(backlog.bytes, 0);
        for (const stream of [1, 2, 3]) {
          const numbers = sent.filter(({ streamId }) => streamId === stream).map(({ sequence }) => sequence);
          assert.deepEqual(
            numbers,
            [...new Set(numbers)].sort((a, b) => a - b),
          );
        }
      }),
    );
  });

  test('resolves who waits when all that waited then is sent, and rejects when it could not be', async () => {
    const backlog = new Backlog(LIMITS);
    for (let i = 0; i < 3; i++) backlog.push(1, backlog.issue(1), 'm', 'x');
    let through = false;
    const waiting = backlog.through().then(() => (through = true));
    backlog.push(1, backlog.issue(1), 'm', 'later');
    backlog.begin(2, 100);
    backlog.sent();
    await Promise.resolve();
    assert.equal(through, false);
    backlog.begin(1, 100);
    backlog.sent();
    await waiting;
    const failing = backlog.through();
    backlog.begin(1, 100);
    backlog.failed(new Error('away'));
    await assert.rejects(failing, /away/);
    assert.equal(backlog.length, 1, 'what could not be sent waits on');
  });

  test('tells whoever waits for a place how far it has come, until nobody waits', () => {
    const backlog = new Backlog(LIMITS);
    const told: number[] = [];
    let until = 0;
    const listener = {
      stored: (place: number): boolean => {
        told.push(place);
        return place < until;
      },
    };
    const say = (): void => {
      backlog.push(1, backlog.issue(1), 'm', 'x');
      until = backlog.listen(listener);
    };
    for (let i = 0; i < 3; i++) say();
    assert.equal(until, 3);
    backlog.begin(2, 100);
    backlog.sent();
    backlog.tellStored();
    say();
    backlog.begin(9, 100);
    backlog.sent();
    backlog.tellStored();
    backlog.tellStored();
    assert.deepEqual(told, [2, 4]);
    say();
    backlog.begin(9, 100);
    backlog.failed(new Error('away'));
    backlog.waitNoMore();
    assert.equal(told.at(-1), Number.POSITIVE_INFINITY);
    assert.ok(backlog.failing);
    backlog.begin(9, 100);
    backlog.sent();
    assert.equal(backlog.failing, false);
  });

  test('numbers the standalone stream only while this node writes it, and goes on where it was', () => {
    const backlog = new Backlog(LIMITS);
    assert.throws(() => backlog.issue(STANDALONE_STREAM));
    backlog.take('1', 6);
    assert.equal(backlog.issue(STANDALONE_STREAM), 7);
    backlog.take('2', 6);
    assert.equal(backlog.issue(STANDALONE_STREAM), 8, 'what it gave out meanwhile is not given out again');
    backlog.take('3', 20);
    assert.equal(backlog.issue(STANDALONE_STREAM), 21);
    backlog.close();
    assert.throws(() => backlog.issue(STANDALONE_STREAM));
  });
});
