import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { inProcess } from './millrace.ts';
import { closedPort, serverWith } from './other-server.ts';

const PATH = '/streams/clicks/dead-letters';
const dlq = (...args: string[]) => inProcess(['streams', 'dlq', ...args]);

function letter(id: string, given: object = {}): object {
  const facts = { id, stream: 'clicks', seq: 2, index: 0, source: 'http', partition: '', reason: 'no n' };
  return { ...facts, arrivalMs: Date.UTC(2026, 0, 2, 3, 4, 5), text: '{"n":"x"}', base64: false, ...given };
}

interface Order {
  readonly action: string;
  readonly ids: readonly string[];
}

/** A server that keeps letters and does what it is told, and what it was asked. */
async function queueOf(
  context: { after(done: () => void): void },
  ids: string[],
  badAgain: readonly string[] = [],
  eventsPerLetter = 1,
) {
  const orders: Order[] = [];
  const tokens = new Set<string | undefined>();
  let kept = ids;
  const server = createServer(async (request, response) => {
    tokens.add(request.headers.authorization);
    const after = new URL(request.url ?? '', 'http://a').searchParams.get('after');
    if (request.method === 'GET') {
      const letters = kept.slice(after === null ? 0 : kept.indexOf(after) + 1).slice(0, 100);
      response.end(JSON.stringify({ letters: letters.map((id) => letter(id)) }));
      return;
    }
    const order = JSON.parse(Buffer.concat(await request.toArray()).toString()) as Order;
    orders.push(order);
    const there = order.ids.filter((id) => kept.includes(id));
    const rejected = there.filter((id) => badAgain.includes(id));
    kept = kept.filter((id) => !there.includes(id));
    const accepted = (there.length - rejected.length) * eventsPerLetter;
    const replayed = { letters: there.length, accepted, rejected: rejected.length, late: 0 };
    if (order.action === 'replay') kept = [...kept, ...rejected.map((id) => `9${id}`)];
    response.end(JSON.stringify(order.action === 'replay' ? replayed : { dropped: there.length }));
  });
  context.after(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, orders, tokens, left: () => kept };
}

const many = (letters: number): string[] => Array.from({ length: letters }, (_, i) => `${i + 1}:0`);

const NO_MORE = [200, '{"letters":[]}'] as const;

describe('streams dlq list', () => {
  test('prints a table of the letters, cut where they are long', async (context) => {
    const text = `{"n":"${'x'.repeat(100)}"}`;
    const letters = [letter('2:0'), letter('12:1', { text }), letter('13:0', { text: '/w==', base64: true })];
    const url = await serverWith(context, {
      [PATH]: [200, JSON.stringify({ letters })],
      [`${PATH}?after=13%3A0`]: NO_MORE,
    });
    assert.deepEqual(await dlq('list', 'clicks', '--url', `${url}/mcp`), {
      code: 0,
      err: '',
      out: [
        `${url} has 3 dead letters of clicks`,
        '',
        'id    arrived                   source  reason  event',
        '2:0   2026-01-02T03:04:05.000Z  http    no n    {"n":"x"}',
        `12:1  2026-01-02T03:04:05.000Z  http    no n    ${text.slice(0, 60)}…`,
        '13:0  2026-01-02T03:04:05.000Z  http    no n    base64 /w==',
        '',
      ].join('\n'),
    });
  });

  test('says so when there is none', async (context) => {
    const { url } = await queueOf(context, []);
    assert.deepEqual(await dlq('list', 'clicks', '--url', url), {
      code: 0,
      out: `${url} has no dead letters of clicks\n`,
      err: '',
    });
  });

  test('prints the oldest page, and every page with --all', async (context) => {
    const { url } = await queueOf(context, many(250));
    const some = await dlq('list', 'clicks', '--url', url);
    assert.match(some.out, /has the oldest 100 dead letters of clicks, and perhaps more: --all\n/);
    const all = JSON.parse((await dlq('list', 'clicks', '--url', url, '--all', '--json')).out);
    assert.deepEqual(
      all.letters.map(({ id }: { id: string }) => id),
      many(250),
    );
    assert.equal(all.complete, true);
    assert.equal(JSON.parse((await dlq('list', 'clicks', '--url', url, '--json')).out).complete, false);
  });

  test('lets no control character of an event reach the terminal, and keeps it in JSON', async (context) => {
    const text = 'a\u001b[2Jb\u009bc\nd';
    const answer = JSON.stringify({ letters: [letter('2:0', { text, reason: text })] });
    const url = await serverWith(context, { [PATH]: [200, answer], [`${PATH}?after=2%3A0`]: NO_MORE });
    const { out } = await dlq('list', 'clicks', '--url', url);
    assert.match(out, /a\[2Jbcd {2}a\[2Jbcd\n$/);
    const asJson = (await dlq('list', 'clicks', '--url', url, '--json')).out;
    assert.doesNotMatch(asJson.replaceAll('\n', ''), /\p{Cc}/u);
    assert.equal(JSON.parse(asJson).letters[0].text, text);
  });
});

describe('streams dlq replay and drop', () => {
  test('name the ids they are given, and end with 0 when all are dealt with', async (context) => {
    const { url, orders, left } = await queueOf(context, many(4));
    assert.deepEqual(await dlq('replay', 'clicks', '--ids', '1:0,3:0', '--url', url), {
      code: 0,
      out: '2 dead letters of clicks: 2 accepted, 0 refused again\n',
      err: '',
    });
    assert.deepEqual(await dlq('drop', 'clicks', '--ids', '2:0', '--url', url), {
      code: 0,
      out: '1 dead letter of clicks: 1 dropped\n',
      err: '',
    });
    assert.deepEqual(orders, [
      { action: 'replay', ids: ['1:0', '3:0'] },
      { action: 'drop', ids: ['2:0'] },
    ]);
    assert.deepEqual(left(), ['4:0']);
  });

  test('with --all go through the letters there were, a hundred at a time', async (context) => {
    const { url, orders, left } = await queueOf(context, many(250), ['7:0', '240:0']);
    const { code, out } = await dlq('replay', 'clicks', '--all', '--json', '--url', url);
    assert.deepEqual(
      orders.map(({ ids }) => ids.length),
      [100, 100, 50],
    );
    const counts = { asked: 250, accepted: 248, rejected: 2, late: 0, missing: 0 };
    assert.deepEqual([code, JSON.parse(out)], [1, { stream: 'clicks', action: 'replay', ...counts }]);
    assert.deepEqual(left(), ['97:0', '9240:0']);
    assert.equal((await dlq('drop', 'clicks', '--all', '--url', url)).out, '2 dead letters of clicks: 2 dropped\n');
    assert.deepEqual(left(), []);
    assert.equal((await dlq('drop', 'clicks', '--all', '--url', url)).out, `${url} has no dead letters of clicks\n`);
  });

  test('end with 1 and say so when an id is not there', async (context) => {
    const { url } = await queueOf(context, many(1));
    assert.deepEqual(await dlq('drop', 'clicks', '--ids', '1:0,5:0', '--url', url), {
      code: 1,
      out: '2 dead letters of clicks: 1 dropped, 1 not found or already taken\n',
      err: '',
    });
  });

  test('know a letter that is not there from the many events of one that is', async (context) => {
    const { url } = await queueOf(context, many(1), [], 20);
    assert.deepEqual(await dlq('replay', 'clicks', '--ids', '1:0,5:0', '--url', url), {
      code: 1,
      out: '2 dead letters of clicks: 20 accepted, 0 refused again, 1 not found or already taken\n',
      err: '',
    });
  });

  test('say how far they came when the server refuses in between', async (context) => {
    let orders = 0;
    const server = createServer((request, response) => {
      request.resume();
      orders += 1;
      const busy = orders === 2;
      response.writeHead(busy ? 429 : 200);
      response.end(busy ? '{"error":"too much waits"}' : '{"letters":100,"accepted":100,"rejected":0,"late":3}');
    });
    context.after(() => void server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ids = many(150).join(',');
    assert.deepEqual(await dlq('replay', 'clicks', '--ids', ids, '--url', url), {
      code: 1,
      out: '',
      err:
        `millrace: ${url}: answers 429: too much waits ` +
        '(after the first 100 of 150: 100 accepted (3 of them late), 0 refused again)\n',
    });
  });
});

describe('streams dlq', () => {
  test('sends the token it is given, and asks for one where it is missing', async (context) => {
    const { url, tokens } = await queueOf(context, []);
    await dlq('list', 'clicks', '--url', url, '--token', 'abc');
    await dlq('drop', 'clicks', '--url', url, '--ids', '1:0');
    assert.deepEqual([...tokens], ['Bearer abc', undefined]);
    const closed = await serverWith(context, { [PATH]: [401, '{"error":"missing token"}'] });
    assert.deepEqual(await dlq('list', 'clicks', '--url', closed), {
      code: 1,
      out: '',
      err: `millrace: ${closed}: wants a token (pass one with --token); it answers 401: missing token\n`,
    });
    const { err } = await dlq('list', 'clicks', '--url', closed, '--token', 'abc');
    assert.match(err, /wants a token \(the one given with --token is not accepted\); it answers 401: missing token\n$/);
  });

  test('tells what the server says of a stream that is not there, with 1', async (context) => {
    const url = await serverWith(context, {
      [PATH]: [404, '{"error":"no stream named \\"clicks\\""}'],
      '/streams/other/dead-letters': [404, '{"error":{"code":-32600,"message":"no streams are declared here"}}'],
    });
    assert.deepEqual(await dlq('list', 'clicks', '--url', url), {
      code: 1,
      out: '',
      err: `millrace: ${url}: answers 404: no stream named "clicks"\n`,
    });
    assert.deepEqual(await dlq('drop', 'other', '--all', '--url', url), {
      code: 1,
      out: '',
      err: `millrace: ${url}: answers 404: no streams are declared here\n`,
    });
  });

  test('ends with 69 when nobody, or somebody else, answers', async (context) => {
    const html = await serverWith(context, { [PATH]: [200, '<html>'] });
    const other = await serverWith(context, { [PATH]: [200, '{"letters":[{"n":1}]}'] });
    for (const [url, reason] of [
      [await closedPort(), 'nothing listens there'],
      [html, `${PATH} does not answer with JSON`],
      [other, 'answers, but not as millrace does'],
    ] as const) {
      for (const action of [['list'], ['replay', '--all']] as const) {
        const { code, err } = await dlq(...action, 'clicks', '--url', url);
        assert.deepEqual([code, err], [69, `millrace: ${url}: ${reason}\n`]);
      }
    }
  });

  test('refuses wrong usage with 64 and what was meant', async () => {
    const usage = 'usage: millrace streams dlq list|replay|drop STREAM';
    const choose = 'name the dead letters with --ids ID,ID,… or take --all of them, not both';
    for (const [args, problem] of [
      [[], usage],
      [['dql'], 'dql: unknown, did you mean dlq?'],
      [['dlq'], usage],
      [['dlq', 'replai', 'a'], 'replai: unknown, did you mean replay?'],
      [['dlq', 'list'], `the name of a stream is missing; ${usage}`],
      [['dlq', 'list', '../x'], '../x: not a valid stream name'],
      [['dlq', 'list', 'a', 'b'], 'b: unexpected argument'],
      [['dlq', 'list', 'a', '--ids', '1:0'], '--ids: only replay and drop take ids'],
      [['dlq', 'drop', 'a'], `drop: ${choose}`],
      [['dlq', 'replay', 'a', '--all', '--ids', '1:0'], `replay: ${choose}`],
      [
        ['dlq', 'drop', 'a', '--ids', '1:0,3/12:1,3/x'],
        '--ids 3/x: is not the id of a dead letter; ids look like 12:0 or 3/12:0',
      ],
      [['dlq', 'drop', 'a', '--ids', ','], '--ids: names none'],
      [
        ['dlq', 'drop', 'a', '--all', '--token', 'a b'],
        '--token: must be 1 to 8192 characters of ASCII, without spaces',
      ],
      [['dlq', 'list', 'a', '--url', 'nowhere'], '--url nowhere: must be an http:// or https:// URL'],
    ] as const) {
      const { code, out, err } = await inProcess(['streams', ...args]);
      assert.deepEqual([code, out, err], [64, '', `millrace: ${problem}\n`]);
    }
  });

  test('has a help of its own', async () => {
    const { code, out } = await inProcess(['streams', '--help']);
    assert.equal(code, 0);
    for (const flag of ['--ids', '--all', '--url', '--token', '--json']) assert.ok(out.includes(flag), flag);
  });
});
