/**
 * Nexmark's events as batches and as tables, made once per test run for all the files that ask for the same.
 *
 * Role: where `suite.ts` gets both from. They lie in the folder of the test run (`TEST_RUN_FOLDER`, see `run.ts`), which
 * goes with it; without one, as when a file runs alone, in a folder that goes with the process. A folder gets its name
 * when all of it is there: of two that make it at once the slower one takes what the other has made.
 *
 *   nexmark-…/person, auction, bid   NDJSON, one batch after the other
 *             batches.json           stream and bytes of each batch, in order
 *             tables                 DuckDB's, read from the three files
 */
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NexmarkKind } from '../../../src/streams/sources/nexmark-skeleton.ts';
import { eventBatches, type FeedBatch, type FeedOptions, NEXMARK_KINDS } from './feed.ts';
import { NexmarkTables, writeEvents } from './tables.ts';

export interface Prepared {
  readonly batches: readonly FeedBatch[];
  readonly tables: NexmarkTables;
}

interface BatchPlace {
  readonly stream: NexmarkKind;
  readonly bytes: number;
}

/** `kinds`: of the batches; tables there are of all. */
export async function prepared(options: FeedOptions, kinds: readonly NexmarkKind[]): Promise<Prepared> {
  const folder = await folderOf(options);
  return { batches: readBatches(folder, kinds), tables: await NexmarkTables.open(join(folder, 'tables')) };
}

/** Made where it is not there. */
async function folderOf(options: FeedOptions): Promise<string> {
  const { events, eventsPerBatch, generator } = options;
  const folder = join(runFolder(), `nexmark-${generator.seed}-${generator.ratePerS}-${events}-${eventsPerBatch}`);
  if (existsSync(folder)) return folder;
  const unnamed = mkdtempSync(`${folder}-`);
  try {
    const batches = [...eventBatches(options)];
    const places = batches.map(({ body, stream }) => ({ stream, bytes: body.length }));
    writeFileSync(join(unnamed, 'batches.json'), JSON.stringify(places));
    writeEvents(unnamed, batches);
    await NexmarkTables.make(join(unnamed, 'tables'), unnamed);
    renameSync(unnamed, folder);
  } catch (error) {
    // Unless somebody else was faster.
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(unnamed, { recursive: true, force: true });
  }
  return folder;
}

let own: string | undefined;

function runFolder(): string {
  const shared = process.env['TEST_RUN_FOLDER'];
  if (shared !== undefined) return shared;
  if (own === undefined) {
    const folder = mkdtempSync(join(tmpdir(), 'nexmark-'));
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
    own = folder;
  }
  return own;
}

function readBatches(folder: string, kinds: readonly NexmarkKind[]): FeedBatch[] {
  const places = JSON.parse(readFileSync(join(folder, 'batches.json'), 'utf8')) as readonly BatchPlace[];
  const files = new Map(NEXMARK_KINDS.map((kind) => [kind, openSync(join(folder, kind), 'r')]));
  const batches = places
    .filter(({ stream }) => kinds.includes(stream))
    .map(({ bytes, stream }) => {
      const body = new Uint8Array(bytes);
      const read = readSync(files.get(stream) as number, body);
      if (read !== bytes) throw new Error(`${folder}: ${read} of ${bytes} bytes of ${stream}`);
      return { stream, body };
    });
  for (const file of files.values()) closeSync(file);
  return batches;
}
