/**
 * `spin {ms}`: keeps the thread busy, synchronously, and listens to nobody.
 *
 * Role: the tool that misbehaves, for tests of overload and of deadlines. It deliberately polls nothing: only ending
 * its worker stops it early.
 */
import { defineTool } from '../catalogue/define.ts';

const MS_MAX = 600_000;

export const spin = defineTool(
  {
    name: 'spin',
    title: 'Busy loop',
    description: `Burns CPU for ms milliseconds (0 to ${MS_MAX}) in one synchronous loop that cannot be cancelled.`,
    input: {
      type: 'object',
      properties: { ms: { type: 'number', minimum: 0, maximum: MS_MAX, description: 'Milliseconds to burn.' } },
      required: ['ms'],
    },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  (args) => {
    const ms = args['ms'] as number;
    const end = performance.now() + ms;
    while (performance.now() < end);
    return `spun ${ms} ms`;
  },
);
