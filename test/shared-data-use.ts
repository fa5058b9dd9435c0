/**
 * Which test files read the data sets beside the checkout (`../shared`): official protocol schemas and corpora.
 *
 * They are not part of this project, so a clone without them cannot run those files. A file reads them when it, or
 * anything it imports from the test tree, imports `shared-data`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const IMPORT = /\bfrom ['"](\.[^'"]+)['"]/g;
const MARK = /\/shared-data\.[jt]s$/;

export function sharedDataIsThere(): boolean {
  let dir = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(dir, 'package.json'))) dir = dirname(dir);
  return existsSync(join(dir, '..', 'shared', 'mcp', 'schema'));
}

export function readsSharedData(file: string): boolean {
  const seen = new Set<string>();
  const pending = [file];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (seen.has(next)) continue;
    seen.add(next);
    for (const [, specifier] of readFileSync(next, 'utf8').matchAll(IMPORT)) {
      const imported = resolve(dirname(next), specifier as string);
      if (MARK.test(imported)) return true;
      // Only the test tree: what the product imports is no test data.
      if (imported.includes('/test/') && existsSync(imported)) pending.push(imported);
    }
  }
  return false;
}
