/**
 * Which process has a directory, noted so that another one on this machine can see whether it still runs.
 *
 * Role: two servers that are given the same folder by mistake must not take it from each other. A process id alone is
 * not enough: ids are used again, in containers the lowest ones every time, and refusing a start because of a process
 * that is long gone would be worse than the mistake. So a file in the directory also holds when the process began, the
 * boot of the machine, and which directory it is: a copy that was made while the original was in use belongs to nobody.
 * Where `/proc` does not tell these (other systems), where containers do not see each other, and where two start at the
 * same moment, the owner is unknown: then the fencing epoch of the database decides.
 */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'owner';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
/** Fields of `/proc/{pid}/stat` behind the name, which may hold anything but ends at the last bracket. */
const STATE = 0;
const BEGAN = 19;
/** Zombie, dead: its files are closed. */
const ENDED = new Set(['Z', 'X']);

/** The process that has the directory, when it is another one and still runs; 0 otherwise. */
export function ownerOf(directory: string): number {
  const [pid = '', began = '', boot = '', place = ''] = textOf(join(directory, FILE)).split(' ');
  const isOther = began !== '' && Number(pid) !== process.pid;
  const isHere = boot === textOf(BOOT_ID) && place === placeOf(directory);
  return isOther && isHere && began === beganOf(Number(pid)) ? Number(pid) : 0;
}

/** Says that this process has it; false when it cannot be said. A full disk is no reason not to open what is there. */
export function own(directory: string): boolean {
  try {
    writeFileSync(join(directory, FILE), markOf(directory));
    return true;
  } catch {
    return false;
  }
}

/** This process may go on without it. */
export function disown(directory: string): void {
  if (textOf(join(directory, FILE)) === markOf(directory)) rmSync(join(directory, FILE), { force: true });
}

function markOf(directory: string): string {
  return [process.pid, beganOf(process.pid) ?? '', textOf(BOOT_ID), placeOf(directory)].join(' ');
}

/** Empty when it is not there. */
function placeOf(directory: string): string {
  const found = statSync(directory, { throwIfNoEntry: false });
  return found === undefined ? '' : `${found.dev}-${found.ino}`;
}

/** Null when there is no such process any more, or nobody to ask. */
function beganOf(pid: number): string | null {
  const stat = textOf(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return ENDED.has(fields[STATE] ?? '') ? null : (fields[BEGAN] ?? null);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return '';
  }
}
