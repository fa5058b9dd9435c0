import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COMMANDS, parseCommandLine } from '../../src/cli/command-line.ts';
import { OPTIONS } from '../../src/config/options.ts';

const given = (...args: string[]) => Object.fromEntries(parseCommandLine(args).options);

describe('the command line', () => {
  test('names a command first, then flags in any order and form', () => {
    const line = parseCommandLine(['serve', '--port', '80', '--config=a.yaml', '--tools', 'a', '--watch', '--tools=b']);
    assert.equal(line.command, 'serve');
    assert.deepEqual(Object.fromEntries(line.options), { port: ['80'], tools: ['a', 'b'], watch: [true] });
    assert.deepEqual(Object.fromEntries(line.own), { config: 'a.yaml' });
    assert.deepEqual(line.problems, []);
  });

  test('switches can be turned off, and be given a value', () => {
    assert.deepEqual(given('serve', '--no-builtin-tools'), { 'builtin-tools': [false] });
    assert.deepEqual(given('serve', '--builtin-tools=false'), { 'builtin-tools': ['false'] });
  });

  test('takes a value that begins with a dash only after an equals sign', () => {
    assert.deepEqual(given('serve', '--node-id=--x'), { 'node-id': ['--x'] });
    assert.deepEqual(parseCommandLine(['serve', '--port', '--host', 'a']).problems, ['--port: needs a value']);
    assert.deepEqual(parseCommandLine(['serve', '--port']).problems, ['--port: needs a value']);
  });

  test('suggests the flag or command that was meant, and complains once per mistake', () => {
    assert.deepEqual(parseCommandLine(['serve', '--prot', '80', '--no-wach']).problems, [
      '--prot: unknown option, did you mean --port?',
      '--no-wach: unknown option, did you mean --no-watch?',
    ]);
    assert.deepEqual(parseCommandLine(['srve']).problems, ['srve: unknown command, did you mean serve?']);
    assert.deepEqual(parseCommandLine(['qqqqqqqqq']).problems, ['qqqqqqqqq: unknown command']);
  });

  test('says that a command is missing, and nothing of the flags of one that is unknown', () => {
    assert.deepEqual(parseCommandLine(['--port', '80']).problems, [
      '--port: unknown option',
      'the command must precede its options: millrace serve …',
    ]);
    assert.deepEqual(parseCommandLine(['serv', '--port', '80']).problems, [
      'serv: unknown command, did you mean serve?',
    ]);
  });

  test('takes true and false for switches of a command, and nothing else', () => {
    const own = (...args: string[]) => Object.fromEntries(parseCommandLine(args).own);
    assert.deepEqual(own('status', '--all=true', '--json=no'), { all: true, json: false });
    for (const flag of ['--help', '--json']) {
      const { problems, own: kept } = parseCommandLine(['status', `${flag}=maybe`]);
      assert.deepEqual([problems, kept.size], [[`${flag} maybe: must be true or false`], 0]);
    }
  });

  test('help before a command is --help behind it', () => {
    for (const command of COMMANDS) {
      const { command: about, help, problems } = parseCommandLine(['help', command]);
      assert.deepEqual([about, help, problems], [command, true, []]);
    }
    const { command, help, problems } = parseCommandLine(['help']);
    assert.deepEqual([command, help, problems], [null, true, []]);
  });

  test('help about a command that is not there is a mistake', () => {
    for (const args of [
      ['help', 'serv'],
      ['serv', '--help'],
      ['serv', '-h'],
    ]) {
      const { command, help, problems } = parseCommandLine(args);
      assert.deepEqual([command, help, problems], [null, false, ['serv: unknown command, did you mean serve?']]);
    }
  });

  test('gives each command only its own flags', () => {
    assert.deepEqual(parseCommandLine(['status', '--url', 'u', '--all', '--json']).problems, []);
    assert.deepEqual(parseCommandLine(['status', '--port', '80']).problems, ['--port: unknown option']);
    assert.deepEqual(parseCommandLine(['serve', '--json']).problems.length, 1);
  });

  test('knows every flag of the option table', () => {
    for (const { flag, facts } of OPTIONS) {
      if (flag === null) continue;
      const args = facts.form === 'boolean' ? [`--${flag}`] : [`--${flag}`, 'x'];
      assert.deepEqual(parseCommandLine(['serve', ...args]).problems, [], flag);
    }
  });

  test('no arguments whatever make it throw', () => {
    const words = fc.constantFrom(
      ...COMMANDS,
      '--',
      '-',
      '-h',
      '-vh',
      '--port',
      '--port=',
      '--no-',
      '--no-port',
      '--=',
      'x',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string())), (args) => {
        assert.equal(typeof parseCommandLine(args).help, 'boolean');
      }),
    );
  });
});
