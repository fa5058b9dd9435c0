/**
 * Opens damaged copies of a database file and says what a restart would take from each:
 * `file-child FILE SCRATCH`; a line on stdin `flip N` or `cut N` is one trial. A trial that ends the process in native
 * code is a trial without an answer.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { LmdbEnvironment } from '../../../src/streams/lmdb/open.ts';
import { say } from '../log/child.ts';
import { plain, smallCheckpoint } from './samples.ts';

const [file = '', scratch = ''] = process.argv.slice(2);
const bytes = readFileSync(file);
const expected = new Map([100, 200].map((seq) => [seq, JSON.stringify(plain(smallCheckpoint(seq)))]));
let trial = 0;

function damaged(kind: string, at: number): Buffer {
  if (kind === 'cut') return bytes.subarray(0, at);
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ (1 << ((at / 64) % 8));
  return copy;
}

/** `200`, `100`, `none` (all told to be damaged), `refused`: or what must never be, `WRONG` content or a `silent` loss. */
async function outcome(kind: string, at: number): Promise<string> {
  const directory = join(scratch, `trial-${process.pid}-${trial++}`);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'data.mdb'), damaged(kind, at));
  let told = false;
  try {
    const environment = new LmdbEnvironment(directory);
    const newest = await new LmdbCheckpointStore(environment).newest(() => {
      told = true;
    });
    await environment.close();
    if (newest === null) return told ? 'none' : 'silent';
    return expected.get(newest.seq) === JSON.stringify(plain(newest)) ? `${newest.seq}` : 'WRONG';
  } catch {
    return 'refused';
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [kind = '', at = '0'] = line.split(' ');
  say(line, await outcome(kind, Number(at)));
}
