/**
 * The worker of `naive-pool.ts`: parsed arguments in, a result object out, both copied between threads.
 */

interface ToolCall {
  readonly name: string;
  readonly arguments: Record<string, unknown>;
}

export function call({ name, arguments: args }: ToolCall): object {
  if (name !== 'echo' || typeof args['text'] !== 'string') throw new Error('invalid arguments');
  return {
    content: [{ type: 'text', text: args['text'] }],
    resultType: 'complete',
    _meta: { 'io.modelcontextprotocol/serverInfo': { name: 'naive', version: '1.0.0' } },
  };
}
