/**
 * Commands of Debian packages that a scenario needs beside this build.
 *
 * Role: where one is missing and this process may install it (root, on a system with apt), it does; it says why when
 * there is none. Daemons are also looked for where an ordinary user's PATH does not lead.
 */
import { spawnSync } from 'node:child_process';

const INSTALL_MS_MAX = 120_000;
/** The path with the folders of daemons. */
export const DAEMON_PATH = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin`;

const isThere = (command: string, versionFlag: string): boolean =>
  spawnSync(command, [versionFlag], { stdio: 'ignore', env: { ...process.env, PATH: DAEMON_PATH } }).error ===
  undefined;

/** Null when it can be run; else why not. The package has the name of the command. */
export function missingCommand(command: string, versionFlag: string): string | null {
  if (isThere(command, versionFlag)) return null;
  if (process.getuid?.() !== 0) return `${command} is not installed`;
  const options = { stdio: 'ignore', timeout: INSTALL_MS_MAX } as const;
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', command], options);
  return isThere(command, versionFlag) ? null : `${command} is not installed, and apt-get could not install it`;
}
