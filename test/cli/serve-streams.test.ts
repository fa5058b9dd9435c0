import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/config/version.ts';
import { eventually } from '../clients/eventually.ts';
import { folderWith } from '../config/sources.ts';
import { asChild, type Child, type Ended, inProcess } from './millrace.ts';
import { readyUrl, resultOf } from './served.ts';

const SERVE = ['serve', '--port', '0', '--workers', '1', '--no-builtin-tools', '--log-level', 'warn'];

interface Row {
  readonly key: { readonly metric: string; readonly part: string };
  readonly start: number;
  readonly end: number;
  readonly values: { readonly readings: number; readonly mean: number; readonly highest: number };
}
interface Described {
  readonly counters: { readonly accepted: number };
  readonly operators: readonly { readonly kind: string; readonly name: string; readonly uri: string }[];
}

async function stopped(child: Child): Promise<void> {
  child.process.kill('SIGTERM');
  const { code, err } = await child.ended;
  assert.deepEqual([code, err], [0, '']);
}

/** What is refused before anything starts, told as from `cwd`: it is shown from where this process is. */
async function refused(args: readonly string[], cwd: string): Promise<Ended> {
  const ended = await inProcess(args, { cwd });
  return { ...ended, err: ended.err.replaceAll(`${relative(process.cwd(), cwd)}/`, '') };
}

/** Asks until there is an answer worth taking. */
async function answered<T>(ask: () => Promise<T | undefined>): Promise<T> {
  return (await eventually('an answer', ask, (answer) => answer !== undefined)) as T;
}

describe('serve --streams', () => {
  test('watches this machine by itself and answers over MCP', { timeout: 240_000 }, async (context) => {
    const example = join(PACKAGE_ROOT, 'examples/streams/machine.yaml');
    const world = { cwd: folderWith(context), compiled: true };
    const child = asChild(context, [...SERVE, '--streams', example], world);
    const url = await readyUrl(child);
    const rowOf = async (metric: string): Promise<Row | undefined> => {
      const query = { stream: 'machine', window: 'last_5_seconds', key: { metric } };
      const { rows } = await resultOf<{ rows: Row[] }>(url, 'window_query', query);
      return rows[0];
    };
    const memory = await answered(() => rowOf('memory'));
    assert.equal(memory.key.part, 'all');
    assert.equal(memory.end - memory.start, 5000);
    assert.ok(memory.values.mean > 0 && memory.values.highest <= 100 && memory.values.readings >= 1);
    // A processor needs two samples.
    const cpu = await answered(() => rowOf('cpu'));
    assert.ok(cpu.values.mean >= 0 && cpu.values.highest <= 100);
    const { counters, operators } = await resultOf<Described>(url, 'stream_describe', { stream: 'machine' });
    assert.ok(counters.accepted > 2);
    const alert = operators.find(({ kind }) => kind === 'alert');
    assert.deepEqual([alert?.name, alert?.uri], ['busy_core', 'stream://machine/alerts/busy_core']);
    const { alerts } = await resultOf<{ alerts: unknown[] }>(url, 'alert_list', { stream: 'machine' });
    assert.ok(Array.isArray(alerts));
    await stopped(child);
  });

  test('refuses wrong definitions before anything is served, and names their files', async (context) => {
    const good = { name: 'good', schema: { fields: { n: 'number' } } };
    const cwd = folderWith(context, {
      'millrace.config.json': JSON.stringify({ streams: [good], streamFiles: ['more/b.yaml', 'a.yaml'] }),
      'more/b.yaml': 'streams:\n  - {name: b, schema: {fields: {n: number}}}\n  - {name: c, sizes: 1}\n',
      'a.yaml': 'name: a\nschema: {fields: {n: numbr}}\n',
    });
    const { code, out, err } = await refused(SERVE, cwd);
    assert.deepEqual([code, out], [78, '']);
    const [first, second, third] = err.split('\n');
    assert.match(first ?? '', /^millrace: more\/b\.yaml: streams\[1\]\.schema: missing, expected /);
    assert.match(second ?? '', /^millrace: more\/b\.yaml: streams\[1\]\.sizes: "sizes", expected /);
    assert.match(third ?? '', /^millrace: a\.yaml: streams\[0\]\.schema\.fields\.n: "numbr", expected /);
    const over = await refused(['stdio', '--log-level', 'silent'], cwd);
    assert.deepEqual(over, { code, out, err });
  });

  test('paths begin at the folder of the file that declares them, wherever it is started', {
    timeout: 240_000,
  }, async (context) => {
    const stream = (name: string) => ({
      ...{ name, durability: 'fsync', schema: { fields: { n: 'number' } }, views: [{ name: 'all' }] },
      sources: [{ type: 'file', path: `in/${name}.ndjson` }],
      sinks: [{ type: 'file', path: `${name}.out.ndjson` }],
    });
    const root = folderWith(context, {
      'conf/millrace.config.json': JSON.stringify({
        ...{ streams: [stream('a')], streamFiles: ['more/b.json'] },
        streaming: { dataDir: 'data' },
      }),
      'conf/more/b.json': JSON.stringify(stream('b')),
      'conf/in/a.ndjson': '{"n":1}\n',
      'conf/more/in/b.ndjson': '{"n":2}\n{"n":3}\n',
      'elsewhere/empty': '',
    });
    const numbersIn = (file: string): number[] =>
      readFileSync(join(root, 'conf', file), 'utf8')
        .split('\n')
        .flatMap((line) => (line.includes('"values"') ? [JSON.parse(line).values.n] : []));
    const args = [...SERVE, '--config', join(root, 'conf/millrace.config.json')];
    const runIn = async (cwd: string, a: number[], b: number[]): Promise<void> => {
      const child = asChild(context, args, { cwd: join(root, cwd), compiled: true });
      await readyUrl(child);
      await answered(async () => {
        const all = [numbersIn('a.out.ndjson'), numbersIn('more/b.out.ndjson')];
        return all.flat().length >= a.length + b.length ? all : undefined;
      });
      await stopped(child);
      assert.deepEqual([numbersIn('a.out.ndjson'), numbersIn('more/b.out.ndjson')], [a, b]);
    };
    await runIn('.', [1], [2, 3]);
    appendFileSync(join(root, 'conf/in/a.ndjson'), '{"n":4}\n');
    await runIn('elsewhere', [1, 4], [2, 3]);
    assert.deepEqual(readdirSync(join(root, 'elsewhere')), ['empty']);
  });

  test('names the file of a connector that cannot be, and of the one that is in its way', async (context) => {
    const stream = (name: string, sinks: object[]) => ({ name, schema: { fields: { n: 'number' } }, sinks });
    const cwd = folderWith(context, {
      'millrace.config.json': JSON.stringify({ streams: [stream('a', [{ type: 'file', path: 'out.ndjson' }])] }),
      'b.json': JSON.stringify([
        stream('b', [
          { type: 'webhook', url: 'http://127.0.0.1:1' },
          { type: 'file', path: 'out.ndjson' },
        ]),
      ]),
    });
    const { err } = await refused([...SERVE, '--streams', 'b.json'], cwd);
    const problem =
      'b.json: streams[0].sinks[1].path: "out.ndjson", expected a path of its own: millrace.config.json: streams[0].sinks[0] writes there\n';
    assert.equal(err, `millrace: ${problem}`);
    const checked = await inProcess(['check', '--streams', 'b.json'], { cwd });
    assert.equal(checked.err, `millrace: ${problem}`);
  });

  test('names the file of a stream that needs Redis where there is none', async (context) => {
    const b = { name: 'b', schema: { fields: { n: 'number' } }, durability: 'replicated' };
    const cwd = folderWith(context, { 'b.json': JSON.stringify([b]) });
    const { err } = await refused([...SERVE, '--streams', 'b.json'], cwd);
    const expected = 'expected fsync or memory: there is no redisUrl';
    assert.equal(err, `millrace: b.json: streams[0].durability: "replicated", ${expected}\n`);
  });
});

const clicks = (type: string): string => `name: clicks
durability: fsync
schema:
  fields: {user: string, n: ${type}}
  key: [user]
windows:
  - {name: counts, type: global, aggregates: {n: count}}
`;

describe('streams dlq with a served stream', () => {
  test('lists poison, takes it back once the schema fits, drops the rest', { timeout: 240_000 }, async (context) => {
    const cwd = folderWith(context, { 'clicks.yaml': clicks('integer') });
    const start = async (): Promise<{
      child: Child;
      dlq: (...args: string[]) => ReturnType<typeof inProcess>;
      url: string;
    }> => {
      const child = asChild(context, [...SERVE, '--streams', 'clicks.yaml'], { cwd, compiled: true });
      const url = await readyUrl(child);
      return { child, url, dlq: (...args) => inProcess(['streams', 'dlq', ...args, '--url', url]) };
    };
    const idsIn = (out: string): string[] => JSON.parse(out).letters.map(({ id }: { id: string }) => id);

    const first = await start();
    const sent = await fetch(new URL('/streams/clicks/events', first.url), {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: '{"user":"ada","n":1}\n{"user":"ada","n":"two"}\n{"user":"bob","n":"three"}\nno JSON at all',
    });
    assert.deepEqual(await sent.json(), { accepted: 1, rejected: 3, late: 0 });
    const listed = await first.dlq('list', 'clicks');
    assert.equal(listed.code, 0);
    assert.match(listed.out, /has 3 dead letters of clicks\n/);
    assert.match(listed.out, /^\d+:0 .* http .*field "n".*\{"user":"ada","n":"two"\}$/m);
    assert.match(listed.out, /no JSON at all$/m);
    const [two = '', three = ''] = idsIn((await first.dlq('list', 'clicks', '--json')).out);
    const again = await first.dlq('replay', 'clicks', '--ids', two);
    assert.deepEqual(again, { code: 1, out: '1 dead letter of clicks: 0 accepted, 1 refused again\n', err: '' });
    const moved = idsIn((await first.dlq('list', 'clicks', '--json')).out);
    assert.ok(moved.length === 3 && !moved.includes(two) && moved.includes(three));
    const unknown = await first.dlq('list', 'clocks');
    assert.deepEqual(
      [unknown.code, unknown.err],
      [1, `millrace: ${new URL(first.url).origin}: answers 404: no stream named "clocks"; did you mean clicks?\n`],
    );
    await stopped(first.child);

    writeFileSync(join(cwd, 'clicks.yaml'), clicks('string'));
    const second = await start();
    const taken = await second.dlq('replay', 'clicks', '--all');
    assert.deepEqual(taken, { code: 1, out: '3 dead letters of clicks: 2 accepted, 1 refused again\n', err: '' });
    const { rows } = await resultOf<{ rows: { key: { user: string }; values: { n: number } }[] }>(
      second.url,
      'window_query',
      {
        stream: 'clicks',
        window: 'counts',
      },
    );
    const counts = rows.map(({ key, values }) => `${key.user} ${values.n}`).sort();
    assert.ok(counts.includes('bob 1') && counts.some((line) => line.startsWith('ada ')), counts.join());
    assert.deepEqual(await second.dlq('drop', 'clicks', '--all'), {
      code: 0,
      out: '1 dead letter of clicks: 1 dropped\n',
      err: '',
    });
    assert.deepEqual(idsIn((await second.dlq('list', 'clicks', '--json')).out), []);
    await stopped(second.child);
  });

  test('needs the token the server wants', async (context) => {
    const cwd = folderWith(context, { 'clicks.yaml': clicks('integer').replace('fsync', 'memory') });
    const env = { MILLRACE_AUTH_TOKENS: '[{"token":"let-me-in-please-0123","id":"ops"}]' };
    const child = asChild(context, [...SERVE, '--streams', 'clicks.yaml'], { cwd, env, compiled: true });
    const url = await readyUrl(child);
    const list = ['streams', 'dlq', 'list', 'clicks', '--url', url];
    const refused = await inProcess(list);
    assert.equal(refused.code, 1);
    assert.match(refused.err, /: wants a token \(pass one with --token\); it answers 401: /);
    const wrong = await inProcess([...list, '--token', 'another']);
    assert.match(wrong.err, /: wants a token \(the one given with --token is not accepted\); it answers 401: /);
    const { code, out } = await inProcess([...list, '--token', 'let-me-in-please-0123']);
    assert.deepEqual([code, out], [0, `${new URL(url).origin} has no dead letters of clicks\n`]);
    await stopped(child);
  });
});
