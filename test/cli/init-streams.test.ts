import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/config/version.ts';
import { folderWith } from '../config/sources.ts';
import { asChild, inProcess } from './millrace.ts';
import { install, ownTest, typeErrors } from './project.ts';
import { readyUrl, resultOf } from './served.ts';

const text = (...path: string[]): string => readFileSync(join(...path), 'utf8');

describe('a new project with streams', () => {
  const parent = folderWith({ after });
  const project = join(parent, 'live');

  before(async () => {
    const { code, out } = await inProcess(['init', 'live', '--streams'], { cwd: parent });
    assert.equal(code, 0);
    assert.match(out, /^wrote live\/streams\/machine\.yaml$/m);
    install(project, 'compiled');
  });

  test('holds the example, which is the one of the examples folder', () => {
    assert.equal(text(project, 'streams/machine.yaml'), text(PACKAGE_ROOT, 'examples/streams/machine.yaml'));
  });

  test('passes `millrace check`, which names the stream and what it has', async (context) => {
    const { code, out, err } = await asChild(context, ['check'], { cwd: project, compiled: true }).ended;
    assert.deepEqual([code, err], [0, '']);
    assert.match(
      out,
      /^stream machine: windows last_5_seconds, last_minute; anomalies unusual; alerts busy_core; sources machine$/m,
    );
  });

  test('passes its own type check', () => {
    assert.deepEqual(typeErrors(project), []);
  });

  test('passes its own test of the stream', () => {
    const { status, stdout, stderr } = ownTest(project, 'test/machine.test.ts');
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^(# |ℹ )pass 1$/m);
  });

  test('is served by its start script, stream and tool alike', async (context) => {
    const { scripts } = JSON.parse(text(project, 'package.json')) as { scripts: { start: string } };
    const [program, ...args] = scripts.start.split(' ');
    assert.equal(program, 'millrace');
    const child = asChild(context, [...args, '--port', '0'], { cwd: project, compiled: true });
    const url = await readyUrl(child);
    const { streams } = await resultOf<{ streams: { name: string }[] }>(url, 'stream_list', {});
    assert.deepEqual(
      streams.map(({ name }) => name),
      ['machine'],
    );
    assert.deepEqual(await resultOf(url, 'greet', { name: 'Ada' }), { greeting: 'Hello, Ada!' });
    child.process.kill('SIGTERM');
    assert.equal((await child.ended).code, 0);
  });
});

test('a project without streams mentions none', async (context) => {
  const cwd = folderWith(context);
  assert.equal((await inProcess(['init'], { cwd })).code, 0);
  assert.ok(!existsSync(join(cwd, 'streams')) && !existsSync(join(cwd, 'test/machine.test.ts')));
  for (const file of ['millrace.config.ts', 'README.md', '.gitignore']) {
    assert.doesNotMatch(text(cwd, file), /stream|undefined/i, file);
  }
});
