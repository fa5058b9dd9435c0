import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { LmdbCheckpointStore } from '../../../src/streams/checkpoints/lmdb-store.ts';
import { Child } from '../log/child.ts';
import { Scratch } from '../log/scratch.ts';
import { smallCheckpoint } from './samples.ts';

/** Two checkpoints in a file of their own. */
async function checkpointFile(scratch: Scratch): Promise<string> {
  const environment = scratch.open('source');
  const store = new LmdbCheckpointStore(environment);
  await store.save(smallCheckpoint(100));
  await store.save(smallCheckpoint(200));
  await store.close();
  await environment.close();
  return join(scratch.directory, 'source', 'data.mdb');
}

/** What comes of each trial, counted: `ended` when LMDB's own assertions ended the process. */
async function outcomes(scratch: Scratch, file: string, trials: readonly string[]): Promise<Map<string, string[]>> {
  const start = (): Child => scratch.own(new Child(import.meta.url, 'file-child', [file, scratch.directory]));
  const byOutcome = new Map<string, string[]>();
  let child = start();
  for (const trial of trials) {
    child.tell(trial);
    const answer = await child.says(`${trial} `).then(
      (line) => line.slice(trial.length + 1),
      () => 'ended',
    );
    if (answer === 'ended') child = start();
    byOutcome.set(answer, [...(byOutcome.get(answer) ?? []), trial]);
  }
  await child.kill();
  return byOutcome;
}

/** Positions of every 64 bytes of a file, of which each `stride`th is tried; coprime to the 64 of a page. */
function trialsOf(kind: 'flip' | 'cut', file: string, stride: number): string[] {
  const trials: string[] = [];
  for (let at = 64 * stride; at < statSync(file).size; at += 64 * stride) trials.push(`${kind} ${at}`);
  return trials;
}

describe('a database file damaged on disk', () => {
  test('by a flipped bit: the newest good checkpoint is used, or the file is refused; nothing wrong is taken, nothing lost in silence', async () => {
    await using scratch = new Scratch();
    const file = await checkpointFile(scratch);
    const found = await outcomes(scratch, file, trialsOf('flip', file, 5));
    for (const worst of ['WRONG', 'silent']) assert.deepEqual(found.get(worst), undefined);
    assert.ok((found.get('100')?.length ?? 0) >= 10, 'the previous one was used');
    assert.ok((found.get('ended')?.length ?? 0) <= 3, `ended the process: ${found.get('ended')?.join()}`);
  });

  test('by a lost end: refused, or ended by LMDB where its list of free pages was; never opened as if it were whole', async () => {
    await using scratch = new Scratch();
    const file = await checkpointFile(scratch);
    const trials = trialsOf('cut', file, 27);
    const found = await outcomes(scratch, file, trials);
    for (const worst of ['WRONG', 'silent', '200']) assert.deepEqual(found.get(worst), undefined);
    const refused = ['refused', '100', 'none'].reduce((sum, outcome) => sum + (found.get(outcome)?.length ?? 0), 0);
    assert.ok(refused >= trials.length * 0.85, JSON.stringify([...found]));
  });
});
