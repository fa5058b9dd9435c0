/**
 * The tools of the list scenario, as data: so many that a list is worth preparing, each with a schema of its own.
 *
 * Role: shared by millrace's tool folder and the controls, so that all of them list the same.
 */

export interface ListedTool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: {
    readonly type: 'object';
    readonly properties: Readonly<Record<string, { readonly type: string; readonly description: string }>>;
    readonly required: readonly string[];
  };
}

export const MANY = 50;
/** In every list of them: what clients look for. */
export const LAST_TOOL = `tool_${MANY - 1}`;

export const MANY_TOOLS: readonly ListedTool[] = Array.from({ length: MANY }, (_, i) => ({
  name: `tool_${i}`,
  title: `Tool ${i}`,
  description: `Looks up item ${i} by its text and says how many there are; it changes nothing.`,
  inputSchema: {
    type: 'object',
    properties: {
      text: { type: 'string', description: 'What to look for.' },
      limit: { type: 'number', description: 'How many at most.' },
    },
    required: ['text', 'limit'],
  },
}));
