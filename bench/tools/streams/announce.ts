/**
 * Says that the list of tools changed, to everyone who listens: what the stream scenario measures the way of.
 */
import { defineTool } from '../../../src/index.ts';

export const announce = defineTool(
  {
    name: 'announce',
    title: 'Announce',
    description: 'Tells subscribers that the list of tools changed.',
    run: 'inline',
    input: { type: 'object', properties: {} },
  },
  (_args, context) => {
    context.changed('tools');
    return 'announced';
  },
);
