/**
 * The command line of the bench: what is understood, and what is said of what is not.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { type BenchOptions, parseOptions, shownCommand } from '../../bench/options.ts';
import { suiteScenarios } from '../../bench/scenarios/all.ts';

const files = new Map([
  ['load.json', '{"target":"http://127.0.0.1:8080/mcp","tool":"search","args":{"q":"x"},"rate":50,"duration":5}'],
  ['args.json', '{"text":"from a file"}'],
  ['words.json', '{"quick":"yes"}'],
  ['wrong.json', '{"taget":"http://127.0.0.1/"}'],
  ['types.json', '{"json":true,"connections":[5],"scenario":["echo","lists"]}'],
]);

function readFile(path: string): string {
  const text = files.get(path);
  if (text === undefined) throw new Error(`no such file ${path}`);
  return text;
}

function options(...args: string[]): BenchOptions {
  const parsed = parseOptions(args, readFile);
  assert.ok('options' in parsed, JSON.stringify(parsed));
  return parsed.options;
}

function problems(...args: string[]): readonly string[] {
  const parsed = parseOptions(args, readFile);
  assert.ok('problems' in parsed);
  return parsed.problems;
}

describe('bench options', () => {
  test('have three rounds, and one in a quick run', () => {
    assert.equal(options().plan.rounds, 3);
    const quick = options('--quick').plan;
    assert.equal(quick.rounds, 1);
    assert.ok(quick.durationMs < options().plan.durationMs);
    assert.equal(options('--quick', '--rounds', '2').plan.rounds, 2);
  });

  test('take seconds and keep milliseconds', () => {
    const { plan } = options('--duration', '2.5', '--warmup', '0', '--rate', '123', '--connections', '7');
    assert.equal(plan.durationMs, 2500);
    assert.equal(plan.warmupMs, 0);
    assert.equal(plan.ratePerSecond, 123);
    assert.equal(plan.connections, 7);
  });

  test('split lists', () => {
    assert.deepEqual(options('--scenario', 'echo, lists').scenarios, ['echo', 'lists']);
    assert.deepEqual(options('--peers', 'go,rust').plan.peers, ['go', 'rust']);
  });

  test('describe a target from flags', () => {
    const { target } = options(
      ...['--target', 'https://tools.example/mcp', '--era', '2025-11-25', '--tool', 'echo', '--args', '{"text":"x"}'],
      ...['--token', 'secret', '--header', 'X-Tenant: a: b', '--expect', 'x', '--pid', '12'],
    );
    assert.deepEqual(target, {
      url: 'https://tools.example/mcp',
      era: '2025-11-25',
      tool: 'echo',
      args: { text: 'x' },
      headers: { 'x-tenant': 'a: b', authorization: 'Bearer secret' },
      expect: 'x',
      ratePerSecond: 0,
      pid: 12,
    });
  });

  test('describe a target from a file, which flags override', () => {
    const { plan, target } = options('--config', 'load.json', '--tool', 'echo', '--args', '@args.json');
    assert.equal(target?.url, 'http://127.0.0.1:8080/mcp');
    assert.equal(target?.tool, 'echo');
    assert.deepEqual(target?.args, { text: 'from a file' });
    assert.equal(target?.ratePerSecond, 50);
    assert.equal(plan.durationMs, 5000);
  });

  test('name the flag, the value and what is allowed', () => {
    assert.deepEqual(problems('--rounds', '1.5'), ['--rounds 1.5: a whole number from 1 to 100']);
    assert.deepEqual(problems('--client', 'ab'), ['--client ab: one of auto, wrk, autocannon, own']);
    assert.deepEqual(problems('--target', 'ftp://x'), ['--target ftp://x: not an http or https URL']);
    assert.deepEqual(problems('--target', 'http://x', '--tool', 'x', '--args', '[1]'), [
      '--args [1]: not a JSON object',
    ]);
    assert.deepEqual(problems('--target', 'http://x', '--rate', '0'), ['--rate 0: a number from 0.1 to 10000000']);
    assert.deepEqual(problems('--peers', 'go,ruby'), ['--peers ruby: of go, rust']);
    assert.deepEqual(problems('--config', 'types.json'), [
      '--connections [5]: text or a number',
      '--json true: text or a number',
    ]);
    assert.deepEqual(problems('--target', 'http://x', '--header', 'x'), [`--header x: give 'Name: value'`]);
    assert.deepEqual(problems('--config', 'wrong.json'), ['--config wrong.json: there is no flag taget']);
    assert.match(problems('--config', 'gone.json').join(), /no such file gone\.json/);
    assert.match(problems('--fast').join(), /--fast/);
  });

  test('refuse what would be left out silently', () => {
    assert.deepEqual(problems('--tool', 'echo'), ['--tool: only with --target']);
    assert.deepEqual(problems('--target', 'http://x', '--scenario', 'echo'), ['--scenario: not with --target']);
    assert.deepEqual(problems('--config', 'words.json'), ['--quick yes: true or false']);
    assert.deepEqual(problems('--json', 'a', '--html', './a'), [`--html ./a: that is --json's file`]);
    assert.deepEqual(problems('--target', 'http://x', '--args', '{}'), ['--args: only with --tool']);
    // Each of them an empty variable of a shell.
    assert.deepEqual(problems('--target', ''), ['--target: give a value']);
    assert.deepEqual(problems('--scenario', ' ,'), ['--scenario: give a value']);
    assert.deepEqual(problems('--target', 'http://x', '--rate', '', '--token', ''), [
      '--token: give a value',
      '--rate: give a value',
    ]);
    const [credentials] = problems('--target', 'http://me:secret@x/mcp');
    assert.match(credentials ?? '', /--token or --header/);
    assert.doesNotMatch(credentials ?? '', /secret/);
  });

  test('refuse headers that no request can have, without telling what they say', () => {
    const header = (...args: string[]) => problems('--target', 'http://x', ...args);
    assert.deepEqual(header('--header', 'bad name: secret'), ['--header bad name: not the name of a header']);
    assert.deepEqual(header('--header', 'X: secret\r\nY: z'), ['--header X: a value of one line in ASCII']);
    assert.deepEqual(header('--token', 'secret\n'), ['--token: a value of one line in ASCII']);
    assert.deepEqual(header('--header', 'Content-Length: 3'), ['--header Content-Length: every request has its own']);
    assert.deepEqual(header('--header', 'x: 1', '--header', 'X: 2'), ['--header X: x is given twice']);
    const both = header('--header', 'Authorization: secret', '--token', 'secret');
    assert.deepEqual(both, ['--token: authorization is given twice']);
  });

  test('keep secrets out of the command that stands in reports', () => {
    assert.equal(
      shownCommand(['--token', 'secret', '--header', 'authorization: secret', '--token=secret', '--rate', '5']),
      'npm run bench -- --token … --header … --token=… --rate 5',
    );
  });

  test('are shown so that a shell reads back what was given', () => {
    const args = [
      '--args',
      '{"text":"it\'s $HOME"}',
      '--expect',
      'two words',
      '--scenario',
      'echo,lists',
      '--rate',
      '5',
    ];
    const shown = shownCommand(args);
    assert.ok(shown.endsWith(' --scenario echo,lists --rate 5'), shown);
    const words = shown.slice('npm run bench -- '.length);
    assert.equal(execFileSync('sh', ['-c', `printf '%s\\n' ${words}`], { encoding: 'utf8' }), `${args.join('\n')}\n`);
  });
});

describe('choice of scenarios', () => {
  test('is all that are not opt-in, or those named', () => {
    const all = suiteScenarios([]);
    assert.ok(Array.isArray(all));
    assert.ok(!all.some(({ name }) => name === 'soak'));
    const named = suiteScenarios(['soak', 'echo']);
    assert.ok(Array.isArray(named));
    assert.deepEqual(
      named.map(({ name }) => name),
      ['echo', 'soak'],
    );
  });

  test('says what there is when there is none of that name', () => {
    assert.match(String(suiteScenarios(['ecoh'])), /--scenario ecoh: there are echo, lists/);
  });
});
