/**
 * Keeps the write lock of the database in a directory until a line comes in: `hold-child DIRECTORY`.
 */
import { readSync } from 'node:fs';
import { open } from 'lmdb';
import { say } from './child.ts';

const root = open(process.argv[2] as string, { noSubdir: false, overlappingSync: false });
root.transactionSync(() => {
  say('held');
  readSync(0, Buffer.alloc(16));
});
await root.close();
say('released');
