/**
 * Makes a folder and those above it.
 *
 * Role: what `mkdir` with `recursive` is for, which says of a file system that is read-only that there is no such folder,
 * and which never ends beneath one that takes no folders, as `/proc` (Node.js 20, Linux). Here each folder is made by
 * itself, so that what is told is about the one that cannot be made.
 */
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Rejects with the error of the system, which names the folder. */
export async function makeFolder(folder: string): Promise<void> {
  if (await isFolder(folder)) return;
  const above = dirname(folder);
  if (above !== folder) await makeFolder(above);
  try {
    await mkdir(folder);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!(await isFolder(folder))) throw error;
  }
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  return found?.isDirectory() === true;
}
