/**
 * The way to the code of the live streams, which is loaded by the first of their tasks: a server without streams never
 * pays for it.
 */
import type { StreamAnswer, StreamMessage } from '../src/streams/engine/task.ts';

export async function answerStream(message: StreamMessage): Promise<StreamAnswer> {
  const tasks = await import('./stream-tasks.ts');
  return tasks.answerStream(message);
}
