/**
 * The folder of a node's stores: one process at a time has it, and what is wrong with it is told with its name.
 */
import assert from 'node:assert/strict';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openStores, type Stores } from '../../../src/streams/stores.ts';
import { Child } from './child.ts';
import { DURABLE } from './durable.ts';
import { Scratch } from './scratch.ts';

const storesIn = (dataDir: string): Promise<Stores> =>
  openStores({ definitions: [DURABLE], dataDir, logBytesMax: 2 ** 20 });

test('a folder that another process has is not taken from it, until that has closed it or has ended', async () => {
  await using scratch = new Scratch();
  const dataDir = join(scratch.directory, 'data');
  const first = scratch.own(new Child(import.meta.url, 'own-child', [dataDir]));
  await first.says('open');
  await assert.rejects(storesIn(dataDir), ({ message }: Error) => {
    assert.match(message, /^streaming\.dataDir .*data: .*log is in use by process \d+$/);
    return true;
  });
  // A copy of it is nobody's.
  const copy = join(scratch.directory, 'copy');
  cpSync(dataDir, copy, { recursive: true });
  await (await storesIn(copy)).close();
  // It can still write: nothing was taken.
  first.tell('close');
  await first.says('closed');
  await (await storesIn(dataDir)).close();
  const second = scratch.own(new Child(import.meta.url, 'own-child', [dataDir]));
  await second.says('open');
  await second.kill();
  await (await storesIn(dataDir)).close();
});

test('a folder that cannot be made is named, with the option and what the system says of it', async () => {
  await using scratch = new Scratch();
  const file = join(scratch.directory, 'file');
  writeFileSync(file, '');
  await assert.rejects(storesIn(join(file, 'streams')), ({ message }: Error) => {
    assert.ok(message.startsWith(`streaming.dataDir ${file}/streams: EEXIST`), message);
    return true;
  });
});

test('where no folders can be made, that is an error and no endless try', async () => {
  await assert.rejects(storesIn('/proc/none'), /^Error: streaming\.dataDir \/proc\/none: ENOENT/);
});
