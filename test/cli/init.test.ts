import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../src/config/version.ts';
import { folderWith } from '../config/sources.ts';
import { asChild, FROM_SOURCE, inProcess } from './millrace.ts';

const FILES = [
  'package.json',
  'tsconfig.json',
  '.gitignore',
  'millrace.config.ts',
  'tools/greet.ts',
  'test/greet.test.ts',
  'README.md',
];

/** What `npm install` would do, with what this checkout has. */
function install(project: string): void {
  const modules = join(project, 'node_modules');
  for (const name of ['tsx', 'zod', 'typescript', '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(PACKAGE_ROOT, 'node_modules', name), join(modules, name));
  }
  if (!FROM_SOURCE) {
    symlinkSync(PACKAGE_ROOT, join(modules, 'millrace'));
    return;
  }
  const shim = join(modules, 'millrace');
  mkdirSync(shim);
  writeFileSync(join(shim, 'package.json'), '{"name":"millrace","type":"module","exports":"./index.ts"}');
  writeFileSync(join(shim, 'index.ts'), `export * from ${JSON.stringify(join(PACKAGE_ROOT, 'src/index.ts'))};\n`);
}

function typeErrors(project: string): string[] {
  const read = ts.readConfigFile(join(project, 'tsconfig.json'), ts.sys.readFile);
  const parsed = ts.parseJsonConfigFileContent(read.config, ts.sys, project);
  assert.ok(parsed.fileNames.length >= 3);
  const program = ts.createProgram(parsed.fileNames, parsed.options);
  return ts
    .getPreEmitDiagnostics(program)
    .filter((diagnostic) => diagnostic.file === undefined || !diagnostic.file.fileName.startsWith(PACKAGE_ROOT))
    .map((diagnostic) => ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
}

describe('a new project', () => {
  const parent = folderWith({ after });
  const project = join(parent, 'My Tools');

  before(async () => {
    const { code, out } = await inProcess(['init', 'My Tools'], { cwd: parent });
    assert.equal(code, 0);
    assert.ok(out.endsWith('\ncd My Tools && npm install && npm test && npm start\n'), out);
    install(project);
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
    const args = ['--import', 'tsx', '--test', 'test/greet.test.ts'];
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_TEST_CONTEXT'));
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', env });
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
  });
});
