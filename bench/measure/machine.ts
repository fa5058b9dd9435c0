/**
 * What the figures were taken on: machine, cores, versions, commit. Printed with every report.
 *
 * Role: figures without it mean nothing. It also says how busy the machine was before the first run, since a shared
 * machine is the commonest reason for a strange result.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadNative } from '../../src/frontend/uws/load.ts';

const GIB = 1024 ** 3;
/** Load per core above which a report warns. */
const BUSY_LOAD = 0.3;

export interface Machine {
  readonly at: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** The native front end that loads here, or why none does. */
  readonly frontEnd: string;
  readonly commit: string;
  /** Load average of the last minute before the first run. */
  readonly loadBefore: number;
  readonly packages: Readonly<Record<string, string>>;
}

/** Peers and load generators whose version matters. */
const PACKAGES = [
  '@modelcontextprotocol/sdk',
  '@modelcontextprotocol/server',
  'fastmcp',
  'piscina',
  'autocannon',
  'hdr-histogram-js',
];

export function describeMachine(): Machine {
  const native = loadNative();
  return {
    at: new Date().toISOString(),
    cpu: cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / GIB),
    system: `${process.platform} ${release()} ${process.arch}`,
    node: process.version,
    frontEnd: 'description' in native ? native.description : `node:http (${native.reasons.join('; ')})`,
    commit: commit(),
    loadBefore: loadavg()[0] ?? 0,
    packages: Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  };
}

/** Null when the machine was quiet enough. */
export function busyWarning(machine: Pick<Machine, 'loadBefore' | 'cores'>): string | null {
  const perCore = machine.loadBefore / machine.cores;
  if (perCore <= BUSY_LOAD) return null;
  return `the machine was busy before the first run (load ${machine.loadBefore.toFixed(1)} on ${machine.cores} cores): figures are noisy`;
}

/** The project folder: the nearest one above with a package.json. */
export function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

function commit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: projectFolder(), encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
    return `${git('rev-parse', '--short=10', 'HEAD')}${changed}`;
  } catch {
    return 'unknown commit';
  }
}

function versionOf(name: string): string {
  const file = join(projectFolder(), 'node_modules', name, 'package.json');
  if (!existsSync(file)) return 'not installed';
  const manifest: unknown = JSON.parse(readFileSync(file, 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest ? String(manifest.version) : '?';
}
