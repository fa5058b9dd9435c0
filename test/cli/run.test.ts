import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { COMMANDS } from '../../src/cli/command-line.ts';
import { STRAY_ERRORS_MAX, StrayErrors } from '../../src/cli/signals.ts';
import { OPTIONS } from '../../src/config/options.ts';
import { MILLRACE_VERSION } from '../../src/config/version.ts';
import { folderWith } from '../config/sources.ts';
import { inProcess } from './millrace.ts';
import { closedPort, type Pages, serverWith } from './other-server.ts';

describe('usage', () => {
  test('the version is printed alone', async () => {
    for (const flag of ['--version', '-v']) {
      assert.deepEqual(await inProcess([flag]), { code: 0, out: `${MILLRACE_VERSION}\n`, err: '' });
    }
  });

  test('help is printed on request, and instead of guessing', async () => {
    for (const args of [['--help'], ['-h'], ['help']]) {
      const { code, out } = await inProcess(args);
      assert.equal(code, 0);
      for (const command of COMMANDS) assert.match(out, new RegExp(`millrace ${command}`));
    }
    const bare = await inProcess([]);
    assert.deepEqual([bare.code, bare.out], [64, '']);
    assert.match(bare.err, /millrace serve/);
  });

  test('the help of serve names every flag and every variable', async () => {
    const { out } = await inProcess(['serve', '--help']);
    for (const option of OPTIONS) {
      if (option.flag !== null) assert.ok(out.includes(`--${option.flag}`), option.name);
      assert.ok(out.includes(option.env), option.env);
    }
  });

  test('wrong usage ends with 64 and a suggestion', async () => {
    assert.deepEqual(await inProcess(['serv']), {
      code: 64,
      out: '',
      err: 'millrace: serv: unknown command, did you mean serve?\nmillrace: see millrace --help\n',
    });
    assert.deepEqual(await inProcess(['status', 'x', '--urll', 'y']), {
      code: 64,
      out: '',
      err: 'millrace: --urll: unknown option, did you mean --url?\nmillrace: x: unexpected argument\n',
    });
  });
});

const STREAM = {
  name: 'orders',
  schema: { fields: { at: 'integer', n: 'number' }, timestamp: { field: 'at', unit: 'ms' }, key: [] },
  windows: [{ name: 'w', type: 'tumbling', sizeMs: 1000, aggregates: { n: 'count' } }],
};

describe('check', () => {
  test('prints each value with the place it came from', async (context) => {
    const cwd = folderWith(context, { 'millrace.config.yaml': 'port: 9000\nqueueSize: 5\nserver: {name: mill}\n' });
    const env = { MILLRACE_PORT: '9001', MILLRACE_WORKERS: '3' };
    const { code, out, err } = await inProcess(['check', '--log-level', 'debug'], { cwd, env });
    assert.deepEqual([code, err], [0, '']);
    for (const line of [
      /^configuration file .*millrace\.config\.yaml$/m,
      /^port +9001 +MILLRACE_PORT$/m,
      /^queueSize +5 +millrace\.config\.yaml$/m,
      /^workers +3 +MILLRACE_WORKERS$/m,
      /^maxConcurrent +auto \(300\) +default$/m,
      /^logLevel +debug +--log-level$/m,
      /^server\.name +mill +millrace\.config\.yaml$/m,
      /^memory reserved \d+ MiB, all limits at once \d+ MiB, machine \d+ MiB$/m,
      /^ok$/m,
    ]) {
      assert.match(out, line);
    }
  });

  test('writes the memory of each part under that of the others, however long its name is', async (context) => {
    const streams = JSON.stringify([STREAM]);
    const { code, out } = await inProcess(['check'], { cwd: folderWith(context), env: { MILLRACE_STREAMS: streams } });
    assert.equal(code, 0);
    const parts = out.split('\n').filter((line) => / MiB( {2}\(|$)/.test(line) && line.startsWith('  '));
    assert.ok(parts.length > 5, out);
    assert.equal(new Set(parts.map((line) => line.indexOf(' MiB'))).size, 1, parts.join('\n'));
  });

  test('says the same as JSON', async (context) => {
    const cwd = folderWith(context, { 'millrace.config.json': '{"port": 9000}' });
    const { code, out } = await inProcess(['check', '--json', '--workers', '3'], { cwd });
    const report = JSON.parse(out);
    assert.equal(code, 0);
    assert.equal(report.ok, true);
    assert.deepEqual(report.options.port, { value: 9000, source: 'millrace.config.json' });
    assert.deepEqual(report.options.workers, { value: 3, source: '--workers' });
    assert.deepEqual(report.options.maxConcurrent, { value: 'auto', effective: 300, source: 'default' });
    assert.equal(Object.keys(report.options).length, OPTIONS.length);
    assert.ok(report.memory.reservedMiB > 0);
  });

  test('shows no secret, in text or JSON', async (context) => {
    const cwd = folderWith(context);
    const env = {
      MILLRACE_STATE_SECRET: 'tell-nobody-'.repeat(4),
      MILLRACE_AUTH_TOKENS: '[{"token":"tell-nobody-0123","id":"ci"}]',
    };
    for (const args of [['check'], ['check', '--json']]) {
      const { code, out } = await inProcess(args, { cwd, env });
      assert.equal(code, 0);
      assert.doesNotMatch(out, /tell-nobody/);
      assert.match(out, /\(hidden\)/);
    }
  });

  test('tells every problem at once and ends with 64 when the command line has one, else with 78', async (context) => {
    const cwd = folderWith(context, { 'millrace.config.yaml': 'port: none\n' });
    const problems = [
      '--wrkers: unknown option, did you mean --workers?',
      'extra: unexpected argument',
      'millrace.config.yaml: port = none: must be an integer from 0 to 65535',
      '--queue-size 0: must be an integer from 1 to 1000000 (calls)',
    ];
    const args = ['check', '--wrkers', '3', '--queue-size', '0', 'extra'];
    assert.deepEqual(await inProcess(args, { cwd }), {
      code: 64,
      out: '',
      err: problems.map((problem) => `millrace: ${problem}\n`).join(''),
    });
    const asJson = await inProcess([...args, '--json'], { cwd });
    assert.deepEqual([asJson.code, JSON.parse(asJson.out)], [64, { ok: false, problems }]);
    const ofFile = await inProcess(['check', '--queue-size', '1'], { cwd });
    assert.deepEqual([ofFile.code, ofFile.err], [78, `millrace: ${problems[2]}\n`]);
    const ofVariable = await inProcess(['check'], { env: { MILLRACE_PORT: 'x' }, cwd: folderWith(context) });
    assert.equal(ofVariable.code, 78);
  });

  test('whatever is wrong with a flag ends every command with 64', async (context) => {
    const cwd = folderWith(context);
    for (const args of [
      ['--porrt', '1'],
      ['--port', 'x'],
      ['--port'],
      ['extra'],
      ['--config', 'gone.json'],
      ['--streams', 'gone.json'],
      ['--tls-key', 'gone.pem'],
    ]) {
      for (const command of ['serve', 'check']) {
        const { code, err } = await inProcess([command, ...args], { cwd });
        assert.deepEqual([code, err.startsWith('millrace: ')], [64, true], `${command} ${args.join(' ')}: ${err}`);
      }
    }
    for (const args of [
      ['status', '--porrt', '1'],
      ['status', '--url', 'nowhere'],
      ['streams', 'dlq', 'list', 'a', '--ids', '1:0'],
      ['streams', 'dlq', 'replay', 'a', '--ids', 'x'],
      ['streams', 'dlq', 'list', 'a', '--porrt'],
      ['init', '--stream'],
    ]) {
      assert.equal((await inProcess(args, { cwd })).code, 64, args.join(' '));
    }
  });
});

describe('status', () => {
  const node = (id: string, status: string) => ({
    id,
    status,
    url: 'http://127.0.0.1:8080/mcp',
    load: 2,
    maxLoad: 10,
    tools: ['a', 'b'],
    version: '0.1.0',
    busy: false,
    epoch: 1,
    heartbeatAgeMs: 4.4,
  });
  const cluster = JSON.stringify({ nodes: [node('one', 'running'), node('two', 'stopping')], warnings: [] });
  const ready: Pages = { '/health/ready': [200, '{"status":"running","degraded":[]}'], '/cluster': [200, cluster] };

  test('prints the nodes of a ready server and ends with 0', async (context) => {
    const url = await serverWith(context, ready);
    assert.deepEqual(await inProcess(['status', '--url', `${url}/mcp`]), {
      code: 0,
      err: '',
      out: [
        `${url} is ready (running)`,
        '',
        'node  status   load  tools  version  heartbeat  url',
        'one   running  2/10  2      0.1.0    4 ms       http://127.0.0.1:8080/mcp',
        '',
      ].join('\n'),
    });
    assert.match((await inProcess(['status', '--all', '--url', url])).out, /^two {3}stopping {2}2\/10 {2}2: a b /m);
  });

  test('prints JSON', async (context) => {
    const url = await serverWith(context, ready);
    const { out } = await inProcess(['status', '--json', '--all', '--url', url]);
    assert.deepEqual(JSON.parse(out), { ready: true, status: 'running', degraded: [], ...JSON.parse(cluster) });
  });

  test('ends with 1 when something is wrong with the nodes though this one is ready', async (context) => {
    const busy = { ...node('one', 'running'), busy: true };
    const odd = JSON.stringify({ nodes: [busy], warnings: ['no node runs the tool hash'] });
    const url = await serverWith(context, { ...ready, '/cluster': [200, odd] });
    const { code, out } = await inProcess(['status', '--url', url]);
    assert.equal(code, 1);
    assert.match(out, /^one {3}running, busy/m);
    assert.ok(out.endsWith('\n\nwarning: no node runs the tool hash\n'), out);
    const hurt = '{"status":"running","degraded":["redis away"]}';
    const degraded = await serverWith(context, { ...ready, '/health/ready': [200, hurt] });
    const asJson = await inProcess(['status', '--json', '--url', degraded]);
    assert.deepEqual([asJson.code, JSON.parse(asJson.out).degraded], [1, ['redis away']]);
  });

  test('ends with 1 when the server is not ready, and says what hurts', async (context) => {
    const body = '{"status":"draining","degraded":["workers"]}';
    const url = await serverWith(context, { ...ready, '/health/ready': [503, body] });
    const { code, out } = await inProcess(['status', '--url', url]);
    assert.equal(code, 1);
    assert.ok(out.startsWith(`${url} is not ready (draining, degraded: workers)\n`), out);
  });

  test('ends with 69 and the reason when nobody, or somebody else, answers', async (context) => {
    const url = await serverWith(context, {});
    const html = await serverWith(context, { '/health/ready': [200, '<html>'] });
    const other = await serverWith(context, { '/health/ready': [200, '{}'], '/cluster': [200, '[]'] });
    const closed = await closedPort();
    for (const [asked, reason] of [
      [url, '/health/ready answers 404'],
      [html, '/health/ready does not answer with JSON'],
      [other, 'answers, but not as millrace does'],
      [closed, 'nothing listens there'],
      // One of those that fetch does not ask.
      ['http://127.0.0.1:10080', 'cannot be reached (bad port)'],
    ] as const) {
      const { code, out, err } = await inProcess(['status', '--url', asked]);
      assert.deepEqual([code, out, err], [69, '', `millrace: ${asked}: ${reason}\n`]);
    }
  });

  test('refuses what is no web address', async () => {
    for (const url of ['nowhere', 'ftp://a', 'file:///etc/passwd']) {
      assert.deepEqual(await inProcess(['status', '--url', url]), {
        code: 64,
        out: '',
        err: `millrace: --url ${url}: must be an http:// or https:// URL\n`,
      });
    }
  });

  test('lets no control character of the server reach the terminal', async (context) => {
    const nodes = JSON.stringify({ nodes: [node('\u001b[2Jone', 'running')] });
    const url = await serverWith(context, { ...ready, '/cluster': [200, nodes] });
    const { out } = await inProcess(['status', '--url', url]);
    assert.ok(out.includes('[2Jone') && !out.includes('\u001b'), JSON.stringify(out));
  });
});

describe('stray errors', () => {
  const ignore = (): undefined => undefined;
  const quiet = { debug: ignore, info: ignore, warn: ignore, error: ignore };

  test('are survived one by one, but a flood within a minute is the end', () => {
    let given = 0;
    const strays = new StrayErrors(quiet, () => given++);
    for (let i = 0; i < STRAY_ERRORS_MAX; i++) strays.seen(new Error('x'), 1000);
    assert.equal(given, 0);
    strays.seen(new Error('x'), 60_999);
    assert.equal(given, 1);
  });

  test('are forgotten after a minute', () => {
    let given = 0;
    const strays = new StrayErrors(quiet, () => given++);
    for (let minute = 1; minute < 10; minute++) {
      for (let i = 0; i < STRAY_ERRORS_MAX; i++) strays.seen(new Error('x'), minute * 60_000);
    }
    assert.equal(given, 0);
  });
});
