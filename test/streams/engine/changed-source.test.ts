/**
 * Sources of which others of the list come and go over a restart: each goes on at its own place.
 */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { SourceDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { lastingStores } from './faults.ts';
import { openRig } from './rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'changed-source-'));
after(() => rmSync(folder, { recursive: true }));

const streamWith = (sources: SourceDefinition[]): StreamDefinition => ({
  name: 's',
  schema: { fields: { n: 'integer' } },
  sources,
});

function file(name: string, ...numbers: number[]): SourceDefinition {
  const path = join(folder, name);
  writeFileSync(path, numbers.map((n) => `{"n":${n}}\n`).join(''));
  return { type: 'file', path };
}

const quiet = (): void => undefined;

/** What the stream has accepted when all of these sources have ended. */
async function acceptedOf(sources: SourceDefinition[], stores: ReturnType<typeof lastingStores>): Promise<number> {
  const ended = new EventEmitter();
  const info = (_facts: object, message: string): void => void ended.emit(message);
  let left = sources.length;
  const all = new Promise<void>((resolve) => {
    ended.on('the source has ended', () => {
      left -= 1;
      if (left === 0) resolve();
    });
  });
  const rig = await openRig([streamWith(sources)], { stores, log: { error: quiet, warn: quiet, info } });
  try {
    await all;
    return (await rig.service.list())[0]?.counters.accepted ?? 0;
  } finally {
    await rig.close();
  }
}

test('a file is not read again because another one before it in the list has gone, or has come', async () => {
  const [a, b, c] = [file('a', 1, 2), file('b', 3, 4, 5), file('c', 6)];
  const stores = lastingStores();
  assert.equal(await acceptedOf([a, b], stores), 5);
  assert.equal(await acceptedOf([b], stores), 5);
  assert.equal(await acceptedOf([c, b], stores), 6);
  assert.equal(await acceptedOf([a, b], stores), 6);
});
