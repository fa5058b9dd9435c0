import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/config/version.ts';
import { folderWith } from '../config/sources.ts';
import { asChild, inProcess } from './millrace.ts';

const CLICKS = { name: 'clicks', schema: { fields: { user: 'string', n: 'number' }, key: ['user'] } };
const COUNTS = { name: 'counts', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } };
const SALES = {
  name: 'sales',
  schema: { fields: { user: 'string', amount: 'number' }, key: ['user'] },
  windows: [COUNTS],
  patterns: [{ name: 'twice', steps: [{ name: 'a' }, { name: 'b' }], withinMs: 1000 }],
  alerts: [{ name: 'many', on: 'counts', when: 'n > 3' }],
  sinks: [{ type: 'file', path: 'x', of: ['counts'] }],
};
const json = (value: unknown): string => JSON.stringify(value);

describe('check', () => {
  test('names the streams of the configuration and of the files, and what they have', async (context) => {
    const cwd = folderWith(context, {
      'millrace.config.json': json({ streams: [CLICKS], streamFiles: ['sales.json'] }),
      'sales.json': json(SALES),
    });
    const { code, out, err } = await inProcess(['check'], { cwd });
    assert.deepEqual([code, err], [0, '']);
    assert.deepEqual(
      out.split('\n').filter((line) => line.startsWith('stream ')),
      [
        'stream clicks: nothing is computed of it',
        'stream sales: windows counts; patterns twice; alerts many; sinks file',
      ],
    );
    const asJson = JSON.parse((await inProcess(['check', '--json'], { cwd })).out);
    assert.deepEqual(asJson.streams, [
      { name: 'clicks' },
      { name: 'sales', windows: ['counts'], patterns: ['twice'], alerts: ['many'], sinks: ['file'] },
    ]);
  });

  test('takes --streams as serve does', async (context) => {
    const cwd = folderWith(context, { 'sales.yaml': 'streams: []\n', 'clicks.json': json([CLICKS]) });
    const { code, out } = await inProcess(['check', '--streams', 'sales.yaml', '--streams', 'clicks.json'], { cwd });
    assert.equal(code, 0);
    assert.match(out, /^stream clicks: /m);
    const missing = await inProcess(['check', '--streams', 'none.yaml'], { cwd });
    assert.equal(missing.code, 64);
    assert.match(missing.err, /^millrace: --streams .*there is no file .*none\.yaml\n$/);
  });

  test('tells every problem with its file and its path there, and ends with 78', async (context) => {
    const cwd = folderWith(context, {
      'millrace.config.json': json({ streams: [{ ...CLICKS, windows: [{ ...COUNTS, sizeMs: -1 }] }] }),
      'a.json': json([
        { ...SALES, name: 'a' },
        { ...SALES, alerts: [{ name: 'many', on: 'count', when: 'n > 3' }] },
      ]),
      'b.json': json({ streams: [{ ...CLICKS, name: 'b', schema: { fields: { n: 'numbr' } } }] }),
    });
    const args = ['check', '--streams', 'a.json', '--streams', 'b.json'];
    const { code, out, err } = await inProcess(args, { cwd });
    assert.deepEqual([code, out], [78, '']);
    const lines = err.trimEnd().split('\n');
    assert.ok(
      lines.some((line) =>
        line.startsWith('millrace: millrace.config.json: streams[0].windows[0].sizeMs: -1, expected '),
      ),
      err,
    );
    assert.ok(
      lines.some((line) => line.startsWith('millrace: b.json: streams[0].schema.fields.n: "numbr", expected ')),
      err,
    );
    const asJson = JSON.parse((await inProcess([...args, '--json'], { cwd })).out);
    assert.deepEqual(asJson, { ok: false, problems: lines.map((line) => line.replace('millrace: ', '')) });
  });

  test('asks sources and sinks about their options, and opens none', async (context) => {
    const url = 'redis://user:secret@127.0.0.1:1';
    const cwd = folderWith(context, {
      'a.json': json([
        {
          ...CLICKS,
          sources: [{ type: 'file' }, { type: 'generator', rate: -1 }, { type: 'redis', url, stream: 'x' }],
        },
        {
          ...SALES,
          sinks: [
            { type: 'file', path: 'x' },
            { type: 'redis', url, stream: 'y', maxLen: 'many' },
            { type: 'webhook', url: 'ftp://x' },
            { type: 'filee', path: 'x' },
            { type: 'file', pahts: 'x', path: 'y' },
          ],
        },
      ]),
    });
    const { code, err } = await inProcess(['check', '--streams', 'a.json'], { cwd });
    assert.equal(code, 78);
    const lines = err.trimEnd().split('\n');
    for (const begin of [
      'a.json: streams[0].sources[0].path: missing, expected ',
      'a.json: streams[0].sources[1].rate: -1, expected ',
      'a.json: streams[1].sinks[1].maxLen: "many", expected ',
      'a.json: streams[1].sinks[2].url: "ftp://x", expected ',
      'a.json: streams[1].sinks[3].type: "filee", expected one of file, parquet, redis, webhook, stream; did you mean file?',
      'a.json: streams[1].sinks[4].pahts: "pahts", expected no such option, but one of type, name, of, path; did you mean path?',
    ]) {
      assert.ok(
        lines.some((line) => line.startsWith(`millrace: ${begin}`)),
        `${begin}\n${err}`,
      );
    }
    assert.equal(lines.length, 6, err);
    assert.ok(!err.includes('secret'));
    assert.deepEqual(readdirSync(cwd), ['a.json']);
  });

  test('misses modules of reducers, which are named from the folder of their file', async (context) => {
    const aggregates = (module: string) => ({ mid: { fn: 'custom', of: 'n', module } });
    const stream = (name: string, module: string) => ({
      ...{ ...CLICKS, name },
      windows: [{ name: 'w', type: 'global', aggregates: aggregates(module) }],
    });
    const reducer =
      'export default { init: () => 0, add: (s, v) => s + v, merge: (a, b) => a + b, result: (s) => s };\n';
    const cwd = folderWith(context, {
      'millrace.config.json': json({ streams: [stream('a', './a.mjs')], streamFiles: ['more/b.json'] }),
      'a.mjs': reducer,
      'more/b.json': json([stream('b', 'b.mjs'), stream('c', '../a.mjs'), stream('p', 'a-package')]),
      'more/b.mjs': reducer,
    });
    assert.equal((await inProcess(['check'], { cwd })).err, '');
    const child = asChild(context, ['serve', '--port', '0', '--workers', '1', '--log-level', 'warn'], {
      cwd,
      compiled: true,
    });
    assert.match((await child.ended).err, /^millrace: cannot start: reducer module a-package cannot be loaded/);
    rmSync(join(cwd, 'a.mjs'));
    const { code, err } = await inProcess(['check'], { cwd });
    const missing = `windows[0].aggregates.mid.module: "${join(cwd, 'a.mjs')}", expected a file that is there`;
    assert.deepEqual(
      [code, err],
      [78, `millrace: millrace.config.json: streams[0].${missing}\nmillrace: more/b.json: streams[1].${missing}\n`],
    );
  });

  test('misses the Redis that replicated streams need', async (context) => {
    const replicated = { ...CLICKS, durability: 'replicated' };
    const cwd = folderWith(context, { 'a.json': json([SALES, replicated]) });
    const { code, err } = await inProcess(['check', '--streams', 'a.json'], { cwd });
    const expected = 'expected fsync or memory: there is no redisUrl';
    assert.deepEqual([code, err], [78, `millrace: a.json: streams[1].durability: "replicated", ${expected}\n`]);
    const there = await inProcess(['check', '--streams', 'a.json', '--redis-url', 'redis://127.0.0.1:1'], { cwd });
    assert.deepEqual([there.code, there.err], [0, '']);
  });

  test('counts positions within the file, past the streams of other files', async (context) => {
    const cwd = folderWith(context, {
      'a.json': json([CLICKS]),
      'b.json': json([{ ...SALES, alerts: [{ name: 'many', on: 'count', when: 'n > 3' }] }]),
      'c.json': json(CLICKS),
    });
    const wrong = await inProcess(['check', '--streams', 'a.json', '--streams', 'b.json'], { cwd });
    assert.equal(wrong.code, 78);
    assert.match(
      wrong.err,
      /^millrace: b\.json: streams\[0\]\.alerts\[0\]\.on: "count", expected .*did you mean counts\?\n$/,
    );
    const twice = await inProcess(['check', '--streams', 'a.json', '--streams', 'c.json'], { cwd });
    assert.equal(twice.err, 'millrace: c.json: streams[0].name: "clicks", expected a name that no other stream has\n');
  });

  test('names each file that cannot be read, or holds no definitions', async (context) => {
    const cwd = folderWith(context, { 'a.json': '{', 'b.yaml': 'port: 1\n' });
    const { code, err } = await inProcess(['check', '--streams', 'a.json', '--streams', 'b.yaml'], { cwd });
    assert.equal(code, 78);
    assert.match(err, /^millrace: a\.json: cannot be read: .*\nmillrace: .*b\.yaml: must hold a stream definition/);
  });

  test('accepts every example', async () => {
    const folder = join(PACKAGE_ROOT, 'examples/streams');
    const examples = readdirSync(folder);
    assert.ok(examples.length > 0);
    for (const example of examples) {
      const { code, err } = await inProcess(['check', '--streams', join(folder, example)], { cwd: folder });
      assert.deepEqual([code, err], [0, ''], example);
    }
  });
});
