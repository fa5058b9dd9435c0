/**
 * Commands the tests need that npm does not bring, and the Debian packages they come from.
 *
 * On a fresh Debian or Ubuntu machine where this runs as root, what is missing is installed; anywhere else the run
 * stops with the exact line to type. Nothing is looked for that no test uses.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export interface Needed {
  readonly command: string;
  readonly debianPackage: string;
  readonly why: string;
}

/** A new service test adds its row here. */
export const NEEDED: readonly Needed[] = [
  { command: 'openssl', debianPackage: 'openssl', why: 'certificates for the TLS tests' },
  { command: 'redis-server', debianPackage: 'redis-server', why: 'Redis, Sentinel and Cluster for the tests' },
  { command: 'haproxy', debianPackage: 'haproxy', why: 'the balancer in front of several nodes' },
  { command: 'nginx', debianPackage: 'nginx', why: 'the other balancer' },
];

/** What installing needs of the machine; replaced in tests. */
export interface Host {
  readonly isRoot: boolean;
  has(command: string): boolean;
  /** True when it ended well. */
  run(command: string, args: readonly string[]): boolean;
}

/** Null when everything is there, else what to do about it. */
export function ensureCommands(needed: readonly Needed[], host: Host = thisHost()): string | null {
  const missing = needed.filter((row) => !host.has(row.command));
  if (missing.length === 0) return null;
  const packages = [...new Set(missing.map((row) => row.debianPackage))];
  const advice = `missing: ${missing.map((row) => `${row.command} (${row.why})`).join(', ')}; `;
  const byHand = `${advice}on Debian: apt-get install ${packages.join(' ')}`;
  if (!host.isRoot || !host.has('apt-get')) return byHand;
  const install = ['install', '--yes', '--no-install-recommends', ...packages];
  const installed = host.run('apt-get', install) || (host.run('apt-get', ['update']) && host.run('apt-get', install));
  return installed && missing.every((row) => host.has(row.command)) ? null : byHand;
}

export function thisHost(): Host {
  return {
    isRoot: process.getuid?.() === 0,
    has: (command) => commandFile(command) !== null,
    run(command, args) {
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      return spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], env }).status === 0;
    },
  };
}

/** Where daemons are, which is not on everybody's PATH. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin'];

/** The file that would be run. Null: there is none. */
export function commandFile(command: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...SYSTEM_FOLDERS];
  return folders.map((folder) => join(folder, command)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not for us: the next folder may have it.
    return false;
  }
}
