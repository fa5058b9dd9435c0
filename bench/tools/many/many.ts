/**
 * The tools of the list scenario, as millrace's; the controls serve the same ones.
 */
import { defineTool, type ToolDefinition } from '../../../src/index.ts';
import { MANY_TOOLS } from '../../controls/many-tools.ts';

export const manyTools: ToolDefinition[] = MANY_TOOLS.map(({ name, title, description, inputSchema }) =>
  defineTool({ name, title, description, input: { ...inputSchema } }, () => '0'),
);
