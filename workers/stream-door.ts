/**
 * The way to the code of the live streams, which is loaded by the first of their tasks: a server without streams never
 * pays for it.
 *
 * From source it is imported like a tool in TypeScript: before Node 22.18 a loader that the process was started with
 * reaches what a worker imports statically, and nothing it imports later.
 */
import { importModule } from '../src/catalogue/import-module.ts';
import type { StreamAnswer, StreamMessage } from '../src/streams/engine/task.ts';

type Tasks = typeof import('./stream-tasks.ts');

let loading: Promise<Tasks> | null = null;
/** Messages that are being answered. */
let tasks = 0;
let told: (count: number) => void = () => undefined;

/** `listener` hears how many messages are being answered: they may keep the thread busy for as long as they need. */
export function onStreamTasks(listener: (count: number) => void): void {
  told = listener;
}

function load(): Promise<Tasks> {
  if (!import.meta.url.endsWith('.ts')) return import('./stream-tasks.ts');
  return importModule(new URL('stream-tasks.ts', import.meta.url).href) as Promise<Tasks>;
}

export async function answerStream(message: StreamMessage): Promise<StreamAnswer> {
  loading ??= load();
  told(++tasks);
  try {
    return await (await loading).answerStream(message);
  } catch (error) {
    // The next task tries again.
    loading = null;
    throw error;
  } finally {
    told(--tasks);
  }
}
