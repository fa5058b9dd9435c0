/**
 * Appends records to the log in a directory, and truncates it, until it is killed: `crash-child DIRECTORY SEED`.
 * Starts at a line on stdin.
 */
import { once } from 'node:events';
import { LmdbEnvironment } from '../../../src/streams/lmdb/open.ts';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { randomFrom } from '../../random.ts';
import { say } from './child.ts';
import { crashBodyBytes } from './crash-body-bytes.ts';
import { numberedRecord } from './records.ts';

const [directory = '', seed = '0'] = process.argv.slice(2);
const random = randomFrom(Number(seed));

await once(process.stdin, 'data');
const log = openLmdbLog(new LmdbEnvironment(directory));
say('open', log.first, log.last);
for (;;) {
  let durable = Promise.resolve();
  for (let i = random() * 12; i >= 0; i--) {
    const appended = log.append(numberedRecord(log.last + 1, crashBodyBytes(log.last + 1)));
    durable = appended.durable.then(() => say('durable', appended.seq));
  }
  if (random() < 0.7) await durable;
  if (random() < 0.1 && log.last - log.first > 60) {
    const seq = log.first + Math.floor(random() * 50);
    say('truncating', seq);
    await log.truncate(seq);
    say('truncated', seq);
  }
}
