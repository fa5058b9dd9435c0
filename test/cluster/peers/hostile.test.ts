/**
 * Who is no node, and connections that break: what reaches a handler, and how often.
 */
import assert from 'node:assert/strict';
import { type IncomingHttpHeaders, request } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { PeerUnavailable } from '../../../src/cluster/peers/port.ts';
import { type Envelope, Prover } from '../../../src/cluster/peers/proof.ts';
import { encodeMessage, HEADER } from '../../../src/cluster/peers/wire.ts';
import { loadNative } from '../../../src/frontend/uws/load.ts';
import { makeCertificates } from '../../redis/certificates.ts';
import { type PeerNode, SECRET, startNode } from './two-nodes.ts';

const FRONT_ENDS: readonly ('node' | 'uws')[] = 'native' in loadNative() ? ['node', 'uws'] : ['node'];

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const MESSAGE = encodeMessage({}, 'body') as Buffer;

const headersOf = (envelope: Envelope): Record<string, string> => ({
  [HEADER.from]: envelope.from,
  [HEADER.fromStart]: envelope.fromStart,
  [HEADER.toStart]: envelope.toStart,
  [HEADER.proof]: envelope.proof,
});

function post(
  port: number,
  path: string,
  headers: Record<string, string>,
  body: Buffer = MESSAGE,
  method = 'POST',
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text }));
    });
    req.on('error', reject);
    req.end(body);
  });
}

for (const frontend of FRONT_ENDS) {
  describe(`what is no message of a node, ${frontend} front end`, () => {
    const known = new Map<string, PeerNode>();
    const sender = new Prover('sender', SECRET);
    let node: PeerNode;
    let port = 0;
    let start = '';
    let handled = 0;

    before(async () => {
      node = await startNode('receiver', known, { frontend });
      port = node.front.port;
      node.peers.serve('count', (_message, reply) => {
        handled += 1;
        reply.send(200, 'done');
        return null;
      });
      const first = await post(port, '/internal/count', headersOf(sender.sign('receiver', '', 'count', 1, MESSAGE)));
      assert.deepEqual([first.status, first.headers[HEADER.refused]], [403, 'stale']);
      start = String(first.headers[HEADER.toStart]);
    });
    after(() => node.close());

    const signed = (number: number, changes: Partial<Envelope> = {}): Record<string, string> =>
      headersOf({ ...sender.sign('receiver', start, 'count', number, MESSAGE), ...changes });

    test('a signed message is taken once, however often it is sent', async () => {
      handled = 0;
      const headers = signed(sender.nextNumber('receiver'));
      const answers = await Promise.all([1, 2, 3].map(() => post(port, '/internal/count', headers)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403]);
      assert.equal((await post(port, '/internal/count', headers)).headers[HEADER.refused], 'seen');
      assert.equal(handled, 1);
    });

    test('without a proof, with a changed one, or for another path, body or sender: 403, and nothing is told', async () => {
      handled = 0;
      const number = sender.nextNumber('receiver');
      const good = signed(number);
      const proof = good[HEADER.proof] as string;
      const stranger = new Prover('sender', 'the secret of some other nodes, not of these');
      const forged: [string, Record<string, string>, Buffer, string][] = [
        ['/internal/count', {}, MESSAGE, 'POST'],
        ['/internal/nothing', {}, MESSAGE, 'POST'],
        [
          '/internal/count',
          { ...good, [HEADER.proof]: `${proof.slice(0, -1)}${proof.endsWith('A') ? 'B' : 'A'}` },
          MESSAGE,
          'POST',
        ],
        ['/internal/count', { ...good, [HEADER.from]: 'other' }, MESSAGE, 'POST'],
        ['/internal/count', { ...good, [HEADER.fromStart]: 'other' }, MESSAGE, 'POST'],
        ['/internal/count', { ...good, [HEADER.proof]: '' }, MESSAGE, 'POST'],
        ['/internal/other', good, MESSAGE, 'POST'],
        ['/internal/count', good, encodeMessage({}, 'other') as Buffer, 'POST'],
        ['/internal/count', good, MESSAGE, 'PUT'],
        ['/internal/count', { ...good, Origin: 'https://app.example' }, MESSAGE, 'POST'],
        ['/internal/count', headersOf(stranger.sign('receiver', start, 'count', number, MESSAGE)), MESSAGE, 'POST'],
        ['/internal/count', headersOf(sender.sign('another', start, 'count', number, MESSAGE)), MESSAGE, 'POST'],
      ];
      for (const [path, headers, body, method] of forged) {
        const answer = await post(port, path, headers, body, method);
        assert.equal(answer.status, 403, `${method} ${path} ${JSON.stringify(headers)}`);
        assert.equal(answer.headers[HEADER.toStart], undefined);
      }
      assert.equal(handled, 0);
      // None of them has used the number up.
      assert.equal((await post(port, '/internal/count', good)).status, 200);
    });

    test('other paths stay behind the list of hosts', async () => {
      assert.equal((await post(port, '/mcp', signed(sender.nextNumber('receiver')))).status, 403);
      assert.equal((await post(port, '/internal', signed(sender.nextNumber('receiver')))).status, 403);
    });

    test('a message recorded before a restart is refused after it', async () => {
      handled = 0;
      const recorded = signed(sender.nextNumber('receiver'));
      const again = await startNode('receiver', new Map(), { frontend });
      try {
        again.peers.serve('count', () => {
          handled += 1;
          return null;
        });
        const answer = await post(again.front.port, '/internal/count', recorded);
        assert.deepEqual([answer.status, answer.headers[HEADER.refused]], [403, 'stale']);
        assert.equal(handled, 0);
      } finally {
        await again.close();
      }
    });
  });
}

describe('connections that break', () => {
  /** In front of a node: forwards bytes, and cuts what it is told to. */
  async function cutter(to: number, cut: (connection: number) => 'request' | 'answer' | 'no'): Promise<Server> {
    let connections = 0;
    const server = createServer((inward) => {
      const how = cut(connections++);
      const outward: Socket = new (inward.constructor as typeof Socket)();
      outward.connect(to, '127.0.0.1');
      inward.on('error', () => outward.destroy());
      outward.on('error', () => inward.destroy());
      inward.on('close', () => outward.destroy());
      if (how === 'request') inward.once('data', () => inward.resetAndDestroy());
      else inward.pipe(outward);
      if (how === 'answer') outward.once('data', () => inward.resetAndDestroy());
      else outward.pipe(inward);
    });
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    return server;
  }

  async function askThrough(cut: (connection: number) => 'request' | 'answer' | 'no') {
    const known = new Map<string, PeerNode>();
    const a = await startNode('a', known);
    const b = await startNode('b', known);
    let handled = 0;
    b.peers.serve('count', (_message, reply) => {
      handled += 1;
      reply.send(200, 'done');
      return null;
    });
    const ask = () => a.peers.ask('b', { path: 'count', facts: {}, body: '', timeoutMs: 30_000 });
    await ask();
    handled = 0;
    const server = await cutter(b.front.port, cut);
    b.url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    try {
      const outcome = await ask().then(
        ({ body }) => Buffer.from(body).toString(),
        (error: unknown) => error,
      );
      return { outcome, handled };
    } finally {
      await a.close();
      await b.close();
      server.close();
    }
  }

  test('cut before it arrived, a message is sent again and taken once', async () => {
    assert.deepEqual(await askThrough((n) => (n === 0 ? 'request' : 'no')), { outcome: 'done', handled: 1 });
  });

  test('cut after it was taken, it is not taken twice, and the asker knows that it may have been done', async () => {
    const { handled, outcome } = await askThrough((n) => (n === 0 ? 'answer' : 'no'));
    assert.equal(handled, 1);
    assert.ok(outcome instanceof PeerUnavailable && outcome.maybeDone, String(outcome));
  });

  test('cut each time, it fails', async () => {
    const { handled, outcome } = await askThrough(() => 'request');
    assert.equal(handled, 0);
    assert.ok(outcome instanceof PeerUnavailable, String(outcome));
  });
});

describe('an answer in parts that is quiet', () => {
  const AGAIN_MAX = 5;

  async function openTo(keepAliveMs: number) {
    const known = new Map<string, PeerNode>();
    const a = await startNode('a', known, { keepAliveMs: 100 });
    const b = await startNode('b', known, { keepAliveMs });
    b.peers.serve('open', (_message, reply) => {
      const frames = reply.openFrames();
      setTimeout(() => {
        frames.write({ event: 'late', data: '' });
        frames.end();
      }, 1000);
      return null;
    });
    const frames: string[] = [];
    try {
      const ended = await new Promise<PeerUnavailable | null>((resolve) => {
        a.peers.stream(
          'b',
          { path: 'open', facts: {}, body: '', timeoutMs: 30_000 },
          {
            answered: () => undefined,
            frame: ({ event }) => frames.push(event),
            ended: resolve,
          },
        );
      });
      return { ended, frames };
    } finally {
      await a.close();
      await b.close();
    }
  }

  test('lasts as long as its node shows that it is there', async () => {
    // A machine that stands still looks like a node that does, but not each time.
    let heard = await openTo(50);
    for (let again = 0; heard.ended !== null && again < AGAIN_MAX; again++) heard = await openTo(50);
    assert.deepEqual(heard, { ended: null, frames: ['late'] });
  });

  test('fails when its node stands still, and may have been done', async () => {
    const { ended, frames } = await openTo(60_000);
    assert.ok(ended?.maybeDone);
    assert.deepEqual(frames, []);
  });
});

describe('bounds and TLS', () => {
  test('one message too many under way fails at once, surely not done', async () => {
    const known = new Map<string, PeerNode>();
    const a = await startNode('a', known, { socketsMax: 3 });
    const b = await startNode('b', known);
    b.peers.serve('hold', () => null);
    const message = { path: 'hold', facts: {}, body: '', timeoutMs: 60_000 };
    const held = [1, 2, 3].map(() => a.peers.ask('b', message).catch((error: unknown) => error));
    await assert.rejects(a.peers.ask('b', message), { name: 'PeerUnavailable', maybeDone: false });
    await a.close();
    for (const error of await Promise.all(held)) assert.ok(error instanceof PeerUnavailable);
    await b.close();
  });

  test('an answer that is too long is broken off', async () => {
    const known = new Map<string, PeerNode>();
    const a = await startNode('a', known, { answerBytesMax: 10_000 });
    const b = await startNode('b', known);
    b.peers.serve('long', (_message, reply) => {
      reply.send(200, 'x'.repeat(3_000_000));
      return null;
    });
    try {
      const asked = a.peers.ask('b', { path: 'long', facts: {}, body: '', timeoutMs: 30_000 });
      await assert.rejects(asked, { name: 'PeerUnavailable', maybeDone: true });
    } finally {
      await a.close();
      await b.close();
    }
  });

  test('a node behind https is reached with its authority, and refused without', async () => {
    const certificates = await makeCertificates();
    const known = new Map<string, PeerNode>();
    const tls = { keyFile: certificates.keyFile, certFile: certificates.certFile };
    const trusting = await startNode('trusting', known, { tlsCaFile: certificates.caFile });
    const doubting = await startNode('doubting', known);
    const b = await startNode('b', known, { tls });
    b.peers.serve('hello', (_message, reply) => {
      reply.send(200, 'hello');
      return null;
    });
    const message = { path: 'hello', facts: {}, body: '', timeoutMs: 30_000 };
    try {
      assert.equal(Buffer.from((await trusting.peers.ask('b', message)).body).toString(), 'hello');
      await assert.rejects(doubting.peers.ask('b', message), { name: 'PeerUnavailable' });
    } finally {
      await Promise.all([trusting.close(), doubting.close(), b.close()]);
      await certificates.remove();
    }
  });
});
