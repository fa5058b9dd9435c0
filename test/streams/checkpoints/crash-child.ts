/**
 * Saves one checkpoint after the other in a directory until it is killed: `crash-child DIRECTORY`. Starts at a line on
 * stdin.
 */
import { once } from 'node:events';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { LmdbEnvironment } from '../../../src/streams/lmdb/open.ts';
import { say } from '../log/child.ts';
import { notDamaged, numberedCheckpoint } from './samples.ts';

await once(process.stdin, 'data');
const store = new LmdbCheckpointStore(new LmdbEnvironment(process.argv[2] as string), 2);
let seq = (await store.newest(notDamaged))?.seq ?? 0;
say('open', seq);
for (;;) {
  const checkpoint = numberedCheckpoint(++seq);
  say('saving', seq);
  await store.save(checkpoint);
  say('saved', seq);
}
