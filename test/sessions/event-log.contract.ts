/**
 * What every event log keeps to: what follows an id is answered wholly or not at all, in order and from that stream
 * alone; whatever is refused has a reason; nothing a client sends as an id can surprise it. The sessions are `one`, `two`
 * and `s`.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeEventId } from '../../src/sessions/event-id.ts';
import { type EventLog, STANDALONE_STREAM } from '../../src/sessions/port.ts';

export type MakeEventLog = (limits: { eventsMax: number; eventBytesMax: number }) => Promise<EventLog>;

type Step =
  | { readonly do: 'append'; readonly session: string; readonly stream: number; readonly size: number }
  | { readonly do: 'mark'; readonly session: string; readonly stream: number }
  | { readonly do: 'drop'; readonly session: string }
  | { readonly do: 'after'; readonly session: string; readonly pick: number };

const session = fc.constantFrom('one', 'two');
const stream = fc.nat(3);
const append = fc.record({ do: fc.constant('append' as const), session, stream, size: fc.nat(200) });
const mark = fc.record({ do: fc.constant('mark' as const), session, stream });
const drop = fc.record({ do: fc.constant('drop' as const), session });
const after = fc.record({ do: fc.constant('after' as const), session, pick: fc.nat(20) });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: append },
  { weight: 2, arbitrary: mark },
  { weight: 1, arbitrary: drop },
  { weight: 4, arbitrary: after },
);

interface Written {
  readonly id: string;
  readonly stream: number;
  /** Null for a mark. */
  readonly message: string | null;
}

const EVENTS_MAX = 6;

async function follow(make: MakeEventLog, steps: readonly Step[]): Promise<void> {
  const log = await make({ eventsMax: EVENTS_MAX, eventBytesMax: 1 << 20 });
  const written = new Map<string, Written[]>();
  const taken = new Set<string>();
  for (const s of steps) {
    if ('stream' in s && s.stream === STANDALONE_STREAM && !taken.has(s.session)) {
      assert.equal(await log.takeStandalone(s.session, ''), true);
      taken.add(s.session);
    }
    const all = written.get(s.session) ?? [];
    written.set(s.session, all);
    if (s.do === 'drop') {
      log.drop(s.session, 'deleted');
      taken.delete(s.session);
      for (const gone of all) assert.equal(await log.after(s.session, gone.id), null);
      written.delete(s.session);
    } else if (s.do === 'append') {
      const message = `${all.length}${'x'.repeat(s.size)}`;
      all.push({ id: log.append(s.session, s.stream, message), stream: s.stream, message });
    } else if (s.do === 'mark') {
      all.push({ id: log.mark(s.session, s.stream), stream: s.stream, message: null });
    } else if (all.length > 0) {
      await checkResumption(log, s.session, all, all.length - 1 - (s.pick % all.length));
    }
    assert.equal(new Set(all.map((each) => each.id)).size, all.length, 'ids are unique in the session');
  }
}

async function checkResumption(log: EventLog, id: string, all: readonly Written[], at: number): Promise<void> {
  const from = all[at];
  assert.ok(from);
  const later = all.slice(at + 1).filter((each) => each.stream === from.stream && each.message !== null);
  const answer = await log.after(id, from.id);
  if (answer === null) {
    const messages = all.slice(at + 1).filter((each) => each.message !== null);
    const streams = new Set(all.slice(at + 1).map((each) => each.stream));
    const pushedOut = messages.length > EVENTS_MAX || streams.size > EVENTS_MAX;
    assert.ok(pushedOut, 'only what was pushed out is refused');
    return;
  }
  assert.equal(answer.streamId, from.stream);
  assert.deepEqual(
    answer.events,
    later.map((each) => ({ id: each.id, message: each.message })),
  );
}

export function eventLogContract(name: string, make: MakeEventLog): void {
  describe(`event log contract: ${name}`, () => {
    test('answers wholly or not at all, under any interleaving of streams and sessions', async () => {
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), (steps) => follow(make, steps)));
    });

    test('resumes from a mark and from an event, bytes or text', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1 << 20 });
      const primed = log.mark('s', 4);
      const first = log.append('s', 4, Buffer.from('{"né":1}'));
      log.append('s', 5, 'other');
      const second = log.append('s', 4, '{"b":2}');
      assert.deepEqual(await log.after('s', primed), {
        streamId: 4,
        events: [
          { id: first, message: '{"né":1}' },
          { id: second, message: '{"b":2}' },
        ],
      });
      assert.deepEqual((await log.after('s', first))?.events, [{ id: second, message: '{"b":2}' }]);
      assert.deepEqual((await log.after('s', second))?.events, []);
    });

    test('never gives out a stream id twice, and never that of the standalone stream', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1 << 20 });
      const ids = Array.from({ length: 100 }, () => log.newStream('s'));
      assert.equal(new Set(ids).size, 100);
      assert.ok(ids.every((id) => id > STANDALONE_STREAM && Number.isSafeInteger(id)));
    });

    test('the standalone stream goes on where it was when it is taken again', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1 << 20 });
      await log.takeStandalone('s', '');
      const first = log.append('s', STANDALONE_STREAM, 'first');
      await log.takeStandalone('s', first);
      const second = log.append('s', STANDALONE_STREAM, 'second');
      assert.notEqual(first, second);
      assert.deepEqual((await log.after('s', first))?.events, [{ id: second, message: 'second' }]);
    });

    test('what a stream that is over has said can still be read', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1 << 20 });
      const stream = log.newStream('s');
      const primed = log.mark('s', stream);
      log.append('s', stream, 'answer');
      log.finish('s', stream);
      await log.stored('s');
      assert.deepEqual(
        (await log.after('s', primed))?.events.map((event) => event.message),
        ['answer'],
      );
    });

    test('refuses an id whose later events were dropped for their bytes', async () => {
      const log = await make({ eventsMax: 1000, eventBytesMax: 4096 });
      const first = log.append('s', 1, 'first');
      for (let i = 0; i < 4; i++) log.append('s', 1, 'x'.repeat(1500));
      assert.equal(await log.after('s', first), null);
    });

    test('a message larger than the whole budget is not kept, and nothing pretends it was', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1000 });
      const neighbour = log.mark('s', 2);
      log.append('s', 2, 'kept');
      const before = log.append('s', 1, 'small');
      const huge = log.append('s', 1, 'x'.repeat(2000));
      assert.equal(await log.after('s', before), null);
      assert.deepEqual((await log.after('s', huge))?.events, []);
      assert.equal((await log.after('s', neighbour))?.events.length, 1);
    });

    test('the standalone stream stays resumable while other streams come and go', async () => {
      const log = await make({ eventsMax: 8, eventBytesMax: 1 << 20 });
      assert.equal(await log.takeStandalone('s', ''), true);
      const primed = log.mark('s', STANDALONE_STREAM);
      for (let stream = 1; stream < 200; stream++) log.append('s', stream, 'answer');
      assert.deepEqual((await log.after('s', primed))?.events, []);
    });

    test('knows no id it did not make, and says so in linear time', async () => {
      const log = await make({ eventsMax: 10, eventBytesMax: 1 << 20 });
      const known = log.append('s', 1, 'message');
      const hostile = fc.oneof(
        fc.string(),
        fc.constantFrom('.', '0.', '.0', '01.0', '1.00', `${known} `, `${known}.0`),
      );
      await fc.assert(
        fc.asyncProperty(hostile, async (id) => {
          // One that is made like its own may be of an event that is told before it is stored.
          fc.pre(decodeEventId(id)?.streamId !== 1);
          assert.equal(await log.after('s', id), null);
        }),
      );
      for (const id of ['0'.repeat(1_000_000), `1.${'z'.repeat(1_000_000)}`]) {
        assert.equal(await log.after('s', id), null);
      }
      assert.equal(await log.after('another session', known), null);
    });
  });
}
