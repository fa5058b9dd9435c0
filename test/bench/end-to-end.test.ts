/**
 * The command itself, once, with times too short to measure anything: servers start, answer, are loaded and end, and
 * the three forms of the report are written. And signals, which leave nothing behind.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { decodeReport } from '../../bench/report/json.ts';
import { createRuntime } from '../../src/index.ts';
import { scriptedServer } from './scripted-server.ts';

const EXTENSION = import.meta.url.slice(-3);
const bench = (file: string): string => fileURLToPath(new URL(`../../bench/${file}${EXTENSION}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
after(() => rmSync(folder, { recursive: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** `whenSaid`: called with the process once stderr has matched. */
async function run(file: string, args: string[], whenSaid?: readonly [RegExp, (pid: number) => void]): Promise<Ended> {
  const child = spawn(process.execPath, [...process.execArgv, bench(file), ...args], { stdio: 'pipe' });
  let out = '';
  let err = '';
  let told = false;
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
    if (told || whenSaid === undefined || !whenSaid[0].test(err)) return;
    told = true;
    whenSaid[1](child.pid as number);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

const CHILD_GONE_MS_MAX = 60_000;
/** A machine that stands still for as long as is measured is no fault, unless it does so each time. */
const ATTEMPTS_MAX = 5;

/** Processes that were started by this one, and by them. */
function descendants(pid: number): number[] {
  const rows = execFileSync('ps', ['-A', '-o', 'pid=,ppid=']).toString().trim().split('\n');
  const pairs = rows.map((row) => row.trim().split(/\s+/).map(Number) as [number, number]);
  const of = (parent: number): number[] =>
    pairs.flatMap(([child, itsParent]) => (itsParent === parent ? [child, ...of(child)] : []));
  return of(pid);
}

/** Also of one that has ended and that nobody has waited for yet. */
function isGone(pid: number): boolean {
  try {
    return /^(Z.*)?$/.test(
      execFileSync('ps', ['-o', 'stat=', '-p', String(pid)])
        .toString()
        .trim(),
    );
  } catch {
    return true; // ps fails when it finds none.
  }
}

async function allGone(pids: readonly number[]): Promise<number[]> {
  const untilMs = Date.now() + CHILD_GONE_MS_MAX;
  for (;;) {
    const left = pids.filter((pid) => !isGone(pid));
    if (left.length === 0 || Date.now() > untilMs) return left;
    await wait(50);
  }
}

/** A server, something that keeps it busy, and what looks after the server. */
const CHILDREN_MIN = 3;

async function signalledWhileLoading(signal: NodeJS.Signals): Promise<Ended & { readonly left: number[] }> {
  const args = ['--scenario', 'echo', '--quick', '--variant', 'millrace 2026', '--client', 'own'];
  let children: number[] = [];
  const whenLoading = async (pid: number): Promise<void> => {
    const untilMs = Date.now() + CHILD_GONE_MS_MAX;
    while (children.length < CHILDREN_MIN && Date.now() < untilMs) {
      children = descendants(pid);
      await wait(50);
    }
    process.kill(pid, signal);
  };
  const ended = await run(
    'run',
    [...args, '--duration', '120', '--warmup', '0', '--connections', '2'],
    [/\[1\/1\] echo/, (pid) => void whenLoading(pid)],
  );
  assert.ok(children.length >= CHILDREN_MIN, `${children.length} children\n${ended.err}`);
  return { ...ended, left: await allGone(children) };
}

describe('npm run bench', () => {
  const json = join(folder, 'report.json');
  const html = join(folder, 'report.html');

  test('measures, prints, writes and compares', async () => {
    const args = ['--scenario', 'echo', '--quick', '--variant', 'raw uWebSockets.js,millrace 20', '--client', 'own'];
    const times = ['--duration', '0.15', '--warmup', '0.05', '--connections', '4'];
    const measure = async () => {
      const ended = await run('run', [...args, ...times, '--json', json, '--html', html]);
      const [scenario] = decodeReport(readFileSync(json, 'utf8'), json).scenarios;
      const isIdle = scenario?.variants.some(({ rounds }) => !((rounds[0]?.figures.perSecond ?? 0) > 0)) ?? true;
      return { ...ended, isIdle };
    };
    let measured = await measure();
    for (let attempt = 1; measured.isIdle && attempt < ATTEMPTS_MAX; attempt++) measured = await measure();
    const { code, err, out } = measured;
    assert.equal(code, 0, `${out}\n${err}`);
    assert.match(out, /millrace 2026-07-28 +\d+/);
    assert.match(out, /(met|MISSED) +echo 2026-07-28 over raw uWebSockets\.js/);
    assert.match(err, /round 1\/1 +millrace 2026-07-28/);
    const report = decodeReport(readFileSync(json, 'utf8'), json);
    const variants = report.scenarios[0]?.variants ?? [];
    assert.deepEqual(
      variants.map(({ name }) => name),
      ['raw uWebSockets.js', 'raw uWebSockets.js WebSocket', 'millrace 2026-07-28', 'millrace 2025-11-25 session'],
    );
    for (const { failures, name, rounds } of variants) {
      const figures = rounds[0]?.figures ?? {};
      assert.deepEqual(failures, [], name);
      assert.equal(figures.failed, 0, name);
      for (const [figure, value] of Object.entries(figures)) assert.equal(typeof value, 'number', figure);
      assert.ok((figures.perSecond ?? 0) > 0 && (figures.p99Us ?? 0) > 0, name);
      if (process.platform === 'linux') assert.ok((figures.residentMiB ?? 0) > 10, name);
    }
    assert.match(
      readFileSync(html, 'utf8'),
      /^<!doctype html>[\s\S]*aria-label="latency by percentile"[\s\S]*<\/html>\n$/,
    );
    const compared = await run('compare', [json, json]);
    assert.equal(compared.code, 0);
    assert.match(compared.out, /millrace 2026-07-28 +req\/s .* 1\.00 \(1\.00 to 1\.00\) +same/);
  });

  for (const client of ['own', 'autocannon', 'wrk'])
    test(`loads a server that is running, with its token, by ${client}, and ends on Ctrl-C with what there is`, async () => {
      const result = { content: [{ type: 'text', text: 'found' }] };
      let loading = 0;
      const server = await scriptedServer((res, _at, body, req) => {
        if (req.headers.authorization !== 'Bearer secret-of-the-test') res.writeHead(401).end();
        else {
          loading++;
          const { id } = JSON.parse(body) as { id: number };
          res.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, result }));
          if (loading === 500) waiting?.();
        }
      });
      let waiting: (() => void) | undefined;
      const interrupt = (pid: number): void => {
        const now = (): void => void process.kill(pid, 'SIGINT');
        if (loading >= 500) now();
        else waiting = now;
      };
      const args = ['--target', server.url, '--tool', 'search', '--args', '{"q":"x"}', '--token', 'secret-of-the-test'];
      const { code, err, out } = await run(
        'run',
        [...args, '--expect', 'found', '--client', client, '--connections', '2', '--warmup', '0', '--duration', '120'],
        [/\[1\/1\] target/, interrupt],
      );
      await server.close();
      assert.equal(code, 130, err);
      // A slow machine's figures are wider, and leave less for the name.
      assert.match(out, /tools\/call sear\S+ +\d+/);
      assert.match(out, /Interrupted: this is what had been measured/);
      // Where wrk is not installed the own client does it, and the report says so.
      const used = new RegExp(`\\[${client === 'wrk' ? '(wrk|own)' : client};\\s+1\\s+round\\]`);
      assert.match(out, used);
      assert.ok(!out.includes('secret-of-the-test'));
    });

  test('ends its servers and its load on SIGTERM, and reports what there is', async () => {
    const { code, err, left, out } = await signalledWhileLoading('SIGTERM');
    assert.equal(code, 130, err);
    assert.match(err, /stopping; once more to leave at once/);
    assert.match(out, /Interrupted: this is what had been measured/);
    assert.deepEqual(left, []);
  });

  test('leaves no process behind when it is killed', async () => {
    const { left } = await signalledWhileLoading('SIGKILL');
    assert.deepEqual(left, []);
  });

  test('says what is wrong with the command line and with the target', async () => {
    const usage = await run('run', ['--rounds', 'many']);
    assert.equal(usage.code, 64);
    assert.match(usage.err, /--rounds many: a whole number from 1 to 100/);
    const server = await scriptedServer((res) => void res.writeHead(401).end('who are you?'));
    const refused = await run('run', ['--target', server.url, '--rounds', '1', '--duration', '0.1']);
    await server.close();
    assert.equal(refused.code, 1);
    assert.match(refused.out, /asked once, the server answered 401 who are you\?/);
    const away = await run('run', ['--target', server.url, '--rounds', '1', '--duration', '0.1']);
    assert.equal(away.code, 1);
    assert.match(away.out, /cannot be reached: connect ECONNREFUSED/);
    // A disk that is full by then takes one file, not both, and no figures.
    const page = join(folder, 'kept.html');
    const full = await run('run', ['--target', server.url, '--rounds', '1', '--json', '/dev/full', '--html', page]);
    assert.equal(full.code, existsSync('/dev/full') ? 1 : 64);
    if (existsSync('/dev/full')) {
      assert.match(full.err, /bench: \/dev\/full: ENOSPC/);
      assert.match(readFileSync(page, 'utf8'), /<\/html>/);
    }
    // Before anything is measured.
    const file = join(folder, 'none', 'report.json');
    const unwritable = await run('run', ['--target', server.url, '--json', file, '--html', folder]);
    assert.equal(unwritable.code, 64);
    assert.equal(unwritable.out, '');
    assert.match(unwritable.err, /--json .*report\.json: cannot be written \(ENOENT\)/);
    assert.match(unwritable.err, /--html .*: cannot be written \(EISDIR\)/);
    const nobody = await run('run', ['--target', server.url, '--pid', String(2 ** 30)]);
    assert.equal(nobody.code, process.platform === 'linux' ? 64 : 1);
    const none = await run('run', ['--scenario', 'echo', '--quick', '--variant', 'no such variant']);
    assert.equal(none.code, 64);
    assert.match(none.err, /--variant no such variant: nothing has that in its name/);
    const broken = join(folder, 'broken.json');
    writeFileSync(broken, '{"rounds":');
    const config = await run('run', ['--config', broken]);
    assert.equal(config.code, 64);
    assert.match(config.err, /--config .*broken\.json: .*JSON/);
    for (const [files, problem] of [
      [[join(folder, 'none'), broken], /ENOENT.*none/],
      [[broken, broken], /broken\.json: .*JSON/],
      [['--fail-over', '2', broken, broken], /'--fail-over'/],
      [['--fail-above', '0.5', broken, broken], /--fail-above 0\.5: a number from 1 up/],
      [[broken], /give two files, not 1/],
    ] as const) {
      const compared = await run('compare', [...files]);
      assert.equal(compared.code, 64, 'no regression, a command line that is wrong');
      assert.match(compared.err, problem);
      assert.doesNotMatch(compared.err, / at .*\.[jt]s:\d/);
    }
  });

  test('sessions at a target are ended with the run', async () => {
    const runtime = await createRuntime({ port: 0, workers: 1, logLevel: 'silent' });
    try {
      const { url } = await runtime.listen();
      const flags = '--era 2025-11-25 --tool echo --client own --connections 3 --rounds 1 --duration 0.2';
      const args = ['--target', url, '--args', '{"text":"x"}', ...flags.split(' ')];
      const { code, err } = await run('run', args);
      assert.equal(code, 0, err);
      // Calls of this era are refused without a session.
      const metrics = await runtime.metrics();
      assert.match(metrics, /^millrace_sessions 0$/m);
    } finally {
      await runtime.close(0);
    }
  });

  test('a target that dies on the way fails the run', async () => {
    let asked = 0;
    const result = { content: [{ type: 'text', text: 'found' }] };
    const server = await scriptedServer((res, _at, body) => {
      const { id } = JSON.parse(body) as { id: number };
      asked++;
      if (asked > 1) res.destroy();
      else res.setHeader('content-type', 'application/json').end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    });
    const args = ['--target', server.url, '--tool', 'search', '--client', 'own', '--connections', '2', '--rounds', '1'];
    const died = (): Promise<Ended> => {
      asked = 0;
      return run('run', [...args, '--warmup', '0', '--duration', '0.5']);
    };
    let ended = await died();
    for (let attempt = 1; asked <= 1 && attempt < ATTEMPTS_MAX; attempt++) ended = await died();
    const { code, out } = ended;
    await server.close();
    assert.match(out, /! tools\/call search: connection closed by the server/);
    assert.equal(code, 1, out);
    assert.doesNotMatch(out, /a fresh server each/);
  });
});
