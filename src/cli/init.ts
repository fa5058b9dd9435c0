/**
 * `millrace init [folder] [--streams]`: writes a small typed project that installs, tests and starts.
 *
 * Only an empty or new folder is used (a `.git` of its own may be there): nothing of anybody's is ever overwritten.
 */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { MILLRACE_VERSION, PACKAGE_ROOT } from '../config/version.ts';
import type { CommandLine } from './command-line.ts';
import { projectFiles } from './project-files.ts';
import { EXIT, type Terminal, writeProblems } from './terminal.ts';

/** May stand in a folder that counts as empty. */
const HARMLESS: ReadonlySet<string> = new Set(['.git', '.DS_Store']);

export function init(line: CommandLine, terminal: Terminal): number {
  const written = line.positionals[0] ?? '.';
  const folder = resolve(terminal.cwd, written);
  const problem = whyUnusable(folder);
  if (problem !== null) {
    writeProblems(terminal, [`${written}: ${problem}`]);
    return EXIT.CANNOT_CREATE;
  }
  const streams = line.own.get('streams') === true;
  const files = projectFiles({ name: packageName(folder), millrace: dependency(folder), streams });
  try {
    for (const [path, text] of files) {
      makeFolder(dirname(join(folder, path)));
      writeFileSync(join(folder, path), text, { flag: 'wx' });
    }
  } catch (error) {
    writeProblems(terminal, [`${written}: ${error instanceof Error ? error.message : String(error)}`]);
    return EXIT.CANNOT_CREATE;
  }
  terminal.out(`${[...files.keys()].map((path) => `wrote ${join(written, path)}`).join('\n')}\n\n`);
  terminal.out(`${written === '.' ? '' : `cd ${asArgument(written)} && `}npm install && npm test && npm start\n`);
  return EXIT.OK;
}

/** For a command line that is copied: in quotes that shells of every system know, where it needs some. */
function asArgument(path: string): string {
  return /^[\w./\\:@+~-]+$/.test(path) ? path : `"${path}"`;
}

/** One after the other: `recursive` hides why one cannot be made, and does not end beneath `/proc` (Node.js 20). */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  mkdirSync(folder);
}

function whyUnusable(folder: string): string | null {
  if (!existsSync(folder)) return null;
  if (!statSync(folder).isDirectory()) return 'is not a folder';
  const others = readdirSync(folder).filter((name) => !HARMLESS.has(name));
  if (others.length === 0) return null;
  return `is not empty (${others.slice(0, 3).join(', ')}${others.length > 3 ? ', …' : ''}); name an empty or new folder`;
}

/** The folder's name in the characters npm allows. */
function packageName(folder: string): string {
  const name = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|[._-]+$/g, '');
  return name === '' || name === 'node_modules' ? 'mcp-server' : name;
}

/** An installed millrace is asked for by version, a checkout by its path. */
function dependency(folder: string): string {
  const installed = PACKAGE_ROOT.split(sep).includes('node_modules');
  return installed ? `^${MILLRACE_VERSION}` : `file:${relative(folder, PACKAGE_ROOT).split(sep).join('/')}`;
}
