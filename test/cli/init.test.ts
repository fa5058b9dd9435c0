import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { PACKAGE_ROOT } from '../../src/config/version.ts';
import { folderWith } from '../config/sources.ts';
import { asChild, FROM_SOURCE, inProcess } from './millrace.ts';
import { install, ownTest, typeErrors } from './project.ts';

const FILES = [
  'package.json',
  'tsconfig.json',
  '.gitignore',
  'millrace.config.ts',
  'tools/greet.ts',
  'test/greet.test.ts',
  'README.md',
];

describe('a new project', () => {
  const parent = folderWith({ after });
  const project = join(parent, 'My Tools');

  before(async () => {
    const { code, out } = await inProcess(['init', 'My Tools'], { cwd: parent });
    assert.equal(code, 0);
    assert.ok(out.endsWith('\ncd "My Tools" && npm install && npm test && npm start\n'), out);
    install(project, FROM_SOURCE ? 'source' : 'compiled');
  });

  test('has the files it announces, and a package.json that finds this millrace', () => {
    for (const file of FILES) assert.ok(existsSync(join(project, file)), file);
    const manifest = JSON.parse(readFileSync(join(project, 'package.json'), 'utf8'));
    assert.equal(manifest.name, 'my-tools');
    assert.equal(manifest.dependencies.millrace, `file:${relative(project, PACKAGE_ROOT)}`);
  });

  test('passes its own type check', () => {
    assert.deepEqual(typeErrors(project), []);
  });

  test('passes its own test', () => {
    const { status, stdout, stderr } = ownTest(project, 'test/greet.test.ts');
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^(# |ℹ )pass 2$/m);
  });

  test('starts', async (context) => {
    const child = asChild(context, ['serve', '--port', '0'], { cwd: project });
    assert.match(await child.line(), /^millrace ready /);
    child.process.kill('SIGTERM');
    assert.equal((await child.ended).code, 0);
  });
});

describe('init', () => {
  test('uses this folder when none is named, even with a .git in it', async (context) => {
    const cwd = folderWith(context, { '.git/HEAD': '' });
    const { code, out } = await inProcess(['init'], { cwd });
    assert.equal(code, 0);
    assert.ok(out.endsWith('\nnpm install && npm test && npm start\n'), out);
    assert.ok(existsSync(join(cwd, 'millrace.config.ts')));
  });

  test('refuses a folder that holds anything, and writes nothing', async (context) => {
    const cwd = folderWith(context, { 'a/x.txt': 'mine', 'file.txt': '' });
    assert.deepEqual(await inProcess(['init', 'a'], { cwd }), {
      code: 73,
      out: '',
      err: 'millrace: a: is not empty (x.txt); name an empty or new folder\n',
    });
    assert.deepEqual(readdirSync(join(cwd, 'a')), ['x.txt']);
    assert.equal((await inProcess(['init', 'file.txt'], { cwd })).err, 'millrace: file.txt: is not a folder\n');
    for (const [folder, why] of [
      ['file.txt/a', `ENOTDIR: not a directory, mkdir '${join(cwd, 'file.txt', 'a')}'`],
      // Node.js would try for ever.
      ['/proc/none', "ENOENT: no such file or directory, mkdir '/proc/none'"],
    ] as const) {
      const { code, out, err } = await inProcess(['init', folder], { cwd });
      assert.deepEqual([code, out, err], [73, '', `millrace: ${folder}: ${why}\n`]);
    }
  });
});
