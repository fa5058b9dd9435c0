import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openLmdbLog } from '../../../src/streams/log/lmdb-log.ts';
import { Child } from './child.ts';
import { numberedRecord, plain, readAll } from './records.ts';
import { Scratch } from './scratch.ts';

const DISK_BYTES = 6 * 2 ** 20;
const FILLER_BYTES = 3 * 2 ** 20;
/** To go on, while the disk is full. */
const TRIES = 5;

/** The way through a full disk and back, whatever makes it full. `makeRoom` gives the space. */
async function fillAndRecover(scratch: Scratch, name: string, child: Child, makeRoom: () => void): Promise<void> {
  await child.says('needs room');
  const full = await child.says('full');
  const durable = child.lines.filter((line) => line.startsWith('durable')).length;
  assert.ok(durable > 0);
  assert.equal(full, `full ${durable} false unavailable`);
  assert.equal(await child.says('still full'), 'still full unavailable');
  assert.ok(child.lines.some((line) => line.startsWith('refused')));
  makeRoom();
  child.tell('room');
  assert.equal(await child.says('recovered'), `recovered ${durable} true`);
  assert.equal(await child.says('done'), `done ${durable + 14}`);
  await child.ended();
  const log = openLmdbLog(scratch.open(name));
  assert.deepEqual(
    await readAll(log, 0),
    Array.from({ length: durable + 14 }, (_, i) => ({ seq: i + 1, record: plain(numberedRecord(i + 1, 40_000)) })),
  );
}

/** A file system of its own, of which a file takes up a part. */
class SmallDisk implements Disposable {
  readonly directory: string;

  /** Throws when this user may not have one. */
  constructor(directory: string) {
    mkdirSync(directory);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'none', directory], { stdio: 'pipe' });
    this.directory = directory;
    writeFileSync(this.#filler, Buffer.alloc(FILLER_BYTES));
  }

  /** Nothing is left. */
  fill(): void {
    assert.throws(() => writeFileSync(this.#filler, Buffer.alloc(DISK_BYTES + 1)), { code: 'ENOSPC' });
  }

  makeRoom(): void {
    rmSync(this.#filler);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['-l', this.directory]);
  }

  get #filler(): string {
    return join(this.directory, 'filler');
  }
}

/** Null, and why, when this user may not mount. */
function smallDisk(directory: string, context: TestContext): SmallDisk | null {
  try {
    return new SmallDisk(directory);
  } catch (error) {
    context.diagnostic(`no disk of its own (${String(error)}): a limit on the size of files is used instead`);
    return null;
  }
}

const limitedChild = (scratch: Scratch, fileBytesMax: number): Child =>
  scratch.own(new Child(import.meta.url, 'full-child', [join(scratch.directory, 'data'), '1'], { fileBytesMax }));

test('a full disk: what was not flushed is refused, nothing more is taken until there is room, nothing is lost', async (context) => {
  await using scratch = new Scratch();
  using disk = smallDisk(join(scratch.directory, 'disk'), context);
  if (disk === null) {
    const child = limitedChild(scratch, FILLER_BYTES);
    await fillAndRecover(scratch, 'data', child, () => child.liftLimit());
    return;
  }
  const data = join(scratch.directory, 'disk', 'data');
  const child = scratch.own(new Child(import.meta.url, 'full-child', [data, `${TRIES}`]));
  await fillAndRecover(scratch, 'disk/data', child, () => disk.makeRoom());
  // Each time LMDB is refused a write it may write past the end of what it has for the message, which ends the process.
  const failed = child.errors.match(/^Error: /gm) ?? [];
  assert.equal(failed.length, 0, child.errors);
});

test('a file that may not grow: the same', async () => {
  await using scratch = new Scratch();
  const child = limitedChild(scratch, 2 * 2 ** 20);
  await fillAndRecover(scratch, 'data', child, () => child.liftLimit());
});

test('a start on a full disk says so, and works once there is room', async (context) => {
  await using scratch = new Scratch();
  using disk = smallDisk(join(scratch.directory, 'disk'), context);
  if (disk === null) return;
  disk.fill();
  const child = (): Child => scratch.own(new Child(import.meta.url, 'full-child', [join(disk.directory, 'data'), '1']));
  const refused = child();
  const reason = /StoreUnavailable: cannot open .*data: Error: no space left: 0 bytes are free on its disk/;
  await assert.rejects(refused.says('needs room'), reason);
  disk.makeRoom();
  await child().says('needs room');
});
