import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { folderWith } from '../config/sources.ts';
import { ensureCommands, type Host, NEEDED, thisHost } from '../services.ts';

const FROM_SOURCE = import.meta.url.endsWith('.ts');
const RUN = fileURLToPath(new URL(`../run.${FROM_SOURCE ? 'ts' : 'js'}`, import.meta.url));

function runIn(folder: string, ...patterns: string[]) {
  const loader = FROM_SOURCE ? ['--import', import.meta.resolve('tsx')] : [];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_TEST_CONTEXT'));
  const args = [...loader, RUN, '--in', folder, ...patterns];
  return spawnSync(process.execPath, args, { encoding: 'utf8', env });
}

const IMPORTS = "const { test, describe } = require('node:test');\n";
const PASSING = `${IMPORTS}test('fine', () => {});\n`;

describe('the test run', () => {
  test('passes, and says so in node’s own words, when all tests do', (context) => {
    const folder = folderWith(context, { 'a/one.test.js': PASSING, 'two.test.js': PASSING, 'no-test.js': 'throw 1;' });
    const { status, stdout, stderr } = runIn(folder);
    assert.deepEqual([status, stderr], [0, '']);
    assert.match(stdout, /^ℹ tests 2\nℹ suites 0\nℹ pass 2\nℹ fail 0$/m);
  });

  test('gives its files one folder to share, which goes with it', (context) => {
    const noted = `${IMPORTS}test('notes', () => {
      const { appendFileSync, writeFileSync } = require('node:fs');
      writeFileSync(process.env.TEST_RUN_FOLDER + '/' + process.pid, '');
      appendFileSync(__dirname + '/noted', process.env.TEST_RUN_FOLDER + '\\n');
    });\n`;
    const folder = folderWith(context, { 'one.test.js': noted, 'two.test.js': noted });
    assert.equal(runIn(folder).status, 0);
    const [one = '', two] = readFileSync(join(folder, 'noted'), 'utf8').split('\n');
    assert.equal(one, two);
    assert.equal(existsSync(one), false);
  });

  test('runs only the files whose path holds a pattern', (context) => {
    const folder = folderWith(context, { 'a/one.test.js': PASSING, 'two.test.js': 'throw new Error("not me");' });
    assert.equal(runIn(folder, 'a/').status, 0);
  });

  test('fails without files, without tests and with skipped tests', (context) => {
    const folder = folderWith(context, {
      'empty.test.js': '// nothing\n',
      'suite.test.js': `${IMPORTS}describe('hollow', () => {});\n`,
      'skipped.test.js': `${IMPORTS}test.skip('later', () => {});\n`,
    });
    const none = runIn(folder, 'nowhere');
    assert.deepEqual([none.status, none.stderr], [1, `no test file in ${folder} matches nowhere\n`]);
    const empty = runIn(folder, 'empty');
    assert.deepEqual([empty.status, empty.stderr], [1, 'holds no test: empty.test.js\n']);
    const hollow = runIn(folder, 'suite');
    assert.deepEqual([hollow.status, hollow.stderr], [1, 'no test was run\n']);
    const skipped = runIn(folder, 'skipped');
    assert.equal(skipped.status, 1);
    assert.match(skipped.stderr, /^skipped: skipped\.test\.js: later$/m);
  });

  test('fails with a failing test, a broken file and a broken hook, and names them', (context) => {
    const folder = folderWith(context, {
      'fails.test.js': `${IMPORTS}describe('s', () => { test('bad', () => { throw new Error('x'); }); });\n`,
      'broken.test.js': 'throw new Error("cannot load");\n',
      'hook.test.js': `${IMPORTS}const { before } = require('node:test');
        describe('s', () => { before(() => { throw new Error('x'); }); test('never', () => {}); });\n`,
    });
    const failing = runIn(folder, 'fails');
    assert.deepEqual([failing.status, failing.stderr], [1, 'failed: fails.test.js: bad\n']);
    const broken = runIn(folder, 'broken');
    assert.equal(broken.status, 1);
    assert.match(
      broken.stderr,
      /^failed: .* \(exit code 1, signal null; on stderr at last: .*(\n.*)*Error: cannot load/m,
    );
    assert.equal(runIn(folder, 'hook').status, 1);
  });

  test('fails with an error that nobody caught, names its file and shows the error', (context) => {
    const folder = folderWith(context, {
      'lost.test.js': `${IMPORTS}test('fine', async () => {
        setImmediate(() => Promise.reject(new Error('on its own')));
        await new Promise((resolve) => process.once('unhandledRejection', resolve));
      });\n`,
    });
    const { status, stderr, stdout } = runIn(folder);
    assert.equal(status, 1);
    assert.match(stderr, /^failed: lost\.test\.js: .*exit code 1/m);
    assert.match(stdout, /Error: on its own/);
  });

  test('leaves what it loads before a test file out of the arguments that the file may hand on', (context) => {
    const folder = folderWith(context, {
      'args.test.js': `${IMPORTS}test('fine', () => console.log('handed on: ' + process.execArgv.join(' ')));\n`,
    });
    const { stdout } = runIn(folder);
    assert.match(stdout, /handed on: /);
    assert.doesNotMatch(stdout, /untracked-promises/);
  });

  test('says of a process that was ended by what', (context) => {
    const folder = folderWith(context, {
      'crash.test.js': `${PASSING}test('ends', () => { process.stderr.write('last words\\n'); process.abort(); });\n`,
    });
    const { status, stderr } = runIn(folder);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^failed: crash\.test\.js: .* \(exit code null, signal SIGABRT; on stderr at last: last words/m,
    );
  });
});

describe('what tests need of the machine', () => {
  const needed = [{ command: 'thing', debianPackage: 'thing-tools', why: 'things' }];
  const host = (parts: Partial<Host>): Host => ({ isRoot: true, has: () => true, run: () => true, ...parts });

  test('is not touched when it is there', () => {
    assert.equal(ensureCommands(needed, host({ run: () => assert.fail('nothing to install') })), null);
  });

  test('is installed by root, after an update when the first attempt fails', () => {
    const ran: string[] = [];
    let installed = false;
    const fresh = host({
      has: (command) => command === 'apt-get' || installed,
      run(command, args) {
        ran.push([command, ...args].join(' '));
        installed = ran.length === 3;
        return args[0] === 'update' || installed;
      },
    });
    assert.equal(ensureCommands(needed, fresh), null);
    const install = 'apt-get install --yes --no-install-recommends thing-tools';
    assert.deepEqual(ran, [install, 'apt-get update', install]);
  });

  test('is asked for by name where it cannot be installed', () => {
    const advice = 'missing: thing (things); on Debian: apt-get install thing-tools';
    const has = (command: string) => command === 'apt-get';
    assert.equal(ensureCommands(needed, host({ has, isRoot: false })), advice);
    assert.equal(ensureCommands(needed, host({ has: () => false })), advice);
    assert.equal(ensureCommands(needed, host({ has, run: () => false })), advice);
    assert.equal(ensureCommands(needed, host({ has, run: () => true })), advice);
  });

  test('is there now', () => {
    for (const { command } of NEEDED) assert.ok(thisHost().has(command), command);
    assert.equal(thisHost().has('no-such-command-anywhere'), false);
  });
});
