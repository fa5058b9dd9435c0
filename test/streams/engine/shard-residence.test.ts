/**
 * What is in memory after a round, of a state that is many times what memory may take; and what is in the folder.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { compilePlan } from '../../../src/streams/define/compile.ts';
import type { LimitsDefinition, StreamDefinition } from '../../../src/streams/define/definition.ts';
import { OperatorParts } from '../../../src/streams/engine/shards/operators.ts';
import { ShardSet } from '../../../src/streams/engine/shards/shard-set.ts';
import { buffersOf, bytesOf, filesOf, isAtRest, isInMemory } from '../../../src/streams/engine/spill/spill-file.ts';
import { SpillFolder } from '../../../src/streams/engine/spill/spill-folder.ts';
import type { ApplyTask, HeldShard, Step } from '../../../src/streams/engine/task.ts';
import { LocalThreads } from '../../../src/streams/engine/threads/local-threads.ts';
import { eventually } from '../../clients/eventually.ts';
import { Scratch } from '../log/scratch.ts';

const MIB = 2 ** 20;
const BUDGET = 2 * MIB;
const SHARDS = 16;
const EVENTS = 4000;

const streamWith = (limits: LimitsDefinition): StreamDefinition => ({
  name: 's',
  schema: { fields: { at: 'integer', k: 'string', v: 'number' }, timestamp: { field: 'at' }, key: ['k'] },
  limits,
  windows: [
    {
      name: 'w',
      type: 'tumbling',
      sizeMs: 1e6,
      aggregates: { n: 'count', all: { fn: 'collect', of: 'v', limit: 20 } },
    },
  ],
});

/** Threads that say how much of a task's shards came in memory and how much went. */
class Watched extends LocalThreads {
  tasks: ApplyTask[] = [];

  override apply(task: ApplyTask): ReturnType<LocalThreads['apply']> {
    this.tasks.push(task);
    return super.apply(task);
  }
}

interface Run {
  readonly set: ShardSet;
  readonly threads: Watched;
  /** Applies a batch of events of as many keys, none of which was there before. */
  grow(events?: number): Promise<void>;
  round(steps: readonly Step[]): ReturnType<ShardSet['round']>;
}

function runOf(limits: LimitsDefinition, folder: SpillFolder): Run {
  const plan = compilePlan([streamWith(limits)], { epoch: 1, shards: SHARDS });
  const parts = new OperatorParts(new Map());
  const threads = new Watched(parts);
  threads.usePlan(plan);
  const failed = (what: unknown): void => assert.fail(String(what));
  const events = {
    released: () => undefined,
    stepFailed: failed,
    threadLost: failed,
    spillDamaged: failed,
    notStored: failed,
    notCopied: failed,
  };
  const set = new ShardSet(plan, parts, threads, events, null, 1, folder);
  let seq = 0;
  const round: Run['round'] = (steps) => set.round(steps, Number.POSITIVE_INFINITY);
  return {
    set,
    threads,
    round,
    async grow(events = EVENTS) {
      seq += 1;
      const lines = Array.from({ length: events }, (_, i) => JSON.stringify({ at: 1, k: `key ${seq} ${i}`, v: i }));
      const text = Buffer.from(lines.join('\n'));
      const body = new SharedArrayBuffer(text.byteLength);
      new Uint8Array(body).set(text);
      const provenance = { seq, arrivalMs: 1, traceparent: '', correlationId: '' };
      const { batch, partials } = await threads.decode({
        kind: 'decode',
        epoch: 1,
        stream: 0,
        format: 'ndjson',
        body,
        bodyAt: 0,
        bodyBytes: text.byteLength,
        contextBytes: 0,
        spare: null,
        looksOnly: false,
        provenance,
        dedup: null,
      });
      await round([{ kind: 'events', seq, stream: 0, batch, partials, provenance, watermark: 0 }]);
    },
  };
}

function memoryBytes(shards: readonly (HeldShard | undefined)[]): number {
  const buffers = shards.flatMap((held) => (held === undefined ? [] : buffersOf(held))).filter(isInMemory);
  return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

type Spare = Extract<Step, { kind: 'copy' }>['into'];

/** What copies are written over: what the set has of it now, since a task on this thread is given its very list. */
function spareOf(tasks: readonly ApplyTask[]): Spare | undefined {
  return tasks.flatMap(({ steps }) => steps).find((step) => step.kind === 'copy')?.into;
}

test('shards and their copies stay within the budget while the state is ten times as large', async () => {
  await using scratch = new Scratch();
  const folder = new SpillFolder(scratch.directory);
  const { grow, set, threads } = runOf({ onFull: 'spill', stateBytesMax: BUDGET }, folder);
  let stateBytes = 0;
  let kept = 0;
  let spare: Spare = [];
  let spareBytesMax = 0;
  for (let i = 0; stateBytes < 10 * BUDGET; i++) {
    await grow();
    if (i % 2 === 1) {
      threads.tasks = [];
      await set.rebase();
      spare = spareOf(threads.tasks) ?? spare;
    }
    stateBytes = set.images.reduce((sum, held) => sum + bytesOf(held), 0);
    const spareBytes = memoryBytes(spare);
    spareBytesMax = Math.max(spareBytesMax, spareBytes);
    const resident = memoryBytes(set.images) + memoryBytes(set.base) + spareBytes;
    assert.ok(resident <= BUDGET, `${resident} bytes in memory of ${stateBytes}`);
    if (stateBytes > BUDGET) assert.ok(set.anyAway);
    if (stateBytes < 3 * BUDGET && stateBytes > BUDGET) kept = Math.max(kept, memoryBytes(set.images));
  }
  assert.ok(kept > BUDGET / 10, 'what fits is in memory');
  assert.ok(spareBytesMax > 0, 'copies are written over');
  const files = [...new Set([...set.images, ...set.base].flatMap(filesOf))].sort();
  const inFolder = (): string[] => readdirSync(join(scratch.directory, 'spill'));
  // Removals of the last round may still be under way.
  const left = await eventually('removed', inFolder, ({ length }) => length <= files.length);
  assert.deepEqual(
    left.sort(),
    files.map((file) => basename(file)),
  );
  assert.ok(set.storedBytes(0) > 2 * BUDGET);
  await folder.close();
});

test('a base that is being read stays as it is, however often there is a newer one, and serves again after that', async () => {
  await using scratch = new Scratch();
  const folder = new SpillFolder(scratch.directory);
  const { grow, set } = runOf({ stateBytesMax: 64 * MIB }, folder);
  await grow();
  await set.rebase();
  await grow();
  await set.rebase();
  const { held, release } = set.pinBase();
  const buffersHeld = held.flatMap(buffersOf).filter(isInMemory);
  const contents = (): string[] => buffersHeld.map((buffer) => Buffer.from(buffer).toString('base64'));
  const before = contents();
  for (let bases = 0; bases < 3; bases++) {
    await grow();
    await set.rebase();
    assert.deepEqual(contents(), before);
  }
  release();
  const pinnedAgain = set.pinBase();
  pinnedAgain.release();
  const memory = new Set(pinnedAgain.held.flatMap(buffersOf));
  await set.rebase();
  await set.rebase();
  assert.deepEqual(new Set(set.base.flatMap(buffersOf)), memory, 'copies are made in two places by turns');
  await folder.close();
});

test('what copies are written over goes with the shards that go to disk', async () => {
  await using scratch = new Scratch();
  const folder = new SpillFolder(scratch.directory);
  const { grow, set, threads } = runOf({ onFull: 'spill', stateBytesMax: BUDGET }, folder);
  const resident = (): number => memoryBytes(set.images) + memoryBytes(set.base) + memoryBytes(spare);
  await grow(SHARDS);
  await set.rebase();
  const spare = spareOf(threads.tasks) as Spare;
  assert.equal(set.anyAway, false, 'all of it fits');
  assert.ok(memoryBytes(spare) > 0);
  await grow();
  while (!set.images.every(isAtRest)) {
    assert.ok(resident() <= BUDGET, `${resident()} bytes in memory`);
    for (const held of set.images) if (isAtRest(held)) assert.equal(memoryBytes([spare[held.shard]]), 0);
    await grow();
  }
  assert.equal(resident(), 0);
  await folder.close();
});

test('shards that fit stay in memory, those that do not are read once a round and written once', async () => {
  await using scratch = new Scratch();
  const folder = new SpillFolder(scratch.directory);
  const { grow, set, threads } = runOf({ onFull: 'spill', stateBytesMax: 12 * MIB }, folder);
  const nothing: Step = { kind: 'tick', seq: 1000, nowMs: 1 };
  while (!set.anyAway) {
    await grow();
    // Who has outgrown its part comes back when the others have left it room.
    await set.round([nothing], 0);
  }
  const here = set.images.filter((held) => !isAtRest(held)).map(({ shard }) => shard);
  assert.ok(here.length > 0 && here.length < SHARDS, `${here.length} of ${SHARDS} are in memory`);
  const before = set.images.map(filesOf);
  threads.tasks = [];
  await set.round([nothing], 0);
  assert.deepEqual(
    set.images.filter((held) => !isAtRest(held)).map(({ shard }) => shard),
    here,
    'the same ones',
  );
  for (const [shard, files] of before.entries()) {
    if (here.includes(shard)) continue;
    assert.equal(new Set(files).size, 1, 'one file per shard');
    assert.notDeepEqual(filesOf(set.images[shard] as HeldShard), files, 'and a new one after each round');
  }
  assert.equal(threads.tasks.length, 1);
  const query = { key: null, fromMs: 0, toMs: 1e9, by: '', limit: 5, match: null };
  const asked = set.images.map(filesOf);
  assert.equal(
    (await set.round([{ kind: 'query', id: 1, operator: 0, query }], 0)).queries[0]?.lines.length,
    5 * SHARDS,
  );
  assert.deepEqual(set.images.map(filesOf), asked, 'a question writes nothing');
  await folder.close();
});

test('without the policy nothing is asked for and nothing is written', async () => {
  const folder = new SpillFolder('');
  const { grow, set, threads } = runOf({ stateBytesMax: MIB }, folder);
  for (let i = 0; i < 4; i++) await grow();
  assert.ok(threads.tasks.every(({ spill }) => spill === null));
  assert.equal(set.anyAway, false);
  assert.equal(folder.size, 0);
  await folder.close();
});

test('the folder is private, what an earlier process left goes at the start, all of it at the end', async () => {
  await using scratch = new Scratch();
  const left = join(scratch.directory, 'spill');
  mkdirSync(left);
  writeFileSync(join(left, 'shard-0-7'), 'left');
  const folder = new SpillFolder(scratch.directory);
  assert.equal(existsSync(left), false);
  const { grow, set } = runOf({ onFull: 'spill', keysMax: 1 }, folder);
  await grow();
  await grow();
  const [file] = set.images.flatMap(filesOf) as [string];
  assert.equal(dirname(file), left);
  assert.equal(statSync(left).mode & 0o777, 0o700);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  await folder.close();
  assert.equal(existsSync(left), false);
});

test('a temporary folder of a process that is no more goes when the next one makes its own', async () => {
  // No process has a number as high as that.
  const dead = join(tmpdir(), 'millrace-spill-4194999-left');
  const living = join(tmpdir(), `millrace-spill-${process.pid}-test`);
  mkdirSync(dead, { recursive: true });
  mkdirSync(living, { recursive: true });
  const folder = new SpillFolder('');
  const name = folder.name('shard-0');
  assert.equal(existsSync(dirname(name)), true);
  await folder.close();
  assert.equal(existsSync(dead), false);
  assert.equal(existsSync(dirname(name)), false);
  assert.equal(existsSync(living), true);
  rmdirSync(living);
});
