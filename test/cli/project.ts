/**
 * A project that `millrace init` wrote, made ready and looked at: installed, type-checked, its own test run.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { PACKAGE_ROOT } from '../../src/config/version.ts';

/** What `npm install` would do, with what this checkout has: millrace compiled, or its source. */
export function install(project: string, millrace: 'compiled' | 'source'): void {
  const modules = join(project, 'node_modules');
  for (const name of ['tsx', 'zod', 'typescript', '@types/node']) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(PACKAGE_ROOT, 'node_modules', name), join(modules, name));
  }
  if (millrace === 'compiled') {
    symlinkSync(PACKAGE_ROOT, join(modules, 'millrace'));
    return;
  }
  const shim = join(modules, 'millrace');
  mkdirSync(shim);
  writeFileSync(join(shim, 'package.json'), '{"name":"millrace","type":"module","exports":"./index.ts"}');
  writeFileSync(join(shim, 'index.ts'), `export * from ${JSON.stringify(join(PACKAGE_ROOT, 'src/index.ts'))};\n`);
}

/** What the project's own type check complains of, in its own files. */
export function typeErrors(project: string): string[] {
  const read = ts.readConfigFile(join(project, 'tsconfig.json'), ts.sys.readFile);
  const parsed = ts.parseJsonConfigFileContent(read.config, ts.sys, project);
  assert.ok(parsed.fileNames.length >= 3);
  const program = ts.createProgram(parsed.fileNames, parsed.options);
  return ts
    .getPreEmitDiagnostics(program)
    .filter((diagnostic) => diagnostic.file === undefined || !diagnostic.file.fileName.startsWith(PACKAGE_ROOT))
    .map((diagnostic) => ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
}

/** Runs one test file of the project as `npm test` would. */
export function ownTest(project: string, file: string): { status: number | null; stdout: string; stderr: string } {
  const args = ['--import', 'tsx', '--test', file];
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => name !== 'NODE_TEST_CONTEXT'));
  return spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8', env });
}
