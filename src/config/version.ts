/**
 * The version of millrace, read once from its own package.json: the same file whether this runs from source or built.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const parent = dirname(folder);
    if (parent === folder) throw new Error('the package.json of millrace is missing');
    folder = parent;
  }
  return folder;
}

/** Folder of the installed package. */
export const PACKAGE_ROOT = findPackageRoot();

const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as { version: string };

export const MILLRACE_VERSION = manifest.version;
