/**
 * Lets the conformance suites start on Node 20, whose `fs` has no `globSync`.
 *
 * They import it by name, which fails before a line of theirs runs, though only commands that test no server call it.
 * A resolve hook, for their two files only, gives them `fs` with that one name added. From Node 22 on nothing is done.
 */
import * as fs from 'node:fs';

const FS_WITH_GLOB = moduleUrl(`
  export * from 'node:fs';
  export { default } from 'node:fs';
  export function globSync() { throw new Error('fs.globSync needs Node 22'); }
`);

const HOOKS = moduleUrl(`
  const suite = /\\/conformance(-legacy)?\\/dist\\/index\\.js$/;
  export function resolve(specifier, context, next) {
    if (specifier !== 'fs' || !suite.test(context.parentURL ?? '')) return next(specifier, context);
    return { url: ${JSON.stringify(FS_WITH_GLOB)}, format: 'module', shortCircuit: true };
  }
`);

const REGISTER = moduleUrl(`
  import { register } from 'node:module';
  register(${JSON.stringify(HOOKS)});
`);

/** Arguments for the Node that runs a suite. */
export const nodeArguments: readonly string[] = 'globSync' in fs ? [] : ['--import', REGISTER];

function moduleUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}
