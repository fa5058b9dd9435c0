/**
 * What users of `Peers` rely on, on either front end.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type PeerFrame, type PeerReply, PeerUnavailable } from '../../../src/cluster/peers/port.ts';
import { eventually } from '../../clients/eventually.ts';
import { standStill } from '../../clients/stand-still.ts';
import { BODY_BYTES_MAX, type PeerNode, startNode, until } from './two-nodes.ts';

/** Longer than any limit it is tried on. */
const STILL_MS = 1_200;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const request = (path: string, body: Uint8Array | string = '', facts: object = {}, timeoutMs = 30_000) => ({
  path,
  facts,
  body,
  timeoutMs,
});

/** Collects a stream's frames; resolves at its end. */
export function listen(node: PeerNode, to: string, path: string, body = '', timeoutMs = 30_000) {
  const frames: PeerFrame[] = [];
  const answers: number[] = [];
  let finish!: (error: PeerUnavailable | null) => void;
  const ended = new Promise<PeerUnavailable | null>((resolve) => {
    finish = resolve;
  });
  const stream = node.peers.stream(to, request(path, body, {}, timeoutMs), {
    answered: (status) => answers.push(status),
    frame: (frame) => frames.push(frame),
    ended: finish,
  });
  return { frames, answers, ended, stream };
}

async function rejected(promise: Promise<unknown>): Promise<PeerUnavailable> {
  const error = await promise.then(
    () => assert.fail('an answer came'),
    (cause: unknown) => cause,
  );
  assert.ok(error instanceof PeerUnavailable, String(error));
  return error;
}

export function peersContract(frontend: 'uws' | 'node'): void {
  describe(`messages between nodes, ${frontend} front end`, () => {
    const known = new Map<string, PeerNode>();
    let a: PeerNode;
    let b: PeerNode;
    const aborted: string[] = [];
    const silent: PeerReply[] = [];
    let counted = 0;

    before(async () => {
      a = await startNode('a', known, { frontend });
      b = await startNode('b', known, { frontend });
      b.peers.serve('echo', (message, reply) => {
        reply.send(
          201,
          Buffer.concat([Buffer.from(`${message.from} ${JSON.stringify(message.facts)} `), message.body]),
        );
        return null;
      });
      b.peers.serve('digest', (message, reply) => {
        reply.send(200, createHash('sha256').update(message.body).digest('hex'));
        return null;
      });
      b.peers.serve('count', (_message, reply) => {
        counted += 1;
        reply.send(200, String(counted));
        return null;
      });
      b.peers.serve('silent', (message, reply) => {
        const name = text(message.body);
        silent.push(reply);
        return { aborted: () => aborted.push(name) };
      });
      b.peers.serve('frames', (message, reply) => {
        const count = Number(text(message.body));
        const frames = reply.openFrames();
        for (let n = 0; n < count; n++) frames.write({ event: 'n', data: `${n}\nsecond line` });
        frames.end();
        return null;
      });
      b.peers.serve('open', (message, reply) => {
        const name = text(message.body);
        reply.openFrames().write({ event: 'hello', data: name });
        return { aborted: () => aborted.push(name) };
      });
      b.peers.serve('large', (_message, reply) => {
        const frames = reply.openFrames();
        for (let n = 0; n < 40; n++) frames.write({ event: 'part', data: 'x'.repeat(50_000) });
        frames.write({ event: 'whole', data: 'y'.repeat(1_500_000) });
        frames.end();
        return null;
      });
    });
    after(async () => {
      await a.close();
      await b.close();
    });

    test('facts and body arrive, and any status is an answer', async () => {
      const answer = await a.peers.ask('b', request('echo', 'hello', { n: 1, ü: ['ö'] }));
      assert.equal(answer.status, 201);
      assert.equal(text(answer.body), 'a {"n":1,"ü":["ö"]} hello');
    });

    test('what came while the node that waits stood still is taken: an answer, and the parts of one', async () => {
      const then = (ms: number): unknown => setImmediate(() => standStill(ms));
      b.peers.serve('answer-still', (_message, reply) => {
        reply.send(200, 'in time');
        then(STILL_MS);
        return null;
      });
      b.peers.serve('frames-still', (_message, reply) => {
        const frames = reply.openFrames();
        frames.write({ event: 'n', data: '1' });
        setTimeout(() => {
          frames.write({ event: 'n', data: '2' });
          frames.end();
          then(STILL_MS);
        }, 100);
        return null;
      });
      const answer = await a.peers.ask('b', request('answer-still', '', {}, STILL_MS / 2));
      assert.equal(text(answer.body), 'in time');
      const patient = await startNode('patient', known, { frontend, keepAliveMs: STILL_MS / 6 });
      const { frames, ended } = listen(patient, 'b', 'frames-still');
      assert.equal(await ended, null);
      assert.deepEqual(
        frames.map(({ data }) => data),
        ['1', '2'],
      );
      await patient.close();
    });

    test('many messages at once keep their answers apart', async () => {
      const bodies = Array.from({ length: 90 }, (_, n) => `message ${n}`);
      const answers = await Promise.all(bodies.map((body) => a.peers.ask('b', request('echo', body))));
      assert.deepEqual(
        answers.map(({ body }) => text(body)),
        bodies.map((body) => `a {} ${body}`),
      );
    });

    test('a body up to the limit arrives whole; a larger one is refused, surely not done', async () => {
      const largest = Buffer.alloc(BODY_BYTES_MAX, 7);
      const answer = await a.peers.ask('b', request('digest', largest));
      assert.equal(text(answer.body), createHash('sha256').update(largest).digest('hex'));
      const error = await rejected(a.peers.ask('b', request('digest', Buffer.alloc(BODY_BYTES_MAX + 300_000))));
      assert.equal(error.maybeDone, false);
      const facts = { text: 'x'.repeat(300_000) };
      assert.equal((await rejected(a.peers.ask('b', request('digest', '', facts)))).maybeDone, false);
    });

    test('an answer in parts arrives frame by frame, in order', async () => {
      const { frames, answers, ended } = listen(a, 'b', 'frames', '500');
      assert.equal(await ended, null);
      assert.deepEqual(answers, [200]);
      assert.deepEqual(
        frames,
        Array.from({ length: 500 }, (_, n) => ({ event: 'n', data: `${n}\nsecond line` })),
      );
    });

    test('a large frame behind a row of others is not cut off', async () => {
      const { frames, ended } = listen(a, 'b', 'large');
      assert.equal(await ended, null);
      assert.equal(frames.length, 41);
      assert.equal(frames.at(-1)?.data.length, 1_500_000);
    });

    test('a whole answer is told to a stream as well', async () => {
      const { answers, ended, frames } = listen(a, 'b', 'echo', 'x');
      assert.equal(await ended, null);
      assert.deepEqual([answers, frames], [[201], []]);
    });

    test('whoever breaks off is told to the handler, with an answer begun or not', async () => {
      const begun = listen(a, 'b', 'open', 'begun');
      await until(() => begun.frames.length === 1);
      begun.stream.cancel();
      const waiting = listen(a, 'b', 'silent', 'waiting');
      await until(() => silent.length > 0);
      waiting.stream.cancel();
      await until(() => aborted.includes('begun') && aborted.includes('waiting'));
      assert.deepEqual([begun.answers, waiting.answers], [[200], []]);
    });

    test('a node that does not answer in time fails the message, which may have been done', async () => {
      // Sent again where the machine stood still for as long: then it had no connection yet.
      const ask = (): Promise<PeerUnavailable> => rejected(a.peers.ask('b', request('silent', 'slow', {}, 150)));
      await eventually('a message that left', ask, ({ maybeDone }) => maybeDone);
      await until(() => aborted.includes('slow'));
    });

    test('an unknown node, one that is not there, and a path that nobody serves: surely not done', async () => {
      const gone = createServer().listen(0, '127.0.0.1');
      await new Promise((resolve) => gone.once('listening', resolve));
      const { port } = gone.address() as { port: number };
      await new Promise((resolve) => gone.close(resolve));
      known.set('gone', { ...b, url: `http://127.0.0.1:${port}` });
      for (const [to, path] of [
        ['nobody', 'echo'],
        ['gone', 'echo'],
        ['b', 'unserved'],
      ] as const) {
        const error = await rejected(a.peers.ask(to, request(path)));
        assert.deepEqual([error.nodeId, error.maybeDone], [to, false], error.message);
      }
    });

    test('a node with another secret is refused, and says what to do', async () => {
      const stranger = await startNode('stranger', known, {
        secret: 'quite another secret than the one of the others',
      });
      try {
        const error = await rejected(stranger.peers.ask('b', request('count')));
        assert.equal(error.maybeDone, false);
        assert.match(error.message, /cluster\.secret/);
        assert.equal((await rejected(a.peers.ask('stranger', request('count')))).maybeDone, false);
        assert.equal(counted, 0);
      } finally {
        await stranger.close();
      }
    });

    test('a node that was started again under the same id is reached at once', async () => {
      let c = await startNode('c', known, { frontend });
      const serve = (): void =>
        c.peers.serve('who', (_message, reply) => {
          reply.send(200, 'c');
          return null;
        });
      serve();
      assert.equal(text((await a.peers.ask('c', request('who'))).body), 'c');
      await c.close();
      c = await startNode('c', known, { frontend });
      serve();
      try {
        assert.equal(text((await a.peers.ask('c', request('who'))).body), 'c');
      } finally {
        await c.close();
      }
    });

    test('a node that goes while it is asked fails the message, which may have been done', async () => {
      const d = await startNode('d', known, { frontend });
      let asked = false;
      d.peers.serve('hold', () => {
        asked = true;
        return null;
      });
      d.peers.serve('open', (_message, reply) => {
        reply.openFrames().write({ event: 'hello', data: '' });
        return null;
      });
      const waiting = rejected(a.peers.ask('d', request('hold')));
      const begun = listen(a, 'd', 'open');
      await until(() => asked && begun.frames.length === 1);
      await d.close();
      assert.equal((await waiting).maybeDone, true);
      assert.equal((await begun.ended)?.maybeDone, true);
    });
  });
}
