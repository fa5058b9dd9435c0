/**
 * What a durable append costs: records per second and the time until `durable`, for records of 200 bytes and 64 KiB,
 * one at a time and many in flight, in memory and on disk. The control rows append the same bytes to a plain file and
 * flush it per group: the limit of this disk. The last rows append while a checkpoint is being saved, into the same
 * LMDB environment and into one of its own.
 *
 * Run it before and after touching src/streams/log or src/streams/lmdb; compare rows of one run, others use the disk too.
 */
import { fdatasync, mkdtempSync, openSync, rmSync, write } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LmdbCheckpointStore } from '../../src/streams/checkpoints/lmdb-store.ts';
import { LmdbEnvironment } from '../../src/streams/lmdb/open.ts';
import { openLmdbLog } from '../../src/streams/log/lmdb-log.ts';
import { MemoryLog } from '../../src/streams/log/memory-log.ts';
import type { EventLog, LogRecord } from '../../src/streams/log/port.ts';

const ROUNDS = 3;
const TRUNCATE_EVERY = 2000;
const CHECKPOINT_BYTES = 64 * 2 ** 20;

/** Resolves when the bytes are durable; the same promise for those that go together. */
type Append = (body: Uint8Array) => Promise<void>;

interface Outcome {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const directory = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
const environments: LmdbEnvironment[] = [];

function environment(): LmdbEnvironment {
  const made = new LmdbEnvironment(join(directory, `data${environments.length}`));
  environments.push(made);
  return made;
}

function recordOf(body: Uint8Array): LogRecord {
  return {
    kind: 'events',
    stream: 'orders',
    format: 'ndjson',
    source: 'http',
    partition: '0',
    arrivalMs: 1_700_000_000_000,
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    correlationId: '',
    batchId: '7d444840-9dc0-11d1-b245-5ffdce74fad2',
    position: '',
    setAside: '',
    unread: '',
    body,
  };
}

/** Appends, and forgets the old ones now and then, as checkpoints would let it. */
function appender(log: EventLog): Append {
  return (body) => {
    const { seq, durable } = log.append(recordOf(body));
    if (seq % TRUNCATE_EVERY === 0) {
      return Promise.all([durable, log.truncate(seq - TRUNCATE_EVERY / 2)]).then(() => undefined);
    }
    return durable;
  };
}

/** The limit: one write and one flush per group. */
function fileAppender(): Append {
  const descriptor = openSync(join(directory, `file${Math.random()}`), 'a');
  const writeAll = promisify(write);
  const flush = promisify(fdatasync);
  let staged: Uint8Array[] = [];
  let group: Promise<void> | null = null;
  let before: Promise<void> = Promise.resolve();
  const writeGroup = async (): Promise<void> => {
    await before;
    const bytes = Buffer.concat(staged);
    staged = [];
    group = null;
    await writeAll(descriptor, bytes);
    await flush(descriptor);
  };
  return (body) => {
    staged.push(body);
    group ??= before = writeGroup();
    return group;
  };
}

async function measure(append: Append, bodyBytes: number, inFlight: number, total: number): Promise<Outcome> {
  const body = new Uint8Array(bodyBytes).fill(7);
  const ms = new Float64Array(total);
  let begun = 0;
  const client = async (): Promise<void> => {
    while (begun < total) {
      const at = begun++;
      const start = performance.now();
      await append(body);
      ms[at] = performance.now() - start;
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: inFlight }, client));
  const seconds = (performance.now() - start) / 1000;
  ms.sort();
  return { perSecond: total / seconds, p50Ms: ms[total >> 1] ?? 0, p99Ms: ms[Math.floor(total * 0.99)] ?? 0 };
}

function print(name: string, bodyBytes: number, outcomes: readonly Outcome[]): void {
  const { perSecond, p50Ms, p99Ms } = outcomes.toSorted((a, b) => a.perSecond - b.perSecond)[
    outcomes.length >> 1
  ] as Outcome;
  const rate = `${Math.round(perSecond).toLocaleString('en').padStart(9)} records/s`;
  const megabytes = `${((perSecond * bodyBytes) / 1e6).toFixed(1).padStart(7)} MB/s`;
  console.log(`${name.padEnd(44)} ${rate} ${megabytes}   P50 ${p50Ms.toFixed(2)} ms   P99 ${p99Ms.toFixed(2)} ms`);
}

const SHAPES: readonly (readonly [name: string, bodyBytes: number, inFlight: number, total: number])[] = [
  ['200 B, one at a time', 200, 1, 1000],
  ['200 B, 1024 in flight', 200, 1024, 200_000],
  ['64 KiB, one at a time', 65_536, 1, 500],
  ['64 KiB, 16 in flight', 65_536, 16, 4000],
  ['64 KiB, 64 in flight', 65_536, 64, 4000],
];
const LOGS: readonly (readonly [name: string, make: () => Append])[] = [
  ['plain file', fileAppender],
  ['LMDB log', () => appender(openLmdbLog(environment()))],
  ['memory log', () => appender(new MemoryLog())],
];

for (const [shape, bodyBytes, inFlight, total] of SHAPES) {
  const outcomes = new Map<string, Outcome[]>(LOGS.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, make] of round % 2 === 0 ? LOGS : LOGS.toReversed()) {
      outcomes.get(name)?.push(await measure(make(), bodyBytes, inFlight, total));
    }
  }
  for (const [name, each] of outcomes) print(`${name}: ${shape}`, bodyBytes, each);
}

/** Appends beside a store that saves one checkpoint after the other. */
async function beside(shared: boolean): Promise<Outcome> {
  const own = environment();
  const store = new LmdbCheckpointStore(shared ? own : environment());
  const chunks = new Map([['state', new Uint8Array(CHECKPOINT_BYTES).fill(1)]]);
  let going = true;
  let saves = 0;
  const started = performance.now();
  const saving = (async () => {
    while (going) {
      await store.save({ seq: ++saves, definitionsJson: '{}', factsJson: '{}', chunks });
    }
  })();
  const outcome = await measure(appender(openLmdbLog(own)), 65_536, 16, 4000);
  going = false;
  await saving;
  const seconds = (performance.now() - started) / 1000;
  console.log(`  (checkpoints meanwhile: ${((saves * CHECKPOINT_BYTES) / 1e6 / seconds).toFixed(0)} MB/s)`);
  return outcome;
}

print('64 KiB, 16 in flight, checkpoints in its LMDB', 65_536, [await beside(true)]);
print('64 KiB, 16 in flight, checkpoints in another', 65_536, [await beside(false)]);

for (const each of environments) await each.close();
rmSync(directory, { recursive: true });
