/**
 * Many clients at once, all with the ids 0, 1, 2, …, each with secrets of its own: over HTTP in both eras, event
 * streams and WebSocket, with aborts and reconnects mixed in. Nobody ever hears a byte of somebody else's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { REVISION_2025_11_25 } from '../../src/protocol/revisions.ts';
import { FRONT_ENDS, fixture, type Served, serve } from '../clients/serve.ts';
import { EventReader } from '../wire/event-reader.ts';
import { openSocket } from '../wire/message-client.ts';
import { metaOf, Session, Stateless } from '../wire/raw-clients.ts';

const CLIENTS = 120;
const ROUNDS = 4;
const SECRET = /secret-(\d+)-/g;

/** Everything one client hears, with whose secrets are in it. */
class Ear {
  readonly client: number;
  readonly foreign: string[] = [];
  own = 0;
  answered = 0;

  constructor(client: number) {
    this.client = client;
  }

  secret(round: number): string {
    return `secret-${this.client}-${round}-${Math.random().toString(36).slice(2)}`;
  }

  hear(text: string): void {
    for (const [, whose] of text.matchAll(SECRET)) {
      if (Number(whose) === this.client) this.own += 1;
      else this.foreign.push(text.slice(0, 300));
    }
  }
}

type Round = (ear: Ear, round: number) => Promise<void>;

/** The text of a response until it ends, or until its client has had enough. */
async function listen(response: Response, ear: Ear, chunksMax: number, leave: () => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let chunks = 0;
  // Resumed after its last event: 204.
  if (response.body === null) return '';
  try {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      chunks += 1;
      if (chunks >= chunksMax) leave();
    }
  } catch (cause) {
    assert.ok(chunks >= chunksMax, String(cause));
  }
  ear.hear(text);
  return text;
}

async function statelessRound(url: string, ear: Ear, round: number): Promise<void> {
  const client = new Stateless(url);
  const secret = ear.secret(round);
  const leaving = new AbortController();
  const args = { secret, times: 4 };
  const params = { name: 'whisper', arguments: args, _meta: metaOf({}, { progressToken: 1 }) };
  const leavesEarly = (ear.client + round) % 3 === 0;
  const response = await client.open('tools/call', params, {}, leaving.signal);
  const text = await listen(response, ear, leavesEarly ? 1 : Number.POSITIVE_INFINITY, () => leaving.abort());
  if (!leavesEarly) assert.ok(text.includes(secret), text);
  const echoed = await client.call('echo', { text: secret });
  ear.hear(JSON.stringify(echoed.last));
  assert.match(JSON.stringify(echoed.result), new RegExp(secret));
  ear.answered += 1;
}

/** Of the last event that came whole. */
function lastEventId(text: string): string {
  let id = '';
  const reader = new EventReader((event) => {
    id = event.id ?? id;
  });
  reader.push(Buffer.from(text));
  return id;
}

async function sessionClient(url: string, ear: Ear): Promise<Round> {
  const session = await Session.begin(url, REVISION_2025_11_25);
  const standing = new AbortController();
  const stream = await session.listen(standing.signal);
  void listen(stream, ear, 0, () => undefined);
  return async (_ear, round) => {
    const secret = ear.secret(round);
    const params = { name: 'whisper', arguments: { secret, times: 4 }, _meta: { progressToken: 1 } };
    const message = { jsonrpc: '2.0', id: round, method: 'tools/call', params };
    const leaving = new AbortController();
    const response = await session.post(message, {}, leaving.signal);
    const leavesEarly = (ear.client + round) % 3 === 0;
    const text = await listen(response, ear, leavesEarly ? 1 : Number.POSITIVE_INFINITY, () => leaving.abort());
    if (leavesEarly) {
      const lastId = lastEventId(text);
      const resumed = await session.listen(new AbortController().signal, lastId);
      const rest = await listen(resumed, ear, Number.POSITIVE_INFINITY, () => undefined);
      assert.ok((text + rest).includes(`"id":${round}`), `${resumed.status} ${text}${rest}`);
    } else assert.ok(text.includes(secret), text);
    ear.answered += 1;
    if (round === ROUNDS - 1) standing.abort();
  };
}

async function socketClient(url: string, ear: Ear): Promise<Round> {
  let connection = await openSocket(url);
  return async (_ear, round) => {
    const { client, socket, closed } = connection;
    const secret = ear.secret(round);
    socket.on('message', (data) => ear.hear(String(data)));
    const params = { name: 'whisper', arguments: { secret, times: 4 }, _meta: metaOf({}, { progressToken: 1 }) };
    if ((ear.client + round) % 3 === 0) {
      client.send({ id: 0, method: 'tools/call', params });
      await client.takeMethod('notifications/progress');
      socket.terminate();
      await closed;
      connection = await openSocket(url);
    } else {
      const answer = await client.request('tools/call', params, 0);
      assert.ok(JSON.stringify(answer).includes(secret));
      socket.removeAllListeners('message');
      socket.on('message', (data) => client.received(String(data)));
    }
    ear.answered += 1;
    if (round === ROUNDS - 1) connection.socket.terminate();
  };
}

for (const frontend of FRONT_ENDS) {
  describe(`crossed answers on ${frontend}`, () => {
    let served: Served;
    before(async () => {
      served = await serve(frontend, {
        modules: [fixture('hostile-tools')],
        queueSize: 10_000,
        requestTimeoutMs: 30_000,
      });
    });
    after(() => served.close());

    test(`${CLIENTS} clients with the same ids hear their own secrets only`, async () => {
      const ears = Array.from({ length: CLIENTS }, (_, client) => new Ear(client));
      await Promise.all(
        ears.map(async (ear) => {
          const way = ear.client % 3;
          const play: Round =
            way === 0
              ? (own, round) => statelessRound(served.url, own, round)
              : await (way === 1 ? sessionClient(served.url, ear) : socketClient(served.url, ear));
          for (let round = 0; round < ROUNDS; round++) await play(ear, round);
        }),
      );
      assert.deepEqual(
        ears.flatMap((ear) => ear.foreign),
        [],
      );
      for (const ear of ears) {
        assert.equal(ear.answered, ROUNDS);
        assert.ok(ear.own >= ROUNDS, `client ${ear.client} heard only ${ear.own} of its own`);
      }
    });
  });
}
