/**
 * The stores of a node's streams: log, checkpoints, dead letters; in memory, or in two LMDB environments.
 *
 * Role: chooses the implementations. One log for all streams of the node, since its order is what everything follows
 * from; a stream that is `memory` beside one that is `fsync` is in the same log and does not wait for it.
 */
import { join } from 'node:path';
import { LmdbCheckpointStore } from './checkpoints/lmdb-store.ts';
import type { CheckpointStore } from './checkpoints/port.ts';
import { LmdbDeadLetterStore } from './dead-letters/lmdb-store.ts';
import { MemoryDeadLetterStore } from './dead-letters/memory-store.ts';
import type { DeadLetterStore } from './dead-letters/port.ts';
import type { StreamDefinition } from './define/definition.ts';
import { LmdbEnvironment } from './lmdb/open.ts';
import { openLmdbLog } from './log/lmdb-log.ts';
import { MemoryLog } from './log/memory-log.ts';
import type { EventLog } from './log/port.ts';
import { makeFolder } from './make-folder.ts';

export interface Stores {
  readonly eventLog: EventLog;
  /** Null: nothing outlives the process. */
  readonly checkpoints: CheckpointStore | null;
  readonly deadLetters: DeadLetterStore;
  /** The folder of all these; `''`: there is none, what is to be on a disk goes to a temporary one. */
  readonly dataDir: string;
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly definitions: readonly StreamDefinition[];
  readonly dataDir: string;
  readonly logBytesMax: number;
}

/** Rejects when the folder cannot be used, or when the log in it is damaged. */
export async function openStores({ dataDir, definitions, logBytesMax }: StoreOptions): Promise<Stores> {
  const replicated = definitions.find(({ durability }) => durability === 'replicated');
  if (replicated !== undefined) {
    throw new Error(`stream ${replicated.name}: durability "replicated" is not for the stores of one node`);
  }
  if (!definitions.some(({ durability }) => durability === 'fsync')) {
    return storesOf('', new MemoryLog({ bytesMax: logBytesMax }), null, new MemoryDeadLetterStore());
  }
  try {
    return await storesIn(dataDir, logBytesMax);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`streaming.dataDir ${dataDir}: ${why}`, { cause });
  }
}

async function storesIn(dataDir: string, logBytesMax: number): Promise<Stores> {
  // Apart, since a checkpoint that is being saved would hold up the log: 728 records/s together, 1,181 apart.
  const [logDir, stateDir] = [join(dataDir, 'log'), join(dataDir, 'state')];
  await makeFolder(logDir);
  await makeFolder(stateDir);
  const logEnvironment = new LmdbEnvironment(logDir);
  const stateEnvironment = new LmdbEnvironment(stateDir);
  const eventLog = openLmdbLog(logEnvironment, { bytesMax: logBytesMax });
  const checkpoints = new LmdbCheckpointStore(stateEnvironment);
  const deadLetters = new LmdbDeadLetterStore(stateEnvironment);
  return storesOf(dataDir, eventLog, checkpoints, deadLetters, logEnvironment, stateEnvironment);
}

/** They are closed one after the other, and then what is beneath them. */
export function storesOf(
  dataDir: string,
  eventLog: EventLog,
  checkpoints: CheckpointStore | null,
  deadLetters: DeadLetterStore,
  ...beneath: readonly { close(): Promise<void> }[]
): Stores {
  return {
    eventLog,
    checkpoints,
    deadLetters,
    dataDir,
    async close() {
      for (const each of [eventLog, checkpoints, deadLetters, ...beneath]) await each?.close();
    },
  };
}
