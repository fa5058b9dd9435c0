/**
 * `echo {text}`: answers with the text it was given.
 *
 * Role: the cheapest call there can be; what it costs is what millrace costs. It returns a finished result and has no
 * output schema, so nothing is wrapped, validated or encoded twice.
 */
import { defineTool } from '../catalogue/define.ts';

export const echo = defineTool(
  {
    name: 'echo',
    title: 'Echo',
    description: 'Returns the text unchanged.',
    input: {
      type: 'object',
      properties: { text: { type: 'string', description: 'The text to return.' } },
      required: ['text'],
    },
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  (args) => ({ content: [{ type: 'text', text: args['text'] as string }] }),
);
