/**
 * Appends to the log in a directory until the disk is full, tries to go on so many times, asks for room, and goes on:
 * `full-child DIRECTORY TRIES`.
 */
import { once } from 'node:events';
import { LmdbEnvironment } from '../../../src/streams/lmdb/open.ts';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { LogUnavailable } from '../../../src/streams/log/port.ts';
import { say } from './child.ts';
import { numberedRecord } from './records.ts';

/** Records appended in one turn, so that some are in flight and some are staged when it fails. */
const AT_ONCE = 7;
const BODY_BYTES = 40_000;

const environment = new LmdbEnvironment(process.argv[2] as string);
const log = openLmdbLog(environment);

/** Appends some; false when one of them could not be made durable. */
async function append(): Promise<boolean> {
  const outcomes = Array.from({ length: AT_ONCE }, () => {
    const { seq, durable } = log.append(numberedRecord(log.last + 1, BODY_BYTES));
    return durable.then(
      () => {
        say('durable', seq);
        return true;
      },
      (error: unknown) => {
        if (!(error instanceof LogUnavailable)) throw error;
        say('refused', seq);
        return false;
      },
    );
  });
  return (await Promise.all(outcomes)).every((durable) => durable);
}

function refusal(): string {
  try {
    log.append(numberedRecord(0, 1));
    return 'taken';
  } catch (error) {
    return error instanceof LogUnavailable ? 'unavailable' : String(error);
  }
}

while (await append());
say('full', log.last, String(log.available), refusal());
for (let tries = Number(process.argv[3]); tries > 0; tries--) {
  await log.recover().then(
    () => say('recovered too early'),
    (error: unknown) => say('still full', error instanceof LogUnavailable ? 'unavailable' : String(error)),
  );
}
say('needs room');
await once(process.stdin, 'data');
await log.recover();
say('recovered', log.last, String(log.available));
await append();
await append();
say('done', log.last);
await log.close();
await environment.close();
process.exit(0);
