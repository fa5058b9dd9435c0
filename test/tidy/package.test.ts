/**
 * What npm puts into the package: all that its manifest points to, and nothing that points out of it.
 *
 * Source maps would: they name files of `src/`, and under tsx, which projects use that `millrace init` writes, every
 * stack trace would then name files that are not there.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { test } from 'node:test';
import { projectRoot } from './source-tree.ts';

const ROOT = projectRoot();

interface Manifest {
  readonly bin: { readonly millrace: string };
  readonly exports: { readonly '.': { readonly types: string; readonly default: string } };
}

/** Paths from the root, as `npm pack` lists them. */
function packed(): string[] {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel', 'error'];
  // One line for a shell: npm is a script with another name on Windows.
  const { status, stdout, stderr } = spawnSync(`npm ${args.join(' ')}`, { cwd: ROOT, encoding: 'utf8', shell: true });
  assert.equal(status, 0, stderr);
  const [{ files }] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  return files.map(({ path }) => path);
}

test('the package holds what its manifest names, the workers, and no source map', () => {
  const { bin, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;
  const paths = packed();
  for (const path of [bin.millrace, exports['.'].types, exports['.'].default, 'dist/workers/entry.cjs', 'LICENSE']) {
    assert.ok(paths.includes(normalize(path)), path);
  }
  assert.deepEqual(
    paths.filter((path) => path.endsWith('.map') || /^(dist\/)?(test|bench)\//.test(path)),
    [],
  );
});
