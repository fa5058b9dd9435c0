/**
 * Saves checkpoints, beside a log in the same environment, until the disk is full, asks for room, and goes on:
 * `full-child DIRECTORY`.
 */
import { once } from 'node:events';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { LmdbEnvironment } from '../../../src/streams/lmdb/open.ts';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { say } from '../log/child.ts';
import { numberedRecord } from '../log/records.ts';
import { numberedCheckpoint } from './samples.ts';

const environment = new LmdbEnvironment(process.argv[2] as string);
const log = openLmdbLog(environment);
const store = new LmdbCheckpointStore(environment, 10);
await log.append(numberedRecord(1, 1000)).durable;

async function saved(seq: number): Promise<boolean> {
  return store.save(numberedCheckpoint(seq)).then(
    () => true,
    () => false,
  );
}

let seq = 1;
while (await saved(seq)) say('saved', seq++);
say('refused', seq, 'log', String(log.available));
say('again', String(await saved(seq)), 'log', String(log.available));
say('needs room');
await once(process.stdin, 'data');
say('with room', String(await saved(seq)), 'log', String(log.available));
await log.append(numberedRecord(2, 1000)).durable;
say('done', log.last);
await store.close();
await log.close();
await environment.close();
process.exit(0);
