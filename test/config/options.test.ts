import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { distanceBetween, nearest } from '../../src/config/nearest.ts';
import { OPTIONS, optionOfFlag } from '../../src/config/options.ts';
import { valueOfText } from '../../src/config/text-value.ts';

describe('the option table', () => {
  test('gives every option a name, a flag and a variable of its own', () => {
    for (const names of [
      OPTIONS.map((option) => option.name),
      OPTIONS.flatMap((option) => option.flag ?? []),
      OPTIONS.map((option) => option.env),
    ]) {
      assert.equal(new Set(names).size, names.length);
    }
  });

  test('describes every option in a sentence', () => {
    for (const option of OPTIONS) assert.match(option.facts.description, /^\S.*\.$/s, option.name);
  });

  test('holds defaults that pass their own checks', () => {
    for (const option of OPTIONS)
      assert.deepEqual(option.check(option.initial), { value: option.initial }, option.name);
  });

  test('keeps secrets off the command line, but for the Redis URL', () => {
    const secrets = OPTIONS.filter((option) => option.facts.secret === true);
    assert.deepEqual(
      secrets.map((option) => [option.name, option.flag]),
      [
        ['cluster.secret', null],
        ['auth.tokens', null],
        ['stateSecret', null],
        ['redisUrl', 'redis-url'],
      ],
    );
  });

  test('pins the flags, variables and defaults others rely on', () => {
    const pinned: [string, string, unknown][] = [
      ['host', 'MILLRACE_HOST', '127.0.0.1'],
      ['port', 'MILLRACE_PORT', 8080],
      ['workers', 'MILLRACE_WORKERS', 'auto'],
      ['queue-size', 'MILLRACE_QUEUE_SIZE', 1000],
      ['max-concurrent', 'MILLRACE_MAX_CONCURRENT', 'auto'],
      ['request-timeout-ms', 'MILLRACE_REQUEST_TIMEOUT_MS', 5000],
      ['max-request-bytes', 'MILLRACE_MAX_REQUEST_BYTES', 1_048_576],
      ['overload', 'MILLRACE_OVERLOAD', 'caller-runs'],
      ['caller-runs-budget-ms', 'MILLRACE_CALLER_RUNS_BUDGET_MS', 5],
      ['redis-url', 'MILLRACE_REDIS_URL', ''],
      ['node-id', 'MILLRACE_NODE_ID', ''],
      ['tools', 'MILLRACE_TOOLS', []],
      ['frontend', 'MILLRACE_FRONTEND', 'auto'],
      ['log-level', 'MILLRACE_LOG_LEVEL', 'info'],
      ['heartbeat-ms', 'MILLRACE_HEARTBEAT_MS', 5000],
      ['watch', 'MILLRACE_WATCH', false],
      ['builtin-tools', 'MILLRACE_BUILTIN_TOOLS', true],
      ['tls-key', 'MILLRACE_TLS_KEY', ''],
      ['tls-cert', 'MILLRACE_TLS_CERT', ''],
      ['allowed-host', 'MILLRACE_ALLOWED_HOSTS', []],
      ['allowed-origin', 'MILLRACE_ALLOWED_ORIGINS', []],
      ['shutdown-grace-ms', 'MILLRACE_SHUTDOWN_GRACE_MS', 10_000],
      ['sessions-ttl-ms', 'MILLRACE_SESSIONS_TTL_MS', 1_800_000],
    ];
    for (const [flag, env, initial] of pinned) {
      const option = optionOfFlag(flag);
      assert.deepEqual([option?.env, option?.initial], [env, initial], flag);
    }
  });
});

describe('text of flags and variables', () => {
  test('numbers survive the way through text', () => {
    const numbers = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 }));
    fc.assert(
      fc.property(numbers, (number) => {
        const text = String(number);
        const parsed = valueOfText('number', text);
        if (text.includes('e')) assert.equal(parsed, null);
        else assert.deepEqual(parsed, { value: number + 0 });
      }),
    );
  });

  test('what only looks like a number is none', () => {
    for (const text of ['', ' ', '1 ', '0x10', '1_000', '1,5', 'NaN', 'Infinity', '1e3', '١']) {
      assert.equal(valueOfText('number', text), null, JSON.stringify(text));
    }
  });

  test('booleans have four spellings each way, others are refused', () => {
    for (const text of ['true', '1', 'YES', 'on']) assert.deepEqual(valueOfText('boolean', text), { value: true });
    for (const text of ['false', '0', 'No', 'off']) assert.deepEqual(valueOfText('boolean', text), { value: false });
    for (const text of ['', 'maybe', '2']) assert.equal(valueOfText('boolean', text), null);
  });

  test('lists are cut at commas, empty items and spaces around items dropped', () => {
    assert.deepEqual(valueOfText('list', ' a, b,,c '), { value: ['a', 'b', 'c'] });
  });

  test('broken JSON is a refusal, not an exception', () => {
    assert.equal(valueOfText('json', '[{'), null);
    assert.deepEqual(valueOfText('json', '[1]'), { value: [1] });
  });
});

describe('suggestions', () => {
  const word = fc.string({ maxLength: 12 });

  test('the distance is symmetric, and zero only between equals', () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        assert.equal(distanceBetween(a, b), distanceBetween(b, a));
        assert.equal(distanceBetween(a, b) === 0, a === b);
        assert.ok(distanceBetween(a, b) <= Math.max(a.length, b.length));
      }),
    );
  });

  test('a dropped, doubled, swapped or wrong letter is one step', () => {
    for (const typo of ['prt', 'poort', 'prot', 'pott']) assert.equal(distanceBetween('port', typo), 1, typo);
  });

  test('the nearest name is suggested, and nothing when all are far', () => {
    assert.equal(nearest('queu-size', ['port', 'queue-size', 'page-size']), 'queue-size');
    assert.equal(nearest('zzzzzz', ['port', 'queue-size']), null);
  });
});
