/**
 * Makes a folder and those above it.
 *
 * Role: stands in for `mkdir` with `recursive`, which reports a read-only file system as a missing folder, and never
 * returns below one that takes no folders, such as `/proc` (Node.js 20, Linux). Here each folder is made by itself, so
 * that an error is about the one that cannot be made.
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
