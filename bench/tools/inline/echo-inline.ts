/**
 * `echo` on the front-end thread: what the way through the pool costs, seen from the other side.
 */
import { defineTool } from '../../../src/index.ts';

export const echoInline = defineTool(
  {
    name: 'echo_inline',
    title: 'Echo',
    description: 'Returns the text unchanged.',
    run: 'inline',
    input: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    annotations: { readOnlyHint: true, idempotentHint: true },
  },
  (args) => ({ content: [{ type: 'text', text: args['text'] as string }] }),
);
