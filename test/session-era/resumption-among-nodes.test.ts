/**
 * Resumption over three nodes: whatever the order of messages, broken connections and returns, to whichever node, a
 * client that comes back with the last id it saw ends up with every message exactly once, in order.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import type { SessionState } from '../../src/protocol/session/session-state.ts';
import type { OpenExchange } from '../../src/protocol/session-endpoint.ts';
import { eventually } from '../clients/eventually.ts';
import { call, FakeReply, type Harness, initialize, progress, resultOf } from './fakes.ts';
import { answered, ThreeNodes } from './three-nodes.ts';

type Step =
  | { readonly do: 'say' | 'break' | 'notice' | 'read' | 'beat' | 'rest' }
  | { readonly do: 'return'; readonly on: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('say' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('break' as const, 'notice' as const, 'read' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('beat' as const, 'rest' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('return' as const), on: fc.nat(2) }) },
);

/** Of one stream: what it has read, over all of its connections. */
class Client {
  lastEventId = '';
  received: string[] = [];
  ids: string[] = [];
  #reply: FakeReply | null = null;
  #read = 0;

  /** From here on nothing of this connection reaches the client. */
  break(): void {
    this.read();
    this.#reply = null;
  }

  read(): void {
    if (this.#reply === null) return;
    const { events } = this.#reply.events;
    for (; this.#read < events.length; this.#read++) {
      const event = events[this.#read];
      if (event === undefined) return;
      this.lastEventId = event.id || this.lastEventId;
      if (event.id !== '') this.ids.push(event.id);
      if (event.data !== '') this.received.push(event.data);
    }
  }

  resume(reply: FakeReply): void {
    this.#reply = reply;
    this.#read = 0;
  }

  /** An id reaches it once it is stored; without one it has nothing to come back with. */
  async begun(): Promise<void> {
    const lastId = (): string => {
      this.read();
      return this.lastEventId;
    };
    await eventually('the first id', lastId, (id) => id !== '');
  }
}

const METHOD = 'notifications/resources/updated';

describe('resumption among nodes', () => {
  let three: ThreeNodes;
  before(async () => {
    three = await ThreeNodes.start();
  });
  after(() => three.end());

  const node = (i: number): Harness => three.harnesses[i] as Harness;

  /** Again while it is told to come again: on a machine that stood still the nodes did not hear one another in time. */
  async function listened(on: number, sessionId: string, lastEventId: string): Promise<ReturnType<Harness['get']>> {
    for (;;) {
      const opened = node(on).get({ sessionId, lastEventId });
      await answered(opened.reply);
      if (opened.reply.status !== 503) return opened;
    }
  }

  async function follow(steps: readonly Step[]): Promise<{ received: string[]; said: string[] }> {
    const opening = node(0).post(initialize(0, '2025-11-25')).reply;
    await answered(opening);
    const sessionId = opening.header('mcp-session-id');
    let { reply, exchange } = node(0).post(call(1), { sessionId });
    const { channel } = node(0).methods.get();
    const said: string[] = [];
    const say = (): void => {
      said.push(progress(said.length));
      channel.send(said.at(-1) ?? '');
    };
    const client = new Client();
    say();
    client.resume(reply);
    await client.begun();
    const comeBack = async (on: number): Promise<void> => {
      client.break();
      ({ reply, exchange } = await listened(on, sessionId, client.lastEventId));
      if (reply.stream !== null) client.resume(reply);
      else assert.equal(reply.status, 204, reply.body);
    };
    for (const s of steps) {
      if (s.do === 'say') say();
      else if (s.do === 'read') client.read();
      else if (s.do === 'break') client.break();
      else if (s.do === 'beat') for (const each of three.harnesses) each.keepAlivePeriod();
      else if (s.do === 'rest') await new Promise((resolve) => setImmediate(resolve));
      else if (s.do === 'return') await comeBack(s.on);
      else {
        client.break();
        if (reply.stream !== null) reply.stream.open = false;
        exchange?.aborted();
      }
    }
    said.push(resultOf('1'));
    channel.respond(200, resultOf('1'), 0);
    for (let on = 0; !client.received.includes(resultOf('1')) && on < 6; on++) {
      await comeBack(on % 3);
      await eventually('the end of the stream', () => reply.stream === null || reply.stream.ended, Boolean);
      client.read();
    }
    return { received: client.received, said };
  }

  test('is without gap and without duplicate under any interleaving', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const { received, said } = await follow(steps);
        assert.deepEqual(received, said);
      }),
      { numRuns: 150 },
    );
    assert.deepEqual(
      three.harnesses.flatMap(({ log }) => log.errors),
      [],
    );
  });

  test('what is said goes to the node that carries the stream at once, and to that one alone', async () => {
    const opening = node(0).post(initialize(0, '2025-11-25')).reply;
    await answered(opening);
    const sessionId = opening.header('mcp-session-id');
    const first = node(0).post(call(1), { sessionId }).reply;
    const { channel } = node(0).methods.get();
    channel.send(progress(0));
    await eventually(
      'what was said first',
      () => first.events.messages,
      (messages) => messages.length === 1,
    );
    const lastEventId = first.events.events.at(-1)?.id ?? '';
    const replies: FakeReply[] = [];
    for (const on of [1, 2, 1]) {
      const { reply } = node(on).get({ sessionId, lastEventId });
      await answered(reply);
      replies.push(reply);
      const said = progress(replies.length);
      channel.send(said);
      await eventually(
        'what was said',
        () => reply.events.messages.at(-1),
        (last) => last === said,
      );
      for (const left of replies.slice(0, -1)) await eventually('its end', () => left.events.ended, Boolean);
    }
    assert.ok(first.events.ended);
    channel.respond(200, resultOf('1'), 0);
    const last = replies.at(-1) as FakeReply;
    await eventually('the end', () => last.events.ended, Boolean);
    assert.deepEqual(last.events.messages, [progress(1), progress(2), progress(3), resultOf('1')]);
  });

  /** The session's own stream: changes are published on all nodes, each of a resource of its own. */
  async function listenThrough(
    steps: readonly Step[],
  ): Promise<{ uris: string[]; published: string[]; ids: string[] }> {
    const opening = node(0).post(initialize(0, '2025-11-25')).reply;
    await answered(opening);
    const sessionId = opening.header('mcp-session-id');
    const session = node(0).hub.known(sessionId)?.session;
    assert.ok(session);
    for (let i = 0; i <= steps.length; i++) session.subscriptions.add(`test://${i}`);
    await session.save();
    for (const uri of session.subscriptions) node(0).hub.subscriptionsChanged(stateOf(0, sessionId), uri);
    const published: string[] = [];
    const publish = (): void => {
      const uri = `test://${published.length}`;
      published.push(uri);
      for (const { bus } of three.harnesses) bus.publish({ kind: 'resource', uri });
    };
    const client = new Client();
    const ids: string[] = [];
    let reply = new FakeReply();
    let exchange = null as OpenExchange | null;
    const comeBack = async (on: number): Promise<void> => {
      client.break();
      ({ reply, exchange } = await listened(on, sessionId, client.lastEventId));
      client.resume(reply);
      if (client.lastEventId === '') await client.begun();
    };
    for (const s of steps) {
      if (s.do === 'say') publish();
      else if (s.do === 'read') client.read();
      else if (s.do === 'break') client.break();
      else if (s.do === 'beat') for (const each of three.harnesses) each.keepAlivePeriod();
      else if (s.do === 'rest') await new Promise((resolve) => setImmediate(resolve));
      else if (s.do === 'return') await comeBack(s.on);
      else {
        client.break();
        if (reply.stream !== null) reply.stream.open = false;
        exchange?.aborted();
      }
    }
    await comeBack(1);
    publish();
    const uris = (): string[] => {
      client.read();
      return client.received
        .map((text) => JSON.parse(text))
        .flatMap((m) => (m.method === METHOD ? [m.params.uri] : []));
    };
    await eventually('every change', uris, (all) => published.every((uri) => all.includes(uri)));
    ids.push(...client.ids);
    return { uris: uris(), published, ids };
  }

  const stateOf = (i: number, sessionId: string): SessionState => {
    const state = node(i).hub.known(sessionId);
    assert.ok(state);
    return state;
  };

  test("of a session's own stream: every change is told, and every event is numbered on and comes once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        const { ids } = await listenThrough(steps);
        const numbers = ids.map((id) => Number.parseInt(id.slice(2), 36));
        // A connection that was opened anew, without an id, begins where the numbering is.
        assert.deepEqual(
          numbers,
          numbers.map((_, i) => (numbers[0] ?? 0) + i),
        );
      }),
      { numRuns: 100 },
    );
  });
});
