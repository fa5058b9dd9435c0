/**
 * What waits for subscribers that do not read, counted: one update per window, however often it closed, in both eras.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StreamDefinition } from '../../../src/streams/define/definition.ts';
import { uriOf } from '../../../src/streams/mcp/describe.ts';
import { Listen } from '../../../src/subscriptions/listen.ts';
import { Harness } from '../../session-era/fakes.ts';
import { callerNamed, FakeChannel } from '../../subscriptions/fake-channel.ts';
import { openRig, type Rig } from '../engine/rig.ts';

const WINDOWS = ['a', 'b', 'c'];
const URIS = WINDOWS.map((name) => uriOf('s', 'window', name));
const CLOSES = 1000;
const DEFINED: StreamDefinition = {
  name: 's',
  schema: { fields: { at: 'integer' }, timestamp: { field: 'at' } },
  time: { maxFutureMs: 0 },
  windows: WINDOWS.map((name) => ({ name, type: 'tumbling', sizeMs: 10, aggregates: { n: 'count' } })),
};

/** A subscriber of either era: what it was told so far, and whether its connection takes more. */
interface Subscriber {
  readonly told: () => readonly string[];
  readonly stall: () => void;
  readonly drain: () => void;
}

/** `subscriptions/listen` of 2026-07-28. */
function listener(harness: Harness): Subscriber {
  const listen = new Listen({
    bus: harness.bus,
    tasks: { get: () => assert.fail('no task was asked for') },
    settings: { listenStreamsMax: 8, listenResourcesMax: URIS.length },
    metaJson: '{"srv":{}}',
    log: harness.log,
    meters: harness.meters,
  });
  const channel = new FakeChannel();
  listen.open(callerNamed(null), '1', { notifications: { resourceSubscriptions: URIS } }, channel);
  return {
    told: () =>
      channel.sent
        .filter(({ method }) => method === 'notifications/resources/updated')
        .map(({ params }) => String(params?.['uri'])),
    stall: () => {
      channel.congested = true;
    },
    drain: () => channel.drain(),
  };
}

/** A session of the revisions before, with its own stream. */
function session(harness: Harness): Subscriber {
  const sessionId = harness.open();
  const { events } = harness.get({ sessionId }).reply;
  for (const uri of URIS) {
    harness.post({ jsonrpc: '2.0', id: uri, method: 'resources/subscribe', params: { uri } }, { sessionId });
    const { caller, channel } = harness.methods.get(JSON.stringify(uri));
    caller.session?.subscriptions.add(uri);
    channel.respond(200, `{"jsonrpc":"2.0","id":${JSON.stringify(uri)},"result":{}}`, 0);
  }
  return {
    told: () => events.messages.map((message) => String(JSON.parse(message).params.uri)),
    stall: () => {
      events.congested = true;
    },
    drain: () => events.drain(),
  };
}

/** Closes each of the windows once per event. */
async function close(rig: Rig, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) await rig.send('s', [{ at: n * 10 }]);
}

for (const [era, subscriber] of [
  ['subscriptions/listen', listener],
  ['a session', session],
] as const) {
  test(`${era}: of ${CLOSES} closes, one update per window waits for a reader that does not read`, async () => {
    const rig = await openRig([DEFINED]);
    const harness = new Harness();
    let changes = 0;
    rig.service.onChange(({ kind, operator, stream }) => {
      changes += 1;
      harness.bus.publish({ kind: 'resource', uri: uriOf(stream, kind, operator) });
    });
    const fast = subscriber(harness);
    const slow = subscriber(harness);
    await close(rig, 0, 1);
    slow.stall();
    await close(rig, 1, CLOSES);
    assert.equal(changes, CLOSES * WINDOWS.length);
    assert.equal(fast.told().length, changes);
    assert.equal(slow.told().length, 0);
    // What was held is all that comes now: nothing else was queued for it.
    slow.drain();
    assert.deepEqual(slow.told().toSorted(), URIS);
    slow.drain();
    assert.equal(slow.told().length, URIS.length);
    // It stalls again in the middle, and goes on with each close once it keeps up.
    slow.stall();
    await close(rig, 1 + CLOSES, 50);
    slow.drain();
    assert.equal(slow.told().length, 2 * URIS.length);
    await close(rig, 51 + CLOSES, 2);
    assert.equal(slow.told().length, 4 * URIS.length);
    assert.equal(fast.told().length, changes);
    await rig.close();
  });
}
