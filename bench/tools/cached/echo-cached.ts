/**
 * `echo` whose results are kept: what a call costs that no worker sees.
 */
import { defineTool } from '../../../src/index.ts';

export const echoCached = defineTool(
  {
    name: 'echo_cached',
    title: 'Echo',
    description: 'Returns the text unchanged.',
    input: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
    annotations: { readOnlyHint: true, idempotentHint: true },
    cache: { ttlMs: 3_600_000, scope: 'public' },
  },
  (args) => ({ content: [{ type: 'text', text: args['text'] as string }] }),
);
