/**
 * Finds the data sets that stand beside the project: official protocol schemas and test corpora.
 *
 * Role: works from sources and from the build. A missing file fails with the path it was looked for at.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function projectRoot(): string {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) {
    const parent = dirname(dir);
    if (parent === dir) throw new Error(`no package.json above ${import.meta.url}`);
    dir = parent;
  }
  return dir;
}

/** Absolute path of something in `../shared`; throws when it is not there. */
export function sharedPath(...parts: string[]): string {
  const path = join(projectRoot(), '..', 'shared', ...parts);
  if (!existsSync(path)) throw new Error(`this test needs ${path}: check out the shared data beside the project`);
  return path;
}

export function sharedJson(...parts: string[]): unknown {
  return JSON.parse(readFileSync(sharedPath(...parts), 'utf8'));
}
