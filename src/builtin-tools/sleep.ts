/**
 * `sleep {ms}`: waits without holding the thread.
 *
 * Role: an asynchronous tool, many of which share one worker. Its timer is cleared as soon as the call is cancelled, so
 * that nothing is left behind.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { defineTool } from '../catalogue/define.ts';

const MS_MAX = 600_000;

export const sleep = defineTool(
  {
    name: 'sleep',
    title: 'Sleep',
    description: `Waits for ms milliseconds (0 to ${MS_MAX}) without using the CPU; cancellable.`,
    input: {
      type: 'object',
      properties: { ms: { type: 'number', minimum: 0, maximum: MS_MAX, description: 'Milliseconds to wait.' } },
      required: ['ms'],
    },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  async (args, context) => {
    const ms = args['ms'] as number;
    await wait(ms, undefined, { signal: context.signal });
    return `slept ${ms} ms`;
  },
);
