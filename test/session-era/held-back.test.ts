/** What a stream says reaches its connection once the log has stored it, in order, and not at all when it was refused. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MemoryEventLog } from '../../src/sessions/memory-event-log.ts';
import type { StoredListener } from '../../src/sessions/port.ts';
import { call, type FakeStream, Harness, LIMITS, progress, resultOf } from './fakes.ts';

/** A log that stores when the test says so. */
class SlowLog extends MemoryEventLog {
  stores = true;
  #listeners = new Set<StoredListener>();
  #written = 0;

  constructor() {
    super(LIMITS);
  }

  override append(sessionId: string, streamId: number, message: Uint8Array | string): string {
    this.#written++;
    return super.append(sessionId, streamId, message);
  }

  override mark(sessionId: string, streamId: number): string {
    this.#written++;
    return super.mark(sessionId, streamId);
  }

  override untilStored(_sessionId = '', listener: StoredListener | null = null): number {
    if (this.stores || listener === null) return 0;
    this.#listeners.add(listener);
    return this.#written;
  }

  get written(): number {
    return this.#written;
  }

  tell(place: number): void {
    for (const listener of this.#listeners) if (!listener.stored(place)) this.#listeners.delete(listener);
  }

  get waiting(): number {
    return this.#listeners.size;
  }
}

function begun(): { events: SlowLog; harness: Harness; sessionId: string } {
  const events = new SlowLog();
  const harness = new Harness({ events });
  const sessionId = harness.open();
  events.stores = false;
  return { events, harness, sessionId };
}

const idsOf = (stream: FakeStream): number => stream.events.filter(({ id }) => id !== '').length;

describe('a stream whose events are not stored yet', () => {
  test('says nothing, not even its first id, until they are; then in order, and what is stored only', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.send(progress(1));
    const first = events.written;
    channel.send(progress(2));
    assert.equal(reply.events.text, '');
    events.tell(first);
    assert.deepEqual(reply.events.messages, [progress(1)]);
    assert.equal(idsOf(reply.events), 2, 'the id to come back with, and the message');
    channel.respond(200, resultOf('1'), 0);
    assert.ok(reply.events.open, 'its end waits with the answer');
    events.tell(events.written);
    assert.deepEqual(reply.events.messages, [progress(1), progress(2), resultOf('1')]);
    assert.ok(reply.events.ended);
    assert.equal(events.waiting, 0);
    assert.equal(harness.hub.streams, 0);
  });

  test('says at once what cannot be stored for now, after what it held', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.send(progress(1));
    events.stores = true;
    channel.send(progress(2));
    assert.deepEqual(reply.events.messages, [progress(1), progress(2)]);
    events.stores = false;
    channel.send(progress(3));
    events.tell(Number.POSITIVE_INFINITY);
    assert.deepEqual(reply.events.messages, [progress(1), progress(2), progress(3)]);
  });

  test('sends its client away after what it said, and leaves what comes then to the next connection', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.send(progress(1));
    channel.release(100);
    channel.send(progress(2));
    assert.ok(reply.events.open);
    events.tell(events.written);
    assert.ok(reply.events.ended);
    assert.deepEqual(reply.events.messages, [progress(1)]);
    assert.equal(reply.events.events.at(-1)?.retry, '100');
    const lastEventId = reply.events.events.findLast(({ id }) => id !== '')?.id ?? '';
    const next = harness.get({ sessionId, lastEventId }).reply;
    assert.deepEqual(next.events.messages, [progress(2)]);
  });

  test('gives a connection that comes back what it held from the log alone', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    channel.send(progress(1));
    events.tell(events.written);
    channel.send(progress(2));
    const next = harness.get({ sessionId, lastEventId: reply.events.events.at(-1)?.id ?? '' }).reply;
    events.tell(events.written);
    assert.deepEqual(reply.events.messages, [progress(1)]);
    assert.deepEqual(next.events.messages, [progress(2)]);
  });

  test('gives one that listens anew what it held, before anything else', () => {
    const { events, harness, sessionId } = begun();
    const first = harness.get({ sessionId }).reply;
    events.tell(events.written);
    harness.bus.publish({ kind: 'tools' });
    const second = harness.get({ sessionId }).reply;
    harness.bus.publish({ kind: 'prompts' });
    events.tell(events.written);
    assert.deepEqual(first.events.messages, []);
    assert.deepEqual(
      second.events.messages.map((message) => JSON.parse(message).method),
      ['notifications/tools/list_changed', 'notifications/prompts/list_changed'],
    );
    const numbers = second.events.events.map(({ id }) => Number.parseInt(id.split('.')[1] ?? '', 36));
    assert.deepEqual(numbers, [1, 2, 3]);
  });

  test('says nothing of what another node refused', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.get({ sessionId });
    events.tell(events.written);
    harness.bus.publish({ kind: 'tools' });
    events.onFenced?.(sessionId);
    events.tell(events.written);
    assert.ok(reply.events.ended);
    assert.deepEqual(reply.events.messages, []);
  });

  test('holds what can be coalesced back when much waits, and lets the rest out past its limit', () => {
    const { events, harness, sessionId } = begun();
    const { reply } = harness.post(call(1), { sessionId });
    const { channel } = harness.methods.get();
    let drained = 0;
    channel.onDrain = () => drained++;
    channel.send('x'.repeat(10_000));
    assert.equal(channel.congested, false);
    channel.send('x'.repeat(60_000));
    assert.equal(channel.congested, true);
    events.tell(events.written);
    assert.equal(channel.congested, false);
    assert.equal(drained, 1);
    for (let i = 0; i < 20; i++) channel.send('x'.repeat(60_000));
    assert.ok(reply.events.messages.length > 2, 'memory is bounded');
    events.tell(events.written);
    assert.equal(reply.events.messages.length, 22);
  });
});
