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
let checkpoint = numberedCheckpoint(++seq);
for (;;) {
  say('saving', seq);
  const saved = store.save(checkpoint);
  // Made while that one is written: there is always one under way.
  checkpoint = numberedCheckpoint(seq + 1);
  await saved;
  say('saved', seq++);
}
