/**
 * Events over HTTP, on both front ends, over real sockets: formats, refusals, repetition, poison.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { pack } from 'msgpackr';
import type { ResultLine } from '../../../src/streams/engine/port.ts';
import { FRONT_ENDS } from '../../clients/serve.ts';
import { Stateless } from '../../wire/raw-clients.ts';
import { call, ndjson, type StreamsServed, serveStreams, VISITS, visit } from './serve-streams.ts';

const LIMIT = 4096;
const TAKEN = (accepted: number, rejected = 0) => ({ accepted, rejected, late: 0 });

for (const frontend of FRONT_ENDS) {
  describe(`events over HTTP on ${frontend}`, () => {
    let served: StreamsServed;
    before(async () => {
      served = await serveStreams(frontend, {}, { maxRequestBytes: LIMIT });
    });
    after(() => served.close());

    const cloudEvent = (id: string, data: object = visit('cloud')): object => ({
      ...{ specversion: '1.0', id, source: '/shop', type: 'visit', datacontenttype: 'application/json' },
      data,
    });

    for (const [name, type, body] of [
      ['NDJSON', 'application/x-ndjson', () => ndjson([visit('a'), visit('b')])],
      ['NDJSON with a charset', 'Application/X-NDJSON; charset=utf-8', () => `${ndjson([visit('a'), visit('b')])}\n\n`],
      ['a JSON array', 'application/json', () => JSON.stringify([visit('a'), visit('b')], null, 2)],
      ['MessagePack', 'application/msgpack', () => Buffer.concat([pack(visit('a')), pack(visit('b'))])],
      [
        'a batch of CloudEvents',
        'application/cloudevents-batch+json',
        () => JSON.stringify([cloudEvent('x1'), cloudEvent('x2')]),
      ],
    ] as const) {
      test(`takes ${name}`, async () => {
        const before = await served.accepted();
        const { status, json } = await served.post(body(), { 'Content-Type': type });
        assert.deepEqual([status, json], [200, TAKEN(2)]);
        assert.equal(await served.accepted(), before + 2);
      });
    }

    test('refuses what is compressed, whose bytes would be one poison event', async () => {
      const before = await served.accepted();
      const headers = { 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' };
      const { json, status } = await served.post(gzipSync(ndjson([visit('a')])), headers);
      const error = 'content encoding "gzip": bodies are taken as they are, expected none';
      assert.deepEqual([status, json], [415, { error }]);
      const plain = await served.post(ndjson([visit('a')]), { ...headers, 'Content-Encoding': 'identity' });
      assert.deepEqual([plain.status, await served.accepted()], [200, before + 1]);
    });

    test('takes one event as JSON, and one CloudEvent', async () => {
      const one = await served.post(JSON.stringify(visit('one')), { 'Content-Type': 'application/json' });
      assert.deepEqual(one.json, TAKEN(1));
      const type = { 'Content-Type': 'application/cloudevents+json' };
      assert.deepEqual((await served.post(JSON.stringify(cloudEvent('single')), type)).json, TAKEN(1));
    });

    test('counts a CloudEvent once by source and id, whichever way it comes', async () => {
      const before = await served.accepted();
      const batch = { 'Content-Type': 'application/cloudevents-batch+json' };
      await served.post(JSON.stringify([cloudEvent('d1'), cloudEvent('d2'), cloudEvent('d1')]), batch);
      await served.post(JSON.stringify(cloudEvent('d1')), { 'Content-Type': 'application/cloudevents+json' });
      const binary = (id: string, source: string) => ({
        ...{ 'Content-Type': 'application/json', 'ce-specversion': '1.0', 'ce-type': 'visit' },
        ...{ 'ce-id': id, 'ce-source': source },
      });
      const data = JSON.stringify(visit('cloud'));
      await served.post(data, binary('d2', '/shop'));
      assert.equal(await served.accepted(), before + 2);
      assert.deepEqual((await served.post(data, binary('d3', '/shop'))).json, TAKEN(1));
      assert.deepEqual((await served.post(data, binary('d1', '/other%20shop'))).json, TAKEN(1));
      assert.equal(await served.accepted(), before + 4);
    });

    test('the correlation id of a CloudEvent is of its results, in binary mode as in the others', async () => {
      const page = `correlated-${frontend}`;
      const event = (id: string): object => ({ ...cloudEvent(id, visit(page)), correlationid: `own ${id}` });
      const json = (value: object, type: string): Promise<unknown> =>
        served.post(JSON.stringify(value), { 'Content-Type': type, 'X-Correlation-Id': 'of the batch' });
      await json(event('k1'), 'application/cloudevents+json');
      await json([event('k2')], 'application/cloudevents-batch+json');
      const attributes = { 'ce-specversion': '1.0', 'ce-type': 'visit', 'ce-id': 'k3', 'ce-source': '/shop' };
      const headers = { 'Content-Type': 'application/json', ...attributes, 'ce-correlationid': 'own%20k3' };
      await served.post(JSON.stringify(visit(page)), { ...headers, 'X-Correlation-Id': 'of the batch' });
      const asked = { stream: 'visits', window: 'byPage', key: { page } };
      const { result } = await new Stateless(served.url).call('window_query', asked);
      const { rows } = result['structuredContent'] as { rows: readonly ResultLine[] };
      assert.deepEqual(
        rows.map(({ context }) => context?.correlationIds.toSorted()),
        [['own k1', 'own k2', 'own k3']],
      );
    });

    test('refuses binary CloudEvents whose data is not JSON', async () => {
      const headers = {
        'Content-Type': 'text/plain',
        'ce-specversion': '1.0',
        'ce-id': '1',
        'ce-source': '/',
        'ce-type': 't',
      };
      const { status, json } = await served.post('hello', headers);
      assert.equal(status, 400);
      assert.match(String(json['error']), /must be JSON/);
    });

    test('refuses types it cannot read with 415, naming those it can', async () => {
      for (const type of ['text/csv', 'application/xml; charset=utf-8']) {
        const { status, json } = await served.post('a,b', { 'Content-Type': type });
        assert.equal(status, 415);
        assert.match(String(json['error']), /application\/x-ndjson.*application\/msgpack/);
      }
    });

    test('says 404 for streams and paths it does not have, 405 for methods', async () => {
      const root = served.base.replace('/visits', '');
      const headers = { 'Content-Type': 'application/x-ndjson' };
      const unknown = await call(`${root}/nobody/events`, { method: 'POST', body: ndjson([visit('a')]), headers });
      assert.deepEqual([unknown.status, unknown.json], [404, { error: 'no stream named "nobody"' }]);
      const mistyped = await call(`${root}/visit/events`, { method: 'POST', body: '{}', headers });
      const meant = 'no stream named "visit"; did you mean visits?';
      assert.deepEqual([mistyped.status, mistyped.json], [404, { error: meant }]);
      assert.equal((await call(`${root}/visits/other`, { method: 'POST', body: 'x', headers })).status, 404);
      assert.equal((await call(`${root}/../streams/a%2Fb/events`, { method: 'POST', body: 'x', headers })).status, 404);
      const wrong = await call(`${served.base}/events`, { method: 'PUT', body: 'x', headers });
      assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'POST']);
    });

    test('takes a body of exactly the limit and refuses one more byte', async () => {
      const body = ndjson([visit('full')]);
      const full = `${body}${' '.repeat(LIMIT - body.length)}`;
      assert.deepEqual((await served.post(full)).json, TAKEN(1));
      const response = await fetch(`${served.base}/events`, {
        method: 'POST',
        body: `${full} `,
        headers: { 'Content-Type': 'application/x-ndjson' },
      });
      assert.equal(response.status, 413);
      assert.match(await response.text(), /too large: at most 4096 bytes are taken/);
    });

    test('gives the same answer to a batch sent again under its key, and counts it once', async () => {
      const before = await served.accepted();
      const body = ndjson([visit('key'), { page: 1 }, visit('key')]);
      const key = { 'Idempotency-Key': `k-${before}` };
      const answers = await Promise.all([served.post(body, key), served.post(body, key)]);
      answers.push(await served.post(body, key));
      assert.deepEqual(
        answers.map(({ status, json }) => [status, json]),
        [
          [200, TAKEN(2, 1)],
          [200, TAKEN(2, 1)],
          [200, TAKEN(2, 1)],
        ],
      );
      assert.equal(await served.accepted(), before + 2);
    });

    test('refuses a key that was used for another body, and one that is too long', async () => {
      const before = await served.accepted();
      const post = async (key: string, page: string): Promise<[number, unknown]> => {
        const { json, status } = await served.post(ndjson([visit(page, { at: 1 })]), { 'Idempotency-Key': key });
        return [status, json['accepted'] ?? json['error']];
      };
      const longest = 'k'.repeat(256);
      assert.deepEqual(await post(longest, 'a'), [200, 1]);
      assert.deepEqual(await post(longest, 'a'), [200, 1]);
      const used = 'this Idempotency-Key was used for a batch with another body';
      assert.deepEqual(await post(longest, 'b'), [422, used]);
      const long = 'an Idempotency-Key has at most 256 characters';
      for (const end of ['a', 'b']) assert.deepEqual(await post(longest + end, 'a'), [400, long]);
      assert.equal(await served.accepted(), before + 1);
    });

    test('keeps poison apart: listed, sent again, dropped', async () => {
      const letters = async (query = ''): Promise<Record<string, unknown>[]> =>
        (await call(`${served.base}/dead-letters${query}`, { method: 'GET' })).json['letters'] as Record<
          string,
          unknown
        >[];
      const order = (body: unknown) =>
        call(`${served.base}/dead-letters`, { method: 'POST', body: JSON.stringify(body) });
      const had = await letters();
      if (had.length > 0) await order({ action: 'drop', ids: had.map(({ id }) => id) });
      const { json } = await served.post('{"page":"a"}\nnot json\n{"page":"b","ms":"slow","at":1767225600001}');
      assert.deepEqual(json, TAKEN(0, 3));
      const found = await letters();
      assert.deepEqual(
        found.map(({ text }) => text),
        ['{"page":"a"}', 'not json', '{"page":"b","ms":"slow","at":1767225600001}'],
      );
      assert.match(String(found[2]?.['reason']), /ms/);
      const [first, second, third] = found.map(({ id }) => id);
      assert.deepEqual(
        (await letters(`?after=${first}`)).map(({ id }) => id),
        [second, third],
      );
      // What was refused is refused again, under a new id.
      assert.deepEqual((await order({ action: 'replay', ids: [second] })).json, { letters: 1, ...TAKEN(0, 1) });
      const now = await letters();
      assert.deepEqual(
        now.slice(0, 2).map(({ id }) => id),
        [first, third],
      );
      assert.equal(now[2]?.['text'], 'not json');
      const ids = now.map(({ id }) => id);
      assert.deepEqual((await order({ action: 'drop', ids })).json, { dropped: 3 });
      assert.deepEqual(await letters(), []);
      assert.equal((await order({ action: 'burn', ids: [] })).status, 400);
      assert.equal((await order({ action: 'drop', ids: 'all' })).status, 400);
      assert.equal((await order({ action: 'replay', ids: ['x'] })).status, 400);
    });
  });

  describe(`tokens over HTTP on ${frontend}`, () => {
    const tokens = ['a-token-of-the-tests', 'b-token-of-the-tests'] as const;
    let served: StreamsServed;
    before(async () => {
      const auth = { tokens: tokens.map((token, i) => ({ token, id: `sender ${i}`, scopes: [] })) };
      served = await serveStreams(frontend, {}, { auth });
    });
    after(() => served.close());

    test('asks for a token, and takes events with one', async () => {
      for (const headers of [{ 'X-None': '' }, { Authorization: 'Bearer another-token-here' }] as Record<
        string,
        string
      >[]) {
        const { status, headers: given } = await served.post(ndjson([visit('a')]), headers);
        assert.equal(status, 401);
        assert.match(given.get('www-authenticate') ?? '', /^Bearer/);
      }
      assert.equal((await call(`${served.base}/dead-letters`, { method: 'GET' })).status, 401);
      assert.equal(await served.accepted(), 0);
      const { json } = await served.post(ndjson([visit('a')]), { Authorization: `Bearer ${tokens[0]}` });
      assert.deepEqual(json, TAKEN(1));
    });

    test('a key is of its sender: the same one of another counts by itself', async () => {
      const before = await served.accepted();
      for (const [i, token] of [...tokens, ...tokens].entries()) {
        const body = ndjson([visit('a', { at: 10 + (i % 2) })]);
        const { json } = await served.post(body, { Authorization: `Bearer ${token}`, 'Idempotency-Key': 'same' });
        assert.deepEqual(json, TAKEN(1));
      }
      assert.equal(await served.accepted(), before + 2);
    });
  });

  describe(`refusals over HTTP on ${frontend}`, () => {
    let served: StreamsServed;
    before(async () => {
      const others = [
        { ...VISITS, name: 'few-keys', limits: { keysMax: 2 } },
        { ...VISITS, name: 'few-bytes', limits: { pendingBytesMax: 65_536 } },
      ];
      served = await serveStreams(frontend, {}, {}, others);
    });
    after(() => served.close());

    test('lists large letters in short pages', async () => {
      const after = async (id: string): Promise<string[]> => {
        const { json } = await call(`${served.base}/dead-letters?after=${id}`, { method: 'GET' });
        return (json['letters'] as { id: string }[]).map((letter) => letter.id);
      };
      for (let i = 0; i < 6; i++) assert.deepEqual((await served.post('x'.repeat(1_000_000))).json, TAKEN(0, 1));
      const pages: string[][] = [];
      for (let page = await after(''); page.length > 0; page = await after(page.at(-1) ?? '')) pages.push(page);
      assert.ok(pages.length > 1, 'not all in one answer');
      assert.equal(new Set(pages.flat()).size, 6, 'none is left out');
    });

    test('says 503 and when to come back while the state is full', async () => {
      const full = served.at('few-keys');
      assert.equal((await full.post(ndjson(['a', 'b', 'c'].map((page) => visit(page))))).status, 200);
      const { headers, json, status } = await full.post(ndjson([visit('d')]));
      assert.deepEqual([status, headers.get('retry-after')], [503, '1']);
      assert.match(String(json['error']), /holds 3 keys .* at most 2 keys/);
      assert.equal(await full.accepted(), 3);
    });

    test('says 429 and when to come back while too many bytes wait, and takes all of it in the end', async () => {
      const narrow = served.at('few-bytes');
      const bodies = Array.from({ length: 20 }, () => ndjson(Array.from({ length: 1000 }, () => visit('p'))));
      // Each is more than half of what may wait; sent together, some meet others.
      let waiting = bodies;
      let refused = 0;
      for (let rounds = 0; waiting.length > 0 && rounds < 100; rounds++) {
        const answers = await Promise.all(waiting.map((body) => narrow.post(body)));
        for (const { status, headers, json } of answers) {
          if (status === 200) continue;
          assert.equal(status, 429);
          assert.equal(headers.get('retry-after'), '1');
          assert.match(String(json['error']), /at most 65536/);
          refused += 1;
        }
        waiting = waiting.filter((_, i) => answers[i]?.status !== 200);
      }
      assert.equal(waiting.length, 0);
      assert.ok(refused > 0);
      assert.equal(await narrow.accepted(), 20_000);
    });
  });
}
